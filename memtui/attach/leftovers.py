"""What is left of frozen copies when the helper that held them was killed: found by looking at ``/proc``.

A copy ends with its helper, and what stays is a zombie: a dead child of the target that no wait call of the
application sees, and that nobody reaps. It is told from the application's own children by several signs together: it
has no exit signal (which only a bare ``clone`` gives), never executed a program, and is dead by SIGKILL or by an exit
with code 0.
"""

from __future__ import annotations

from memtui.observe.process import children

_PF_FORKNOEXEC = 0x40
_KILLED, _LEFT = 9, 0
_FLAGS, _EXIT_SIGNAL, _EXIT_CODE = 6, 35, 49
"""Fields of ``/proc/PID/stat`` after the name (``proc_pid_stat(5)``)."""


def find(pid: int) -> list[int]:
    """The dead copies among the children of process ``pid``, by the numbers by which itself knows them."""
    return [number for one in children(pid) if (number := _dead_copy(one, pid))]


def _dead_copy(child: int, parent: int) -> int:
    """The innermost number of ``child`` when it is a copy that is to be reaped, else 0."""
    try:
        with open(f"/proc/{child}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        with open(f"/proc/{child}/status", "rb") as file:
            status = file.read()
    except OSError:
        return 0
    if fields[0] != b"Z" or int(fields[1]) != parent or int(fields[_EXIT_SIGNAL]):
        return 0
    if not int(fields[_FLAGS]) & _PF_FORKNOEXEC or int(fields[_EXIT_CODE]) not in (_KILLED, _LEFT):
        return 0
    if b"\nTracerPid:\t0\n" not in status:
        return 0  # a helper is just about to remove it
    return _inner_number(status)


def _inner_number(status: bytes) -> int:
    numbers = [line.split() for line in status.splitlines() if line.startswith(b"NSpid:")]
    return int(numbers[0][-1]) if numbers else 0
