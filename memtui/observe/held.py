"""A file of a process that is held open, so that it stays that process's, whoever gets its number later."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TypeVar

from memtui.observe.access import reading

_Self = TypeVar("_Self", bound="HeldFile")


class HeldFile:
    """One open descriptor of process ``pid``; close it, or use it in a ``with`` block.

    Opening raises :class:`RefusedError` when that is not permitted, :class:`TargetDiedError` without the process.
    ``what`` names it for a person.
    """

    def __init__(self, pid: int, path: str, flags: int, what: str) -> None:
        self.pid = pid
        self._fd = -1
        with reading(pid, what):
            self._fd = os.open(path, flags | os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the process; closing twice does no harm."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
