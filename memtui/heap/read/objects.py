"""Which words of an image begin an object, and which only look so.

An object is a plausible reference count followed by the address of a type. What looks so by chance, or was one and is
freed, is told apart without following any reference:

* an object of a type that takes part in garbage collection has a consistent link in front of it, or none;
* a freed block has a link of the allocator where the count was, and that is larger than any count;
* an object does not begin inside another one: ``(T,)`` looks like an object of type ``T`` at its ``ob_size``. Going
  from left to right, what lies inside an accepted object is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import Kind
from memtui.heap.read import bodies
from memtui.heap.read.classes import (
    HAVE_GC,
    HEAP_TYPE,
    MANAGED_DICT,
    MANAGED_WEAKREF,
    Classes,
    find_instances,
)
from memtui.heap.read.image import Image, Indices, Words
from memtui.heap.read.layout import Layout
from memtui.heap.read.pools import blocks_at, chunk_sizes_at

Flags = NDArray[np.bool_]

_MOST_ROUNDS = 12
_NOWHERE = 1 << 60
_SMALLEST_POINTER = 0x400000
_HEAD_BYTES, _MOST_BEGIN, _LARGEST_BLOCK_BYTES = 16, 0.99, 512
_MOST_IN_CHUNKS = 0.95
_LARGEST_OVERHANG_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Objects:
    """One row for each object, by address. ``index``: its first word; ``row``: its class; ``static``: never freed."""

    index: Indices
    row: Indices
    static: Flags
    tracked: Flags
    """In one of the collector's lists."""
    body_bytes: Indices
    """What lies in one piece from the object's address on."""
    size_bytes: Indices
    """The part of ``sys.getsizeof`` that lies in one piece."""

    def __len__(self) -> int:
        return len(self.index)

    def where(self, keep: Flags) -> Objects:
        """Those rows that are kept."""
        return Objects(*(getattr(self, one.name)[keep] for one in fields(self)))


def find_objects(image: Image, classes: Classes, layout: Layout) -> Objects:
    """All objects of the image."""
    index, row = find_instances(image, classes.addresses)
    static = _is_static(image, classes, layout, index, row)
    aligned = static | (image.addresses(index) & np.uint64(15) == 0)
    index, row, static = index[aligned], row[aligned], static[aligned]
    collected = classes.has(HAVE_GC)[row] & ~static
    tracked, untracked = _links(image, index, collected)
    possible = ~collected | tracked | untracked
    possible &= ~_is_key_of_type(image, classes, index, row) & ~_is_in_table_of_types(image, classes, index, static)
    block, begins = _in_pools(image, classes, layout, index, row, tracked)
    possible &= static | begins
    index, row, block = index[possible], row[possible], block[possible]
    nothing = np.zeros(len(index), np.int64)
    found = Objects(index, row, static[possible], tracked[possible], nothing, nothing)
    body, size, sound = bodies.measure(image, classes, layout, index, row)
    found = replace(found, body_bytes=body, size_bytes=size)
    sound &= _fits(image, found) & _ends_in_block(image, classes, layout, found, block)
    return _outermost(image, classes, found.where(sound))


def _is_static(image: Image, classes: Classes, layout: Layout, index: Indices, row: Indices) -> Flags:
    """In the data of a file; also static types that lie elsewhere (variables that begin as zero)."""
    in_file = np.array([region.is_static for region in image.regions], bool)
    static: Flags = in_file[image.region_of(index)]
    types = np.flatnonzero((classes.kinds[row] == Kind.TYPE) & ~static)
    flags = image.find(image.addresses(index[types]) + np.uint64(layout.tp_flags))
    known = flags >= 0
    static[types[known]] = image.words[flags[known]] & np.uint64(HEAP_TYPE) == 0
    return static


def _links(image: Image, index: Indices, collected: Flags) -> tuple[Flags, Flags]:
    """Whether the two words in front are links of the collector that lead back here; whether they are not in use."""
    tracked, untracked = np.zeros(len(index), bool), np.zeros(len(index), bool)
    rows = np.flatnonzero(collected & (index >= 2))
    words, heads = image.words, index[rows] - 2
    after, before = words[heads], words[heads + 1] & ~np.uint64(3)
    to_after, to_before = image.find(after & ~np.uint64(1)), image.find(before)
    near = np.flatnonzero((to_after >= 0) & (to_before >= 0) & (to_after + 1 < len(words)))
    own = image.addresses(heads[near])
    leads_back = (words[to_after[near] + 1] & ~np.uint64(3)) == own
    leads_back &= (words[to_before[near]] & ~np.uint64(1)) == own
    tracked[rows[near]] = leads_back
    untracked[rows] = after == 0
    return tracked, untracked


def _is_key_of_type(image: Image, classes: Classes, index: Indices, row: Indices) -> Flags:
    """A type as key of a dict or set looks like an object behind its hash, which is made of its address."""
    counts: Words = image.words[index]
    turned = classes.addresses >> np.uint64(4) | classes.addresses << np.uint64(60)
    same: Flags = counts == turned[row]
    return same


def _is_in_table_of_types(image: Image, classes: Classes, index: Indices, static: Flags) -> Flags:
    """3.13 has a table of its types, each with the number one beside it, which looks like an object of the next."""
    words = image.words
    inside = np.flatnonzero(static & (index + 3 < len(words)))
    ones = inside[(words[index[inside]] == 1) & (words[index[inside] + 2] == 1)]
    found = np.zeros(len(index), bool)
    found[ones] = np.isin(words[index[ones] + 3], classes.addresses)
    found[ones] &= classes.kinds[_row_of(classes, words[index[ones] + 1])] != Kind.TUPLE
    return found


