"""Which memory of a process can hold Python's objects, and which of it is really there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType

from memtui.errors import RefusedError
from memtui.observe.access import reading
from memtui.observe.maps import Mapping

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
ENTRY_BYTES = 8
PRESENT, SWAPPED = 1 << 63, 1 << 62
"""Bits of a page's entry: it is in memory; it is swapped out."""

Span = tuple[int, int]
"""Addresses from the first (included) to the second (not included)."""


def writable(maps: Iterable[Mapping]) -> list[Span]:
    """The private memory that the program can write: whatever a link of the collector points at is in it."""
    return _joined(mapping for mapping in maps if _is_writable(mapping))


def searched(maps: Iterable[Mapping]) -> list[Span]:
    """The part of it in which CPython makes objects that the collector tracks: no files, and not the stack."""
    return _joined(mapping for mapping in maps if _is_writable(mapping) and _holds_objects(mapping))


def _is_writable(mapping: Mapping) -> bool:
    return mapping.permissions.startswith("rw") and mapping.permissions.endswith("p")


def _holds_objects(mapping: Mapping) -> bool:
    # "[anon:...]" are the names that a program gives its anonymous memory.
    return mapping.path in ("", "[heap]") or mapping.path.startswith("[anon:")


def _joined(maps: Iterable[Mapping]) -> list[Span]:
    spans: list[Span] = []
    for mapping in maps:
        if spans and spans[-1][1] == mapping.start:
            spans[-1] = spans[-1][0], mapping.end
        else:
            spans.append((mapping.start, mapping.end))
    return spans


class PageMap:
    """Tells which pages of a process are in memory; close it, or use it in a ``with`` block.

    Reading a page that was never touched would make the kernel map one, and reading one that is swapped out would
    bring it back: memtui does neither. Raises :class:`RefusedError` where the kernel does not tell.
    """

    def __init__(self, pid: int) -> None:
        self._fd = -1
        self._pid = pid
        if not os.path.exists("/proc/self/pagemap"):
            raise RefusedError(
                f"The memory of process {pid} cannot be scanned without harm.",
                why="The kernel does not say which pages are in use (it has no /proc/PID/pagemap).",
            )
        with reading(pid, "page map"):
            self._fd = os.open(f"/proc/{pid}/pagemap", os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> PageMap:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def read(self, start: int, end: int) -> bytes:
        """One 64-bit number for each page between two page boundaries; see ``PRESENT`` and ``SWAPPED``."""
        first = start // PAGE_BYTES
        with reading(self._pid, "page map"):
            return os.pread(self._fd, (end // PAGE_BYTES - first) * ENTRY_BYTES, first * ENTRY_BYTES)
