"""Counting the objects that the collector tracks by type: by scanning, not by following the collector's lists.

The lists of a running program change while they are followed; its objects stay where they are. An object that the
collector tracks is 16-aligned and looks like this: link to the next one, link to the one before (with flags), count
of references, type. Both links point into memory that the program can write, and the type is a type object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from memtui.heap.pieces import OVERLAP_BYTES, Flags, Words
from memtui.heap.regions import Span

_HEAD_WORDS = OVERLAP_BYTES // 8
_MAX_REFERENCES = np.uint64((1 << 32) - 1)
_FLAGS_OF_NEXT = np.uint64(1)
_FLAGS_OF_BEFORE = np.uint64(3)
_COLLECTING = np.uint64(2)
_SHIFT_OF_COPY = np.uint64(2)
_SHIFT_OF_HASH = np.uint64(4)
_POINTER_BITS = np.uint64(7)


class TypeCounter:
    """Adds up the objects of each type, by the type's address. ``is_type`` tells whether one is at an address."""

    def __init__(self, writable: Sequence[Span], is_type: Callable[[int], bool]) -> None:
        self._bounds = np.array([address for span in writable for address in span], np.uint64)
        self._low = self._bounds[0]
        self._width = self._bounds[-1] - self._low
        self._is_type = is_type
        self.counts: dict[int, int] = {}

    def add(self, words: Words) -> None:
        """Count the objects whose heads begin in a piece of memory (without its overlap)."""
        # Nearly all memory is sorted out by this first look at one word in two, so it must be cheap.
        links = words[:-_HEAD_WORDS:2]
        heads = np.flatnonzero(links - self._low < self._width) * 2
        kinds, references = words[heads + 3], words[heads + 2]
        likely = (references - np.uint64(1) < _MAX_REFERENCES) & (kinds & _POINTER_BITS == 0)
        likely &= kinds - self._low < self._width
        heads, kinds, references = heads[likely], kinds[likely], references[likely]
        linked = self._linked(words[heads], words[heads + 1], references)
        self._tally(kinds[linked & self._is_count(references, kinds)])

    def _linked(self, after: Words, before: Words, references: Words) -> Flags:
        """Whether the links lead somewhere; while an object is being collected, it has no link to the one before."""
        after = after & ~_FLAGS_OF_NEXT
        backwards = before & ~_FLAGS_OF_BEFORE
        leads_back = (backwards & _POINTER_BITS == 0) & self._is_writable(backwards)
        collected = (before & _COLLECTING != 0) & (before >> _SHIFT_OF_COPY <= references)
        linked: Flags = (after & _POINTER_BITS == 0) & self._is_writable(after) & (leads_back | collected)
        return linked

    def _is_count(self, references: Words, kinds: Words) -> Flags:
        """In a program that is loaded at low addresses, pointers and hashes of types are as small as counts."""
        if self._low > _MAX_REFERENCES:
            return np.ones(len(references), np.bool_)
        counts: Flags = ~self._is_writable(references) & (references != kinds >> _SHIFT_OF_HASH)
        return counts

    def _is_writable(self, addresses: Words) -> Flags:
        inside: Flags = np.searchsorted(self._bounds, addresses, side="right") & 1 == 1
        return inside

    def _tally(self, kinds: Words) -> None:
        found, numbers = np.unique(kinds, return_counts=True)
        for kind, number in zip(found.tolist(), numbers.tolist(), strict=True):
            if self._is_type(kind):
                self.counts[kind] = self.counts.get(kind, 0) + number


def count_types(pieces: Iterable[Words], writable: Sequence[Span], is_type: Callable[[int], bool]) -> dict[int, int]:
    """The number of tracked objects of each type in ``pieces``, by the type's address."""
    counter = TypeCounter(writable, is_type)
    for words in pieces:
        counter.add(words)
    return counter.counts
