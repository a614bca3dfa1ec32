"""Which thread of a process may be borrowed, and at which point."""

from __future__ import annotations

import os

from memtui.attach import ptrace
from memtui.attach.native import arch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CUT_SHORT, _NEVER = 3, 9
_WHOLE_BYTES = 4096
"""So much is sent whole or not at all (PIPE_BUF)."""
_MSG_WAITALL = 0x100
ASLEEP, RUNNING, C_CODE_MAY_SEE, NEVER = 0, 1, 2, _NEVER
"""How harmless it is to stop a thread and have it make one system call: see :func:`rank_for_one_call`."""


def candidates(pid: int, route: str, most: int, may_cut_short: bool = False) -> list[int]:
    """The threads to try on a route ("auto", "thread", "no-exec"), most harmless first.

    Those that are sending, or waiting for all of something, only when that ``may_cut_short``.
    """
    worst = _CUT_SHORT if may_cut_short else _CUT_SHORT - 1
    if route == "no-exec":
        return [pid] if rank(pid, pid) != _CUT_SHORT or may_cut_short else []
    # Signals for the process as a whole go to its main thread, where Python waits for them: others are taken first.
    ranked = sorted((rank(pid, tid), tid == pid, tid) for tid in map(int, os.listdir(f"/proc/{pid}/task")))
    sleeping_only = route == "thread"
    return [tid for one, _, tid in ranked if one <= worst and not (one == 1 and sleeping_only)][:most]


def cuts_short(pid: int) -> bool:
    """Whether the main thread is left out for that reason now."""
    return rank(pid, pid) == _CUT_SHORT


def rank(pid: int, tid: int) -> int:
    """How harmless it is to borrow a thread now, as far as can be seen without stopping it.

    0 asleep where the kernel restarts the call, 1 the running main thread, 2 asleep where C code may see EINTR,
    3 asleep where the call may end having done a part of its work, 9 not to be touched.
    """
    running = 1 if tid == pid else _NEVER
    try:
        if thread_state(pid, tid) in "DZX":
            return _NEVER  # it would not stop, or only when the helper no longer looks after it
        fields = _system_call(pid, tid)
    except OSError:
        return _NEVER
    if not fields or fields[0] in ("running", "-1"):
        return running
    number = int(fields[0])
    if _is_cut_short(fields):
        return _CUT_SHORT if number in arch.HARMLESS_WAITS or tid == pid else _NEVER
    if number == arch.SYS_FUTEX and int(fields[2], 16) & 0x7F != arch.FUTEX_WAIT_BITSET:
        return running
    if number not in arch.HARMLESS_WAITS:
        return running
    if number == arch.SYS_RT_SIGTIMEDWAIT and int(fields[3], 16):
        return _NEVER  # if its time is over when it was interrupted, CPython returns a signal that never came
    return 2 if number in arch.INTERRUPTED_FOR_C_CODE else 0


def rank_for_one_call(pid: int, tid: int) -> int:
    """How harmless it is to stop a thread and have it make one system call, which needs no lock and no memory.

    ASLEEP where the kernel restarts the call, RUNNING (or in a call not known to be one of the others),
    C_CODE_MAY_SEE that its wait was interrupted, or its program that a part was done, NEVER: it does not stop now, or
    would get a false result.
    """
    try:
        if thread_state(pid, tid) in "DZX":
            return NEVER
        fields = _system_call(pid, tid)
    except OSError:
        return NEVER
    if not fields or fields[0] in ("running", "-1"):
        return RUNNING
    number = int(fields[0])
    if number == arch.SYS_RT_SIGTIMEDWAIT and int(fields[3], 16):
        return NEVER
    if number in arch.INTERRUPTED_FOR_C_CODE or _is_cut_short(fields):
        return C_CODE_MAY_SEE
    return ASLEEP if number in arch.HARMLESS_WAITS else RUNNING


def _is_cut_short(fields: list[str]) -> bool:
    """Whether the call, as ``/proc/PID/task/TID/syscall`` tells it, ends early where it was stopped on the way.

    It says how much was sent or received; programs may take it that this was all.
    """
    number, arguments = int(fields[0]), fields[1:]
    if number in arch.RECEIVING:
        return bool(int(arguments[arch.RECEIVING[number]], 16) & _MSG_WAITALL)
    size = arch.SENDING.get(number)
    return size is not None and (size < 0 or int(arguments[size], 16) > _WHOLE_BYTES)


def slices(pid: int, tid: int) -> int | None:
    """How many times the thread was given a processor; None where the kernel does not tell (or it is gone)."""
    try:
        with open(f"/proc/{pid}/task/{tid}/schedstat", "rb") as file:
            return int(file.read().split()[2]) or None  # 0 0 0 from kernels that do not count
    except (OSError, IndexError):
        return None


def waits_for_lock(pid: int, tid: int) -> bool:
    """Whether the thread sleeps in a lock now."""
    try:
        fields = _system_call(pid, tid)
        return fields[:1] == [str(arch.SYS_FUTEX)] and thread_state(pid, tid) == "S"
    except OSError:
        return False


def thread_state(pid: int, tid: int) -> str:
    """One letter, as ``ps`` shows it. Raises OSError when the thread is gone."""
    with open(f"/proc/{pid}/task/{tid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0].decode()


def traced(pid: int) -> bool:
    """Whether any thread of the process has a tracer."""
    try:
        return any(_tracer(pid, int(tid)) for tid in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return False


def alive(pid: int) -> bool:
    """Whether any thread of the process is left."""
    try:
        return any(_runs(pid, int(tid)) for tid in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return False


def in_restartable_sequence(tid: int, instruction: int, read: Callable[[int, int], bytes]) -> bool:
    """Whether a stopped thread is inside a restartable sequence: to move it there would be undone by the kernel."""
    area = ptrace.rseq_area(tid)
    if not area:
        return False
    descriptor = int.from_bytes(read(area + 8, 8), "little")
    if not descriptor:
        return False
    start = int.from_bytes(read(descriptor + 8, 8), "little")
    length = int.from_bytes(read(descriptor + 16, 8), "little")
    return start <= instruction < start + length


def has_room(pid: int, lowest: int, top: int) -> bool:
    """Whether the stack that ``top`` points into reaches down to ``lowest`` without a guard page between.

    The main thread's stack may also grow by these bytes: the kernel maps them when they are written.
    """
    return ptrace.may_read(pid, lowest, top - lowest) or _may_grow(pid, lowest, top)


def _may_grow(pid: int, lowest: int, top: int) -> bool:
    below_end = 0
    with open(f"/proc/{pid}/maps", "rb") as file:
        for line in file:
            start, end = (int(one, 16) for one in line.split(None, 1)[0].split(b"-"))
            if start <= top < end:
                return line.rstrip().endswith(b"[stack]") and below_end <= lowest < start
            below_end = end
    return False


def _system_call(pid: int, tid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{tid}/syscall") as file:
        return file.read().split()


def _tracer(pid: int, tid: int) -> bool:
    with open(f"/proc/{pid}/task/{tid}/status", "rb") as file:
        return b"\nTracerPid:\t0\n" not in file.read()


def _runs(pid: int, tid: int) -> bool:
    try:
        return thread_state(pid, tid) not in "ZX"
    except OSError:
        return False
