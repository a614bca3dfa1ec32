"""What is left of frozen copies when the helper that held them was killed: found by looking at ``/proc``.

A copy ends with its helper, and what stays is a zombie: a dead child of the target that no wait call of the
application sees, and that nobody reaps. It is told from the application's own children by several signs together: it
has no exit signal (which only a bare ``clone`` gives), never executed a program, and is dead by SIGKILL or by an exit
with code 0.

A copy that lives and that nobody traces is about to end: its first instructions are those of ``_exit``. It is waited
for; one that has all signals blocked, as only memtui does, is killed to be sure.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from memtui.attach.borrow import ALL_BLOCKED
from memtui.attach.ptrace import WALL
from memtui.observe.process import children

_PF_FORKNOEXEC = 0x40
_KILLED, _LEFT = 9, 0
_PARENT, _SESSION, _FLAGS, _STARTED, _EXIT_SIGNAL, _EXIT_CODE = 1, 3, 6, 19, 35, 49
"""Fields of ``/proc/PID/stat`` after the name (``proc_pid_stat(5)``)."""
_DYING_SECONDS = 2.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAUSE_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class _Child:
    """A child that never executed a program. ``inner`` is its number as its parent knows it."""

    pid: int
    inner: int
    is_dead: bool
    has_tracer: bool
    blocked_signals: int
    exit_signal: int
    exit_code: int
    session: int
    age_seconds: float


def find(pid: int) -> list[int]:
    """The dead copies among the children of process ``pid``, by the numbers by which itself knows them.

    Living ones without a tracer are waited for.
    """
    end_strays(pid)
    return [one.inner for one in _unexecuted_children(pid) if _is_dead_copy(one) and not one.exit_signal]


def end_strays(pid: int, session: int | None = None) -> int:
    """Wait until the copies that nobody traces among the children of ``pid`` are dead.

    They have no exit signal; with ``session`` those with one that belong to it are meant. Returns their number.
    """
    strays = [one for one in _unexecuted_children(pid) if _is_stray(one, session)]
    for one in strays:
        if one.blocked_signals == ALL_BLOCKED:
            try:
                os.kill(one.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        _wait_until_dead(one.pid)
    return len(strays)


def reap_own(session: int) -> int:
    """Reap the copies among memtui's own children, of a target in ``session``. Returns their number."""
    end_strays(os.getpid(), session)
    reaped = 0
    for one in _unexecuted_children(os.getpid()):
        if one.session == session and _is_dead_copy(one):
            try:
                reaped += bool(os.waitpid(one.pid, os.WNOHANG | WALL)[0])
            except ChildProcessError:
                continue
    return reaped


def _wait_until_dead(pid: int) -> None:
    """A large process takes some time to end."""
    end = time.monotonic() + _DYING_SECONDS
    while time.monotonic() < end:
        fields = _stat(pid)
        if fields is None or fields[0] in (b"Z", b"X"):
            return
        time.sleep(_PAUSE_SECONDS)


def _is_dead_copy(child: _Child) -> bool:
    return child.is_dead and not child.has_tracer and child.exit_code in (_KILLED, _LEFT)


def _is_stray(child: _Child, session: int | None) -> bool:
    """An old one with other signals blocked is the application's own: it would have ended long ago."""
    if child.is_dead or child.has_tracer:
        return False
    if child.blocked_signals != ALL_BLOCKED and child.age_seconds > _DYING_SECONDS:
        return False
    return not child.exit_signal if session is None else child.session == session


def _unexecuted_children(pid: int) -> Iterator[_Child]:
    depth = len(_status(pid).get("NSpid", "").split())
    for child in children(pid):
        fields = _stat(child)
        if fields is None or int(fields[_PARENT]) != pid or not int(fields[_FLAGS]) & _PF_FORKNOEXEC:
            continue
        status = _status(child)
        if depth and "NSpid" in status:
            yield _Child(
                pid=child,
                inner=int(status["NSpid"].split()[depth - 1]),
                is_dead=fields[0] == b"Z",
                has_tracer=status["TracerPid"].strip() != "0",
                blocked_signals=int(status["SigBlk"], 16),
                exit_signal=int(fields[_EXIT_SIGNAL]),
                exit_code=int(fields[_EXIT_CODE]),
                session=int(fields[_SESSION]),
                age_seconds=time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[_STARTED]) / _TICKS_PER_SECOND,
            )


def _stat(pid: int) -> list[bytes] | None:
    """The fields after the name; None when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _status(pid: int) -> dict[str, str]:
    """Empty when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {name: value for name, _, value in (line.partition(":") for line in text.splitlines())}