def _row_of(classes: Classes, addresses: Words) -> Indices:
    return np.minimum(np.searchsorted(classes.addresses, addresses), len(classes.raw) - 1)


def _in_pools(
    image: Image, classes: Classes, layout: Layout, index: Indices, row: Indices, tracked: Flags
) -> tuple[Indices, Flags]:
    """For those in a pool of Python's allocator the size of their block (else 0), and whether they begin one.

    An allocator that puts something in front of its blocks (``PYTHONMALLOC=debug``) shows in objects that are
    certain, those with good links: then nothing is told from pools.
    """
    block, into = blocks_at(image, layout, image.addresses(index))
    head = in_front_bytes(classes, layout)[row]
    right: Flags = (block == 0) | (into == head)
    certain = tracked & (block > 0)
    if right[certain].sum() < _MOST_BEGIN * certain.sum():
        return np.zeros(len(index), np.int64), np.ones(len(index), bool)
    return block, right


def _ends_in_block(image: Image, classes: Classes, layout: Layout, found: Objects, block: Indices) -> Flags:
    """Whether it ends in its block; what is in none is in a chunk of malloc, and does not run over a pool."""
    needed = found.body_bytes + in_front_bytes(classes, layout)[found.row]
    right: Flags = (block == 0) | (needed <= block) | found.tracked
    large = np.flatnonzero((block == 0) & ~found.static & (found.body_bytes > _LARGEST_BLOCK_BYTES))
    addresses = image.addresses(found.index[large])
    over, _ = blocks_at(image, layout, addresses + (found.body_bytes[large] - 1).astype(np.uint64))
    right[large] = (over == 0) | found.tracked[large]
    # Where the objects that are certain lie in chunks of malloc, so do the others.
    head = in_front_bytes(classes, layout)[found.row[large]]
    fits = chunk_sizes_at(image, addresses - head.astype(np.uint64)) >= needed[large]
    certain = found.tracked[large] & (classes.kinds[found.row[large]] != Kind.TYPE)
    if certain.any() and fits[certain].mean() >= _MOST_IN_CHUNKS:
        right[large] &= fits | found.tracked[large]
    return right


def in_front_bytes(classes: Classes, layout: Layout) -> Indices:
    """By class, what lies in front of its objects: the collector's head, and pointers to dict and weak references."""
    in_front = classes.has(HAVE_GC).astype(np.int64) * _HEAD_BYTES
    if layout.minor >= (3, 12):
        in_front += (classes.has(MANAGED_DICT) | classes.has(MANAGED_WEAKREF)) * _HEAD_BYTES
    elif layout.minor == (3, 11):
        in_front += classes.has(MANAGED_DICT) * _HEAD_BYTES
    return in_front


def _fits(image: Image, found: Objects) -> Flags:
    """Whether the body may end where it does (a body may go on in the next region, which need not be adjacent).

    Not so in the data of a file: variables of C code that hold a class and a number look like a huge object there.
    """
    regions = image.region_of(found.index)
    room = np.where(
        found.static,
        (image.seamless_ends[regions] - found.index) * 8,
        (image.first_words[regions + 1] - found.index) * 8 + _LARGEST_OVERHANG_BYTES,
    )
    fits: Flags = (found.body_bytes <= room) & (found.size_bytes >= 16)
    return fits


def _outermost(image: Image, classes: Classes, found: Objects) -> Objects:
    """Drop what lies inside another object, from left to right, and what cannot be one beside tracked objects."""
    order = np.argsort(found.index, kind="stable") if (np.diff(found.index) < 0).any() else slice(None)
    found = Objects(*(getattr(found, one.name)[order] for one in fields(found)))
    # Untouched pages of a large buffer are not in the image: where it ends is told by addresses.
    end = image.first_from(image.addresses(found.index) + found.body_bytes.astype(np.uint64))
    end[classes.kinds[found.row] == Kind.TYPE] = 0  # their bodies overlap nothing, but are not known exactly
    alive = ~_runs_over_tracked(found, end) & ~_count_is_pointer(image, found.index)
    for _ in range(_MOST_ROUNDS):
        covered = alive & (found.index < _reach(end, alive))
        if not covered.any():
            break
        alive &= ~(covered & (found.index < _reach(end, alive & ~covered)))
    return found.where(alive)


def _reach(end: Indices, counted: Flags) -> Indices:
    """For each row how far the counted rows in front of it reach."""
    reach = np.zeros(len(end), np.int64)
    if len(end):
        reach[1:] = np.maximum.accumulate(np.where(counted, end, 0))[:-1]
    return reach


def _runs_over_tracked(found: Objects, end: Indices) -> Flags:
    """Untracked things whose body reaches over an object with good links."""
    tracked = found.index[found.tracked]
    behind = np.append(tracked, _NOWHERE)[np.searchsorted(tracked, found.index, side="right")]
    return ~found.tracked & (end > behind)


def _count_is_pointer(image: Image, index: Indices) -> Flags:
    """In programs that are loaded at low addresses a pointer is as small as a count."""
    counts: Words = image.words[index]
    large = np.flatnonzero(counts > np.uint64(_SMALLEST_POINTER))
    pointer = np.zeros(len(index), bool)
    pointer[large] = image.find(counts[large] & ~np.uint64(7)) >= 0
    return pointer
