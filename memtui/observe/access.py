"""Opening what ``/proc`` has of a process, with errors as sentences."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memtui.errors import RefusedError, TargetDiedError

_GONE = (errno.ENOENT, errno.ESRCH)
_FORBIDDEN = (errno.EPERM, errno.EACCES)


@contextmanager
def reading(pid: int, what: str) -> Iterator[None]:
    """Turn the operating system's errors while reading ``what`` of ``pid`` into memtui's.

    Raises :class:`TargetDiedError` when the process is gone and :class:`RefusedError` when it may not be read.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _GONE:
            raise TargetDiedError(f"Process {pid} has ended.") from error
        if error.errno in _FORBIDDEN:
            raise RefusedError(
                f"The {what} of process {pid} may not be read.",
                why="It belongs to another user or is protected from tracing.",
                next_step=f"Run memtui as its owner or with sudo; what is in the way says: memtui doctor {pid}",
            ) from error
        raise


def read_proc(pid: int, name: str, what: str) -> bytes:
    """The contents of ``/proc/PID/name``; ``what`` names it in an error."""
    with reading(pid, what):
        return Path(f"/proc/{pid}/{name}").read_bytes()
