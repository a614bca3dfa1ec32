"""Whether a process that limits its memory or files has room for the agent: found out before anything is tried."""

from __future__ import annotations

import os

from memtui.errors import RefusedError
from memtui.model.units import format_bytes
from memtui.observe.access import read_proc, reading

_WORK_BYTES = 4 * 1024 * 1024
"""Beside the stack of its thread: the agent's text and objects, and what tracing and replies take."""
_UNLIMITED_STACK_BYTES = 2 * 1024 * 1024
"""The stack that glibc gives a thread where the process's own stack is not limited."""
_FILES = 5
"""The two ends of the channel, its mark, and later the pipe that wakes the agent; one to spare."""


def check_room(pid: int) -> None:
    """Raise RefusedError when the address space or the files of process ``pid`` are limited and nearly used up."""
    limits = _limits(read_proc(pid, "limits", "limits").decode())
    _check_files(pid, *limits["Max open files"])
    _check_memory(pid, limits["Max address space"][0], limits["Max stack size"][0])


def _check_files(pid: int, most: int | None, hard: int | None) -> None:
    if most is None:
        return
    with reading(pid, "open files"):
        free = most - sum(int(name) < most for name in os.listdir(f"/proc/{pid}/fd"))
    if free < _FILES:
        more = most + _FILES
        limit = f"{more}:" if hard is None or more <= hard else str(more)  # soft only, where that is enough
        raise RefusedError(
            f"Process {pid} has no room for the agent.",
            why=f"It may have {most} files open, of which {free} are free; the agent needs {_FILES}.",
            next_step=f"Observe it from outside, or raise the limit: prlimit --nofile={limit} --pid {pid}.",
        )


def _check_memory(pid: int, most: int | None, stack: int | None) -> None:
    if most is None:
        return
    pages = int(read_proc(pid, "statm", "memory").split()[0])
    free = most - pages * os.sysconf("SC_PAGE_SIZE")
    needed = (stack or _UNLIMITED_STACK_BYTES) + _WORK_BYTES
    if free < needed:
        left = f"of which {format_bytes(max(0, free))} are free"
        raise RefusedError(
            f"Process {pid} has no room for the agent.",
            why=f"Its address space is limited to {format_bytes(most)}, {left}; it takes {format_bytes(needed)}.",
            next_step=f"It can be observed from outside, or raise the limit: prlimit --as=unlimited --pid {pid}.",
        )


def _limits(text: str) -> dict[str, tuple[int | None, int | None]]:
    """The limits of ``/proc/PID/limits``, soft and hard; None for unlimited."""
    rows = ((line[:26].strip(), line[26:].split()) for line in text.splitlines()[1:])
    return {name: (_number(fields[0]), _number(fields[1])) for name, fields in rows}


def _number(text: str) -> int | None:
    return None if text == "unlimited" else int(text)
