"""The memory of a running process in pieces of constant size, without touching what is not in use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from memtui.heap.regions import PAGE_BYTES, PRESENT, SWAPPED, PageMap, Span
from memtui.observe.memory import RemoteMemory, UnreadableError

Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]

OVERLAP_BYTES = 16
"""A piece goes on so far beyond its end, for what begins in its last bytes."""
_PIECE_PAGES = 4 * 1024 * 1024 // PAGE_BYTES
_WINDOW_BYTES = 256 * 1024 * 1024


class PieceReader:
    """Reads ``spans`` piece by piece into one buffer, so a piece is good until the next one is asked for.

    Iterating gives the words of each piece, ``OVERLAP_BYTES`` included; pages that are not in memory are zeros.
    """

    def __init__(self, memory: RemoteMemory, pages: PageMap, spans: Sequence[Span]) -> None:
        self._memory, self._pages, self._spans = memory, pages, spans
        self._words: Words = np.zeros((_PIECE_PAGES * PAGE_BYTES + OVERLAP_BYTES) // 8, np.uint64)
        self._bytes = self._words.view(np.uint8).data
        self.bytes_read = 0
        self.swapped_bytes = 0

    def __iter__(self) -> Iterator[Words]:
        for start, end in self._spans:
            for window in range(start, end, _WINDOW_BYTES):
                yield from self._window(window, min(window + _WINDOW_BYTES, end), end)

    def _window(self, start: int, end: int, limit: int) -> Iterator[Words]:
        # One page more tells whether the memory goes on behind the window.
        entries = np.frombuffer(self._pages.read(start, min(end + PAGE_BYTES, limit)), np.uint64)
        count = min((end - start) // PAGE_BYTES, len(entries))
        self.swapped_bytes += int(np.count_nonzero(entries[:count] & np.uint64(SWAPPED))) * PAGE_BYTES
        present = entries >= np.uint64(PRESENT)
        page = 0
        while (page := _next_page(present, page, count)) < count:
            length = min(_PIECE_PAGES, count - page)
            yield self._piece(start + page * PAGE_BYTES, present[page : page + length + 1], length)
            page += length

    def _piece(self, start: int, present: Flags, length: int) -> Words:
        size = length * PAGE_BYTES
        read_to = 0
        for first, last in _stretches(present[:length]):
            self._clear(read_to, first * PAGE_BYTES)
            read_to = last * PAGE_BYTES
            self._fill(start, first * PAGE_BYTES, read_to)
        self._clear(read_to, size + OVERLAP_BYTES)
        if len(present) > length and present[length]:
            self._fill(start, size, size + OVERLAP_BYTES)
        return self._words[: (size + OVERLAP_BYTES) // 8]

    def _fill(self, start: int, first: int, last: int) -> None:
        while first < last:
            try:
                got = self._memory.read_into(self._bytes[first:last], start + first)
            except UnreadableError:
                got = 0
            self.bytes_read += got
            first += got
            if first < last:
                # The program gave this page back a moment ago.
                behind = min((first // PAGE_BYTES + 1) * PAGE_BYTES, last)
                self._clear(first, behind)
                first = behind

    def _clear(self, first: int, last: int) -> None:
        if first < last:
            self._words[first // 8 : (last + 7) // 8] = 0


def _next_page(present: Flags, page: int, count: int) -> int:
    """The first page in memory from ``page`` on; ``count`` when there is none."""
    rest = present[page:count]
    if not rest.any():
        return count
    return page + int(np.argmax(rest))


def _stretches(present: Flags) -> list[tuple[int, int]]:
    """First and one behind the last page of each stretch of pages that are in memory."""
    edges = np.flatnonzero(np.diff(present, prepend=False, append=False))
    firsts, lasts = edges[::2].tolist(), edges[1::2].tolist()
    return list(zip(firsts, lasts, strict=True))
