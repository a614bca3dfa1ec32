"""Whether a process can be photographed, and how long it will stand still: from ``/proc``, touching nothing.

A copy takes as long as ``fork`` does, which writes a table entry for every page of the process's own memory: 20 to
50 ms per GB. While it lives, each page that the process changes is there twice. Measured by
``tests/benchmarks/photograph.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

from memtui.errors import RefusedError, StopTooLongError
from memtui.model.units import format_bytes, format_seconds
from memtui.observe.access import read_proc
from memtui.observe.eligibility import check_other, check_process, check_readable, check_untraced
from memtui.observe.headroom import Room, memory_rooms, parse_meminfo, process_rooms
from memtui.observe.machine import ARCHITECTURE, OLDEST_KERNEL, UNTRIED_ARCHITECTURE, kernel_version
from memtui.observe.process import ProcessReader

_KIB = 1024
_COPY_SECONDS_PER_BYTE = 0.040 / 1e9
_BASE_SECONDS = 0.0008
_THREAD_SECONDS = 0.00005
_READ_SECONDS_PER_BYTE = 1 / 1e9
_SHARE_DOUBLED = 0.3
"""Of the process's own memory, that it changes while the copy lives: 35 % in a second when it writes at random."""
_SPARE_BYTES = 64 * 1024 * 1024
_COMMIT_SHARE = 0.95
_PROCESSES = 2
_SECCOMP_STRICT, _SECCOMP_FILTER = 1, 2
_CAP_SYS_ADMIN = 21
_OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")
_OTHERWISE = "It can still be read while it is stopped: memtui snapshot --hold."


def predict_stop_seconds(pid: int) -> float:
    """How long process ``pid`` would stand still for a photograph. Raises TargetDiedError."""
    status = _status(pid)
    return _BASE_SECONDS + int(status["Threads"]) * _THREAD_SECONDS + _own_bytes(status) * _COPY_SECONDS_PER_BYTE


def predict_pause_seconds(pid: int) -> float:
    """How long it would stand still while all of its memory is read. Raises TargetDiedError."""
    return _BASE_SECONDS + _bytes(_status(pid), "VmRSS") * _READ_SECONDS_PER_BYTE


def check_can_photograph(
    pid: int, budget_seconds: float, accept_stop: bool = False, experimental: bool = False
) -> None:
    """Raise RefusedError when process ``pid`` may not be copied, StopTooLongError above the budget.

    ``experimental`` allows processors on which memtui was not tried.
    """
    check_can_stop(pid, experimental)
    if is_stopped(pid):
        raise stopped_refusal(pid, f"Process {pid} needs no copy.")
    status = _status(pid)
    _check_shadow_stack(pid, status)
    _check_seccomp(pid)
    _check_namespace(pid)
    _check_memory(pid, status)
    _check_commit(pid, status)
    _check_processes(pid)
    predicted = predict_stop_seconds(pid)
    if predicted > budget_seconds and not accept_stop:
        raise StopTooLongError(
            f"A photograph of process {pid} would stop it for about {format_seconds(predicted)}.",
            why=f"That is more than the {format_seconds(budget_seconds)} that are allowed without asking.",
            next_step="Accept the stop (accept_stop), or count its types without one.",
        )


def check_can_stop(pid: int, experimental: bool = False) -> None:
    """Raise RefusedError when the threads of process ``pid`` cannot be stopped by memtui."""
    _check_machine(experimental)
    check_other(pid)
    check_process(pid)
    check_readable(pid)
    check_untraced(pid)


def is_stopped(pid: int) -> bool:
    """Whether its user has stopped it (Ctrl-Z, SIGSTOP). Raises TargetDiedError."""
    with ProcessReader(pid) as process:
        return process.state() == "T"


def stopped_refusal(pid: int, what: str) -> RefusedError:
    """Why a process that its user has stopped is not copied, and what to do instead."""
    return RefusedError(
        what,
        why="Its user has stopped it, so its memory does not change: it can be read as it is.",
        next_step=f"Do that: memtui snapshot --hold {pid}. Or continue it first: kill -CONT {pid}.",
    )


def suspends_seccomp(pid: int) -> bool:
    """Whether a thread of the process is under a seccomp filter, which is to be suspended for the call."""
    return _SECCOMP_FILTER in _seccomp_modes(pid)


def _check_machine(experimental: bool) -> None:
    system = os.uname()
    known = (ARCHITECTURE, UNTRIED_ARCHITECTURE) if experimental else (ARCHITECTURE,)
    if system.machine not in known:
        raise RefusedError(
            "Processes can be photographed on x86-64 only.",
            why=f"This is {system.machine}, on which it was never tried.",
        )
    if kernel_version(system.release) < OLDEST_KERNEL:
        needed = "It needs Linux {}.{}.".format(*OLDEST_KERNEL)
        raise RefusedError(f"The kernel {system.release} is too old for photographs.", why=needed)


