"""C memory that holds references: hash tables, module states, linked nodes. Found as blocks of the allocators.

Objects whose count is higher than the references found are held from somewhere else. From pointers in objects of
types written in C this follows blocks of ``malloc`` and of Python's own allocator, and in these further blocks, as
long as that finds such objects; every word that refers to one of them counts as a reference. It is a conservative
scan: it looks only for objects that lack references, and gives none more than it lacks.

Source: ``malloc/malloc.c`` of glibc (chunks); see :mod:`memtui.heap.read.pools` for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import NOBODY, Kind, Link
from memtui.heap.read.image import Image, Indices, Words, ranges
from memtui.heap.read.layout import Layout
from memtui.heap.read.owned import Owned
from memtui.heap.read.pools import blocks_at
from memtui.heap.read.roots import Heap
from memtui.heap.read.stretches import Gathered, join

_MOST_ROUNDS = 32
_MOST_WORDS = 1 << 24
_LARGEST_BLOCK_BYTES = 1 << 28
_SMALLEST_CHUNK_BYTES = 32
_NDARRAY_DATA = 16
_INT32_MOST = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Blocks:
    """Blocks that lead to objects. ``edges`` number blocks behind the objects; ``held``: references by object."""

    addresses: Words
    sizes: Indices
    edges: Gathered
    held: Indices

    def __len__(self) -> int:
        return len(self.addresses)


def no_blocks() -> Blocks:
    """None."""
    return Blocks(np.empty(0, np.uint64), np.empty(0, np.int64), join([]), np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class _Pointers:
    """Words of holders (objects, or blocks numbered behind them) that lead to the beginning of a block."""

    holders: Indices
    offsets: Indices
    targets: Words


def find_blocks(heap: Heap, owned: Owned, missing: Indices) -> Blocks:
    """Blocks that hold references to objects of which ``missing`` references were not found."""
    search = _Search(heap, owned, missing)
    pointers = _from_objects(heap, owned)
    for _ in range(_MOST_ROUNDS):
        fresh = search.open(pointers)
        if not len(fresh) or not search.lacks_something:
            break
        pointers = search.scan(fresh)
    return search.result()


class _Search:
    def __init__(self, heap: Heap, owned: Owned, missing: Indices) -> None:
        self._image, self._layout, self._numbering = heap.image, heap.layout, heap.numbering
        self._count = len(heap.objects)
        self._lacking = missing.copy()
        self._starts = heap.objects.index
        self._ends = heap.objects.index + ((heap.objects.body_bytes + 7) >> 3)
        taken = [one.starts for one in owned.stretches if not one.is_body]
        self._taken = np.sort(np.concatenate([np.zeros(1, np.int64), *taken]))
        self._addresses: list[Words] = [np.empty(0, np.uint64)]
        self._sizes: list[Indices] = [np.empty(0, np.int64)]
        self._edges: list[Gathered] = []
        self._words_left = _MOST_WORDS

    @property
    def lacks_something(self) -> bool:
        """Whether there still are objects of which references were not found."""
        return bool((self._lacking > 0).any())

    def open(self, pointers: _Pointers) -> Indices:
        """Blocks that these pointers lead to for the first time, by number; their edges are kept."""
        words = self._image.find(pointers.targets)
        sizes = block_sizes(self._image, self._layout, pointers.targets, words)
        good = (sizes >= 16) & ~self._inside_objects(words) & ~self._is_taken(words)
        targets, kept = pointers.targets[good], sizes[good]
        known = np.concatenate(self._addresses)
        found, first = np.unique(targets, return_index=True)
        fresh = ~np.isin(found, known)
        begin = len(known)
        self._addresses.append(found[fresh])
        self._sizes.append(kept[first[fresh]])
        everything = np.concatenate(self._addresses)
        order = np.argsort(everything)
        number = order[np.searchsorted(everything, targets, sorter=order)]
        self._edges.append(_edges(pointers.holders[good], number + self._count, Link.MEMORY, pointers.offsets[good]))
        return np.arange(begin, len(everything))

    def scan(self, blocks: Indices) -> _Pointers:
        """Look through blocks: references to objects that lack one are kept, pointers to blocks returned."""
        addresses, sizes = np.concatenate(self._addresses)[blocks], np.concatenate(self._sizes)[blocks]
        counts = np.where(np.cumsum(sizes >> 3) <= self._words_left, sizes >> 3, 0)
        self._words_left -= int(counts.sum())
        positions, which = ranges(counts)
        at = self._image.find(addresses)[which] + positions
        inside = at < len(self._image.words)
        positions, which, words = positions[inside], which[inside], self._image.words[at[inside]]
        nodes = self._numbering.lookup(words)
        wanted = np.flatnonzero(nodes != NOBODY)
        wanted = wanted[self._lacking[nodes[wanted]] > 0]
        holders = blocks[which] + self._count
        self._edges.append(_edges(holders[wanted], nodes[wanted], Link.MEMORY, positions[wanted] * 8))
        np.subtract.at(self._lacking, nodes[wanted], 1)
        others = np.flatnonzero((nodes == NOBODY) & (words > np.uint64(4096)) & (words & np.uint64(7) == 0))
        return _Pointers(holders[others], positions[others] * 8, words[others])

    def result(self) -> Blocks:
        """Those blocks that lead to an object, numbered anew."""
        edges = join(self._edges)
        total = sum(len(one) for one in self._addresses)
        useful = self._leading(edges, total)
        mine = useful[self._count :]
        edges = edges.where(useful[edges.targets] & useful[edges.sources])
        number = np.concatenate([np.arange(self._count), self._count + np.cumsum(mine) - 1])
        renumbered = Gathered(
            number[edges.sources].astype(np.int32), number[edges.targets].astype(np.int32), edges.links, edges.numbers
        )
        held = np.bincount(edges.targets, minlength=self._count)[: self._count]
        addresses, sizes = np.concatenate(self._addresses)[mine], np.concatenate(self._sizes)[mine]
        return Blocks(addresses, sizes, renumbered, held)

    def _leading(self, edges: Gathered, total: int) -> NDArray[np.bool_]:
        """Which nodes lead to an object: followed backwards from those that hold one."""
        useful = np.zeros(self._count + total, bool)
        useful[: self._count] = True
        between = edges.where(edges.targets >= self._count)
        order = np.argsort(between.targets, kind="stable")
        sources, starts = (
            between.sources[order],
            np.searchsorted(between.targets[order], np.arange(self._count, self._count + total + 1)),
        )
        front = np.unique(edges.sources[(edges.targets < self._count) & (edges.sources >= self._count)])
        while len(front):
            useful[front] = True
            begin, end = starts[front - self._count], starts[front - self._count + 1]
            positions, which = ranges(end - begin)
            front = np.unique(sources[begin[which] + positions])
            front = front[~useful[front]]
        return useful

    def _inside_objects(self, words: Indices) -> NDArray[np.bool_]:
        before = np.searchsorted(self._starts, words, side="right") - 1
        inside: NDArray[np.bool_] = (before >= 0) & (words < self._ends[np.maximum(before, 0)])
        return inside

    def _is_taken(self, words: Indices) -> NDArray[np.bool_]:
        """Memory that belongs to a container was looked at already: items, or keys behind a head and indices."""
        at = np.searchsorted(self._taken, words)
        taken: NDArray[np.bool_] = self._taken[np.minimum(at, len(self._taken) - 1)] == words
        return taken


def _edges(sources: Indices, targets: NDArray[np.signedinteger], link: Link, offsets: Indices) -> Gathered:
    return Gathered(
        sources.astype(np.int32),
        targets.astype(np.int32),
        np.full(len(sources), link, np.uint8),
        np.minimum(offsets, _INT32_MOST).astype(np.int32),
    )


def _from_objects(heap: Heap, owned: Owned) -> _Pointers:
    """Pointers in objects of types of which nothing more is known, in modules (to their state), and in code."""
    kinds = heap.classes.kinds[heap.objects.row]
    rows = np.flatnonzero((kinds == Kind.GENERIC) | (kinds == Kind.NDARRAY) | (kinds == Kind.CODE))
    counts = np.maximum((heap.objects.body_bytes[rows] >> 3) - 2, 0)
    positions, which = ranges(counts)
    offsets = (positions + 2) * 8
    words = heap.image.words[np.minimum(heap.objects.index[rows][which] + positions + 2, len(heap.image.words) - 1)]
    likely = (words > np.uint64(4096)) & (words & np.uint64(7) == 0)
    likely &= ~((kinds[rows][which] == Kind.NDARRAY) & (offsets == _NDARRAY_DATA))
    likely = np.flatnonzero(likely)
    likely = likely[heap.numbering.lookup(words[likely]) == NOBODY]
    return _Pointers(rows[which[likely]], offsets[likely], words[likely])


def block_sizes(image: Image, layout: Layout, addresses: Words, words: Indices) -> Indices:
    """Bytes of the allocated block that begins at each address; 0 where none does. ``words``: their indices."""
    sizes = np.zeros(len(addresses), np.int64)
    here = np.flatnonzero((words > 0) & (addresses & np.uint64(15) == 0))
    anonymous = np.array([not one.is_static for one in image.regions], bool)
    here = here[anonymous[image.region_of(words[here])]]
    sizes[here] = _chunk_sizes(image, words[here])
    pools = _pool_sizes(image, layout, addresses[here])
    sizes[here] = np.where(pools > 0, pools, sizes[here])
    return sizes


def _chunk_sizes(image: Image, words: Indices) -> Indices:
    """By the word in front, as glibc's ``malloc`` keeps it: size and three flags; the next chunk must look right."""
    size = (image.words[words - 1] & ~np.uint64(7)).astype(np.int64)
    sane = (size >= _SMALLEST_CHUNK_BYTES) & (size < _LARGEST_BLOCK_BYTES) & (size & 15 == 0)
    mapped = image.words[words - 1] & np.uint64(2) != 0
    behind = words - 1 + (np.where(sane, size, 0) >> 3)
    inside = behind < len(image.words)
    in_use = image.words[np.where(inside, behind, 0)] & np.uint64(1) == 1
    return np.where(sane & (mapped | (inside & in_use)), size - 8, 0)


def _pool_sizes(image: Image, layout: Layout, addresses: Words) -> Indices:
    """Bytes of the blocks of Python's own allocator that begin at these addresses; 0 where none does."""
    block, into = blocks_at(image, layout, addresses)
    return np.where(into == 0, block, 0)
