"""Whether a process that limits its memory has room for the agent: found out before anything is tried in it."""

from __future__ import annotations

import os

from memtui.errors import RefusedError
from memtui.model.units import format_bytes
from memtui.observe.access import read_proc

_WORK_BYTES = 4 * 1024 * 1024
"""Beside the stack of its thread: the agent's text and objects, and what tracing and replies take."""
_UNLIMITED_STACK_BYTES = 2 * 1024 * 1024
"""The stack that glibc gives a thread where the process's own stack is not limited."""


def check_room(pid: int) -> None:
    """Raise RefusedError when the address space of process ``pid`` is limited and nearly used up."""
    limits = _limits(read_proc(pid, "limits", "limits").decode())
    most = limits["Max address space"]
    if most is None:
        return
    pages = int(read_proc(pid, "statm", "memory").split()[0])
    free = most - pages * os.sysconf("SC_PAGE_SIZE")
    needed = (limits["Max stack size"] or _UNLIMITED_STACK_BYTES) + _WORK_BYTES
    if free < needed:
        left = f"of which {format_bytes(max(0, free))} are free"
        raise RefusedError(
            f"Process {pid} has no room for the agent.",
            why=f"Its address space is limited to {format_bytes(most)}, {left}; it takes {format_bytes(needed)}.",
            next_step=f"It can be observed from outside, or raise the limit: prlimit --as=unlimited --pid {pid}.",
        )


def _limits(text: str) -> dict[str, int | None]:
    """The soft limits of ``/proc/PID/limits``; None for unlimited."""
    rows = ((line[:26].strip(), line[26:].split()) for line in text.splitlines()[1:])
    return {name: None if fields[0] == "unlimited" else int(fields[0]) for name, fields in rows}
