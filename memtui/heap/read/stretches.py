"""Stretches of memory that belong to an object and may hold references, and gathering the references in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import NOBODY, Link
from memtui.heap.read.image import Image, Indices, Words, ranges

_BATCH_WORDS = 1 << 22


@dataclass(frozen=True, slots=True)
class Names:
    """Where key or name of each word of a stretch are: word ``starts + position * stride``, for the first ``counts``.

    ``counts``: None when all have one.
    """

    starts: Indices
    stride: int = 1
    counts: Indices | None = None


@dataclass(frozen=True, slots=True)
class Stretches:
    """One row each: object ``owners`` owns ``counts`` words, from word ``starts`` on, every ``stride``-th.

    The number of an edge is the word's ``names``, else its position plus ``first`` for :attr:`Link.ITEM`, else its
    offset in bytes, from ``first`` or from the object's address, for :attr:`Link.FIELD`, else NOBODY.
    """

    link: Link
    owners: Indices
    starts: Indices
    counts: Indices
    stride: int = 1
    first: Indices | None = None
    names: Names | None = None
    is_body: bool = False
    """The object itself: the link of its weak references there is not a reference."""

    def where(self, keep: NDArray[np.bool_]) -> Stretches:
        """Those rows that are kept."""
        names = self.names
        if names is not None:
            names = Names(names.starts[keep], names.stride, None if names.counts is None else names.counts[keep])
        return Stretches(
            self.link, self.owners[keep], self.starts[keep], self.counts[keep], self.stride,
            None if self.first is None else self.first[keep], names, self.is_body,
        )  # fmt: skip


class Numbering:
    """From addresses to numbers of objects."""

    def __init__(self, image: Image, index: Indices) -> None:
        self._image = image
        self.index = index
        self._by_word = np.full(len(image.words), NOBODY, np.int32)
        self._by_word[index] = np.arange(len(index), dtype=np.int32)

    def lookup(self, addresses: Words) -> NDArray[np.int32]:
        """The object at each address; NOBODY where none begins."""
        found = np.full(len(addresses), NOBODY, np.int32)
        words = self._image.find(addresses)
        inside = np.flatnonzero(words >= 0)
        found[inside] = self._by_word[words[inside]]
        return found

    def one(self, address: int) -> int:
        """The object at an address, or NOBODY."""
        word = self._image.find_one(address)
        return int(self._by_word[word]) if word >= 0 else NOBODY


@dataclass(frozen=True, slots=True)
class Gathered:
    """References: a row each."""

    sources: NDArray[np.int32]
    targets: NDArray[np.int32]
    links: NDArray[np.uint8]
    numbers: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.sources)

    def where(self, keep: NDArray[np.bool_] | Indices) -> Gathered:
        """Those rows that are kept, or these rows in this order."""
        return Gathered(self.sources[keep], self.targets[keep], self.links[keep], self.numbers[keep])

    def part(self, begin: int, end: int) -> Gathered:
        """Rows from ``begin`` to in front of ``end``."""
        rows = slice(begin, end)
        return Gathered(self.sources[rows], self.targets[rows], self.links[rows], self.numbers[rows])

    def of(self, source: int) -> Gathered:
        """The references that one object holds, of rows that are sorted by source."""
        begin, end = np.searchsorted(self.sources, np.array([source, source + 1], self.sources.dtype))
        return self.part(int(begin), int(end))


def join(parts: Iterable[Gathered]) -> Gathered:
    """All rows of all parts."""
    found = [part for part in parts if len(part)]
    if not found:
        nothing = np.empty(0, np.int32)
        return Gathered(nothing, nothing, np.empty(0, np.uint8), nothing)
    return Gathered(
        np.concatenate([one.sources for one in found]),
        np.concatenate([one.targets for one in found]),
        np.concatenate([one.links for one in found]),
        np.concatenate([one.numbers for one in found]),
    )


def gather(image: Image, numbering: Numbering, stretches: Stretches) -> Iterator[Gathered]:
    """The references in ``stretches``, batch by batch; rows that run over the end of the image are left out."""
    last = stretches.starts + (stretches.counts - 1) * stretches.stride
    sound = (stretches.starts >= 0) & (stretches.counts > 0) & (last < len(image.words))
    rows = stretches.where(sound)
    sums = np.cumsum(rows.counts)
    begin = 0
    while begin < len(rows.owners):
        before = int(sums[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(sums, before + _BATCH_WORDS, side="right")))
        picked = np.zeros(len(rows.owners), bool)
        picked[begin:end] = True
        yield _gather_batch(image, numbering, rows.where(picked) if end - begin < len(rows.owners) else rows)
        begin = end


def _gather_batch(image: Image, numbering: Numbering, rows: Stretches) -> Gathered:
    positions, which = ranges(rows.counts)
    words = rows.starts[which] + positions * rows.stride
    targets = numbering.lookup(image.words[words])
    found = np.flatnonzero(targets >= 0)
    positions, which, words, targets = positions[found], which[found], words[found], targets[found]
    owners = rows.owners[which]
    numbers = _numbers(image, numbering, rows, positions, which, words)
    links = np.full(len(found), rows.link, np.uint8)
    return Gathered(owners.astype(np.int32), targets, links, numbers.astype(np.int32))


def _numbers(
    image: Image, numbering: Numbering, rows: Stretches, positions: Indices, which: Indices, words: Indices
) -> Indices:
    if rows.names is not None:
        at = rows.names.starts[which] + positions * rows.names.stride
        named = (at >= 0) & (at < len(image.words)) & (rows.names.starts[which] >= 0)
        if rows.names.counts is not None:
            named &= positions < rows.names.counts[which]
        names = np.full(len(positions), NOBODY, np.int64)
        names[named] = numbering.lookup(image.words[at[named]])
        return names
    if rows.link is Link.ITEM:
        return positions if rows.first is None else positions + rows.first[which]
    if rows.link is Link.FIELD and rows.first is not None:
        return rows.first[which] + positions * 8
    if rows.link is Link.FIELD:
        return (words - numbering.index[rows.owners[which]]) * 8
    return np.full(len(positions), NOBODY, np.int64)
