"""Whether a filter of system calls (seccomp) would end the process for what the agent needs; asked before it goes in.

The filters of a process can be read by whoever has CAP_SYS_ADMIN and no filter of its own (Linux 4.4, with
CONFIG_CHECKPOINT_RESTORE): ``seccomp_get_filter`` in ``kernel/seccomp.c`` of the Linux kernel.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing

from memtui.attach.helper_process import HelperProcess
from memtui.errors import RefusedError
from memtui.observe.process import ProcessReader
from memtui.observe.seccomp import ARCHITECTURES, HARMFUL, Instruction, parse, verdict

NEEDED = {
    "x86_64": {
        "read": 0, "write": 1, "close": 3, "poll": 7, "mmap": 9, "mprotect": 10, "munmap": 11, "rt_sigprocmask": 14,
        "rt_sigreturn": 15, "ioctl": 16, "madvise": 28, "getpid": 39, "sendto": 44, "recvfrom": 45, "shutdown": 48,
        "socketpair": 53, "setsockopt": 54, "clone": 56, "exit": 60, "fcntl": 72, "gettid": 186, "futex": 202,
        "set_robust_list": 273, "pipe2": 293, "memfd_create": 319, "rseq": 334, "clone3": 435,
    },
    "aarch64": {
        "fcntl": 25, "ioctl": 29, "close": 57, "pipe2": 59, "read": 63, "write": 64, "ppoll": 73, "exit": 93,
        "futex": 98, "set_robust_list": 99, "rt_sigprocmask": 135, "rt_sigreturn": 139, "getpid": 172, "gettid": 178,
        "socketpair": 199, "sendto": 206, "recvfrom": 207, "setsockopt": 208, "shutdown": 210, "munmap": 215,
        "clone": 220, "mmap": 222, "mprotect": 226, "madvise": 233, "memfd_create": 279, "rseq": 293, "clone3": 435,
    },
}  # fmt: skip
"""What bringing the agent in, and the agent itself, call beside what every Python calls all the time."""
_INDISPENSABLE = ("memfd_create", "socketpair", "setsockopt", "pipe2", "poll", "ppoll")
"""Of these, those without which there is no agent. (``clone`` is judged by its arguments: the call itself tells.)"""
_STRICT = 1
_CAP_SYS_ADMIN = 21
_OTHERWISE = "Watch it from outside with --observe-only."


def mode(pid: int) -> int:
    """0 no filter, 1 strict mode, 2 filters. Raises TargetDiedError."""
    with ProcessReader(pid) as process:
        return int(process.status().get("Seccomp", "0"))


def check_filter(pid: int) -> None:
    """Raise RefusedError when the filter of ``pid`` would end it for what the agent needs, or withholds that from it.

    Filters that cannot be read pass.
    """
    needed = NEEDED.get(os.uname().machine, {})
    found = verdicts(pid, needed.values()) or {}
    fatal = [name for name, number in needed.items() if found.get(number) in HARMFUL]
    if fatal:
        raise RefusedError(
            f"The agent cannot live in process {pid}.",
            why=f"A filter of its system calls (seccomp) would end it for {', '.join(fatal)}.",
            next_step=_OTHERWISE,
        )
    withheld = [name for name in _INDISPENSABLE if found.get(needed.get(name, -1)) == "errno"]
    if withheld:
        raise RefusedError(
            f"The agent cannot live in process {pid}.",
            why=f"A filter of its system calls (seccomp) refuses {', '.join(withheld)} to it.",
            next_step=_OTHERWISE,
        )


def verdicts(pid: int, numbers: Iterable[int]) -> dict[int, str] | None:
    """What happens to each system call that process ``pid`` would make: "allow", "errno", "kill", "trap", ...

    The words are those of :func:`memtui.observe.seccomp.verdict`, for calls whose arguments are 0. None when the
    filters cannot be read: no right to, or no thread that may be stopped. Raises TargetDiedError.
    """
    kind = mode(pid)
    if not kind:
        return dict.fromkeys(numbers, "allow")
    if kind == _STRICT:
        return dict.fromkeys(numbers, "kill")
    architecture = ARCHITECTURES.get(os.uname().machine)
    filters = None if architecture is None else read_filters(pid)
    if filters is None or architecture is None:
        return None
    return {one: verdict(filters, architecture, one, ()) for one in numbers}


def read_filters(pid: int) -> list[list[Instruction]] | None:
    """The filters over one thread of the process (it stops for a moment); None when they cannot be read."""
    if not may_read_filters():
        return None
    with closing(HelperProcess("memtui.attach.filter_reader")) as reader:
        found = reader.run({"pid": pid})["filters"]
    return None if found is None else [parse(one) for one in found]


def may_read_filters() -> bool:
    """Whether memtui has the right to: CAP_SYS_ADMIN, and no filter of its own."""
    with ProcessReader(os.getpid()) as process:
        status = process.status()
    return bool(int(status["CapEff"], 16) >> _CAP_SYS_ADMIN & 1) and status.get("Seccomp", "0") == "0"