def _check_shadow_stack(pid: int, status: dict[str, str]) -> None:
    if "shstk" in status.get("x86_Thread_features", "").split():
        raise RefusedError(
            f"Process {pid} runs with a shadow stack.",
            why="The kernel would end it when a thread of it is borrowed for the copy.",
            next_step=_OTHERWISE,
        )


def _check_seccomp(pid: int) -> None:
    modes = _seccomp_modes(pid)
    if _SECCOMP_STRICT in modes:
        raise RefusedError(
            f"Process {pid} may make no system call of memtui's.", why="It runs in seccomp's strict mode."
        )
    if _SECCOMP_FILTER in modes and not _may_suspend_seccomp():
        raise RefusedError(
            f"Process {pid} runs under a seccomp filter, which might end it for the call that copies it.",
            why="To suspend the filter takes the capability SYS_ADMIN, and that memtui itself has no filter.",
            next_step=f"Run memtui as root outside of the container. {_OTHERWISE}",
        )


def _may_suspend_seccomp() -> bool:
    own = _status(os.getpid())
    return bool(int(own["CapEff"], 16) >> _CAP_SYS_ADMIN & 1) and own.get("Seccomp", "0") == "0"


def _check_namespace(pid: int) -> None:
    """In a namespace of processes that is yet to begin, the copy would be the first, with which all others end."""
    try:
        own = os.readlink(f"/proc/{pid}/ns/pid")
        of_children = os.readlink(f"/proc/{pid}/ns/pid_for_children")
    except PermissionError:
        return
    except OSError:
        own, of_children = "", "none yet"
    if own != of_children:
        raise RefusedError(
            f"Process {pid} has its children live in another namespace of processes.",
            why="The copy might be the first one there, and then no other could follow it.",
            next_step=_OTHERWISE,
        )


def _check_memory(pid: int, status: dict[str, str]) -> None:
    own = _own_bytes(status)
    needed = int(own * _SHARE_DOUBLED) + _bytes(status, "VmPTE") + _SPARE_BYTES
    tightest = _tightest(memory_rooms(_cgroups(pid), _mountinfo(), _meminfo()))
    if tightest is not None and tightest.free < needed:
        raise RefusedError(
            f"There is too little memory for a copy of process {pid}.",
            why=(
                f"What it changes while the copy lives is there twice: of {format_bytes(own)} about "
                f"{format_bytes(needed)}, and {tightest.where} has {format_bytes(tightest.free)} left."
            ),
            next_step=_OTHERWISE,
        )


def _check_commit(pid: int, status: dict[str, str]) -> None:
    """With strict accounting the copy is charged in full, and the process itself might get no more memory."""
    if _OVERCOMMIT.read_text("ascii").strip() != "2":
        return
    memory = parse_meminfo(_meminfo())
    wanted, limit = memory["Committed_AS"] + _bytes(status, "VmData"), memory["CommitLimit"]
    if wanted > limit * _COMMIT_SHARE:
        raise RefusedError(
            f"A copy of process {pid} would use up the memory that this machine promises.",
            why=f"With vm.overcommit_memory=2 the limit is {format_bytes(limit)}; needed are {format_bytes(wanted)}.",
            next_step=_OTHERWISE,
        )


def _check_processes(pid: int) -> None:
    tightest = _tightest(process_rooms(_cgroups(pid), _mountinfo()))
    if tightest is not None and tightest.free < _PROCESSES:
        raise RefusedError(
            f"Process {pid} may hardly start another process.",
            why=f"Of {tightest.limit} that {tightest.where} allows, {tightest.free} are left.",
            next_step=_OTHERWISE,
        )


def _tightest(rooms: list[Room]) -> Room | None:
    return min(rooms, key=lambda one: one.free, default=None)


def _own_bytes(status: dict[str, str]) -> int:
    """Memory that a copy has to be prepared for, page by page: neither files nor shared memory."""
    return _bytes(status, "RssAnon") + _bytes(status, "VmSwap")


def _seccomp_modes(pid: int) -> set[int]:
    """Of all its threads. Raises TargetDiedError when it is gone."""
    modes = {int(_status(pid).get("Seccomp", "0"))}
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            text = Path(f"/proc/{pid}/task/{tid}/status").read_text("utf-8", "replace")
        except OSError:
            continue
        modes.update(int(line.split()[1]) for line in text.splitlines() if line.startswith("Seccomp:"))
    return modes


def _status(pid: int) -> dict[str, str]:
    with ProcessReader(pid) as process:
        return process.status()


def _bytes(status: dict[str, str], name: str) -> int:
    return int(status.get(name, "0").split()[0]) * _KIB


def _cgroups(pid: int) -> str:
    return os.fsdecode(read_proc(pid, "cgroup", "control groups"))


def _mountinfo() -> str:
    return Path("/proc/self/mountinfo").read_text("utf-8", "replace")


def _meminfo() -> str:
    return Path("/proc/meminfo").read_text("ascii")
