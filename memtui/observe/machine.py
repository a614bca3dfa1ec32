"""The machine memtui runs on, and what its user may do there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from memtui.errors import RefusedError
from memtui.observe.permission import may_trace_all, ptrace_scope, user_name

ARCHITECTURE = "x86_64"
UNTRIED_ARCHITECTURE = "aarch64"
OLDEST_KERNEL = (5, 3)
"""Since this version a tracer is told at which system call a thread stopped."""

_WHOLE_USER_NAMESPACE = "0 0 4294967295"


@dataclass(frozen=True, slots=True)
class Machine:
    """``ptrace_scope`` is the level of Yama (0 without it). ``seccomp``: 0 off, 1 strict, 2 filtered."""

    system: str
    architecture: str
    kernel: str
    user: str
    ptrace_scope: int
    may_trace_all: bool
    seccomp: int
    in_user_namespace: bool


def read_machine() -> Machine:
    """What is so now."""
    fields = (line.partition(":") for line in Path("/proc/self/status").read_text("utf-8", "replace").splitlines())
    status = {name: value.strip() for name, _, value in fields}
    users = " ".join(Path("/proc/self/uid_map").read_text("ascii").split())
    system = os.uname()
    return Machine(
        system=system.sysname,
        architecture=system.machine,
        kernel=system.release,
        user=user_name(os.geteuid()),
        ptrace_scope=ptrace_scope(),
        may_trace_all=may_trace_all(),
        seccomp=int(status.get("Seccomp", "0")),
        in_user_namespace=users != _WHOLE_USER_NAMESPACE,
    )


def check_machine(machine: Machine, experimental: bool = False) -> None:
    """Raise :class:`RefusedError` when no code can be put into any process on this machine.

    ``experimental`` allows what was written and never tried on a real machine.
    """
    if machine.architecture == UNTRIED_ARCHITECTURE:
        if not experimental:
            raise RefusedError(
                f"Putting code into a process was never tried on {machine.architecture}.",
                why="memtui's code for it was written from the manuals, and run in an emulator only.",
                next_step="Use --via gdb, or --observe-only; or --experimental on a process that you can spare.",
            )
    elif machine.architecture != ARCHITECTURE:
        raise RefusedError(
            "Code can be put into a process on x86-64 only.",
            why=f"This is {machine.architecture}.",
            next_step="Watch the process from outside with --observe-only.",
        )
    if kernel_version(machine.kernel) < OLDEST_KERNEL:
        raise RefusedError(
            f"The kernel {machine.kernel} is too old for putting code into a process.",
            why="It needs Linux {}.{}.".format(*OLDEST_KERNEL),
            next_step="Watch the process from outside with --observe-only.",
        )


def kernel_version(release: str) -> tuple[int, int]:
    """Major and minor number of ``6.1.0-18-amd64``; an unknown form counts as new."""
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (99, 0)
