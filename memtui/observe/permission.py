"""Why the kernel does not let memtui read a process, in words."""

from __future__ import annotations

import os
import pwd
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from memtui.errors import RefusedError

_CAP_SYS_PTRACE = 19
_PTRACE_SCOPE = Path("/proc/sys/kernel/yama/ptrace_scope")


@dataclass(frozen=True, slots=True)
class Standing:
    """How memtui stands to a process.

    ``owners`` are the process's user ids (real, effective, saved, file system), ``memory_owner`` owns its
    ``/proc/PID/mem`` (root does when it is protected), ``viewer`` is memtui's own effective user id. ``ptrace_scope``
    is the level of Yama, 0 to 3, and ``may_trace_all`` says whether memtui has the capability SYS_PTRACE.
    """

    pid: int
    owners: Collection[int]
    memory_owner: int
    viewer: int
    ptrace_scope: int
    may_trace_all: bool


def explain(standing: Standing) -> RefusedError:
    """The error for a process whose memory the kernel has refused to show."""
    why, next_step = _reason(standing)
    return RefusedError(f"The memory of process {standing.pid} may not be read.", why=why, next_step=next_step)


def _reason(standing: Standing) -> tuple[str, str]:
    scope = standing.ptrace_scope
    if scope == 3:
        return about_scope(scope, str(standing.pid))
    if standing.may_trace_all:
        return "A security policy forbids it, or it lives outside of memtui's user namespace.", ""
    if standing.viewer == 0:
        why = "Even root needs the capability SYS_PTRACE for it, and here (a container?) root does not have it."
        return why, "Start the container with --cap-add=SYS_PTRACE (Kubernetes: securityContext.capabilities.add)."
    others = [uid for uid in standing.owners if uid != standing.viewer]
    if others:
        name = user_name(others[0])
        ways = f"Run memtui as {name} or with sudo. For example: sudo memtui attach {standing.pid}"
        return f"It belongs to user {name}.", ways
    if standing.memory_owner != standing.viewer:
        why = "It is protected from tracing (non-dumpable: it has changed its user, or asked for it)."
        return why, f"Run memtui with sudo: sudo memtui attach {standing.pid}"
    if scope:
        return about_scope(scope, str(standing.pid))
    why = "It has more privileges than you, lives in another user namespace, or a security policy forbids it."
    return why, "Run memtui with sudo."


def about_scope(scope: int, pid: str) -> tuple[str, str]:
    """What a level of Yama from 1 to 3 forbids, and the ways around it, for process ``pid``."""
    if scope == 3:
        why = "Tracing is switched off until the next boot (kernel.yama.ptrace_scope=3)."
        return why, "Start the program under `memtui run`."
    if scope == 2:
        return "Only root may trace (kernel.yama.ptrace_scope=2).", f"Use `sudo memtui attach {pid}`."
    why = "The kernel lets you trace only processes started by yourself from here (kernel.yama.ptrace_scope=1)."
    ways = f"Use `sudo memtui attach {pid}`, start the program with `memtui run`,"
    return why, f"{ways} or set `sysctl kernel.yama.ptrace_scope=0`."


def ptrace_scope(file: Path = _PTRACE_SCOPE) -> int:
    """The level of Yama, which restricts tracing; 0 where the kernel has no Yama."""
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):
        return 0


def may_trace_all() -> bool:
    """Whether memtui itself has the capability SYS_PTRACE."""
    for line in Path("/proc/self/status").read_text("utf-8", "replace").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_PTRACE & 1)
    return os.geteuid() == 0


def user_name(uid: int) -> str:
    """The name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
