"""What belongs to objects beside their own piece of memory, container by container, and what it weighs.

Sources in CPython: ``Objects/listobject.c``, ``setobject.c``, ``tupleobject.c``, ``Modules/_collectionsmodule.c`` (a
deque is a chain of blocks of 64 items), ``Objects/bytearrayobject.c``, ``Modules/arraymodule.c``; for numpy
``numpy/ndarraytypes.h``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import Kind, Link
from memtui.heap.read.bodies import stored_digits
from memtui.heap.read.classes import HEAP_TYPE, Classes
from memtui.heap.read.image import Image, Indices
from memtui.heap.read.layout import ABSENT, Layout
from memtui.heap.read.objects import Objects
from memtui.heap.read.stretches import Stretches

CACHED_BY_CODE = 1 << 20
"""Where the fields of the cache of a code object are said to be, behind all that are in the object itself."""
_MOST = 1 << 40
_DEQUE_BLOCK_ITEMS, _DEQUE_BLOCK_BYTES = 64, 528
_DEQUE_LEFT_BLOCK, _DEQUE_LEFT_INDEX, _DEQUE_NEXT = 3, 5, 65
_NUMBERS_BEHIND = ("re.Match", "memoryview")
"""Variable parts as wide as references: positions in a text, shapes (``_sre.c``, ``memoryobject.c`` of CPython)."""


@dataclass(slots=True)
class Owned:
    """``stretches`` found so far; ``extra_bytes``: what is added to each object's size for them."""

    image: Image
    classes: Classes
    layout: Layout
    objects: Objects
    stretches: list[Stretches]
    extra_bytes: Indices
    kinds: NDArray[np.uint8] = field(init=False)
    """The kind of each object."""

    def __post_init__(self) -> None:
        self.kinds = self.classes.kinds[self.objects.row]

    def of_kind(self, *kinds: Kind) -> Indices:
        """Rows of the objects of these kinds."""
        mine = self.kinds == int(kinds[0])
        for kind in kinds[1:]:
            mine |= self.kinds == int(kind)
        return np.flatnonzero(mine)

    def field(self, rows: Indices, offset: int) -> Indices:
        """The signed 64-bit number at a byte offset of each object."""
        words: Indices = self.image.words[self.objects.index[rows] + (offset >> 3)].view(np.int64)
        return words

    def pointed(self, rows: Indices, offset: int) -> Indices:
        """Index of the word that a pointer in each object leads to, or -1."""
        return self.image.find(self.image.words[self.objects.index[rows] + (offset >> 3)])

    def add(self, stretches: Stretches) -> None:
        """More memory that may hold references."""
        if len(stretches.owners):
            self.stretches.append(stretches)


Collector = Callable[[Owned], None]


def collect_bodies(owned: Owned) -> None:
    """The objects themselves, from behind their type on, as far as nothing more precise is known of them."""
    objects, layout, kinds = owned.objects, owned.layout, owned.kinds
    heap_class = owned.classes.has(HEAP_TYPE)[objects.row]
    begin = objects.index + 2
    end = objects.index + ((objects.body_bytes + 7) >> 3)
    no_items = np.array([_has_plain_items(one.name, one.item_bytes) for one in owned.classes.raw], bool)[objects.row]
    no_items &= kinds == Kind.GENERIC
    end[no_items] = objects.index[no_items] + (owned.classes.body_bytes[objects.row[no_items]] >> 3)
    for kind, size in _behind(layout):
        begin[kinds == kind] = objects.index[kinds == kind] + size // 8
    tuples = np.flatnonzero(kinds == Kind.TUPLE)
    begin[tuples] = objects.index[tuples] + layout.tuple_items // 8 + owned.field(tuples, 16)
    for kind in (Kind.INT, Kind.BYTES):
        mine = np.flatnonzero((kinds == kind) & heap_class)
        begin[mine] = objects.index[mine] + _payload_words(owned, mine, kind)
    plain, elsewhere = np.zeros(256, bool), np.zeros(256, bool)
    plain[[Kind.INT, Kind.STR, Kind.BYTES, Kind.BYTEARRAY, Kind.ARRAY]] = True
    elsewhere[[Kind.LEAF, Kind.FRAME, Kind.GENERATOR]] = True
    rows = np.flatnonzero(~(plain[kinds] & ~heap_class) & ~elsewhere[kinds] & (end > begin))
    owned.add(Stretches(Link.FIELD, rows, begin[rows], end[rows] - begin[rows], is_body=True))


def _has_plain_items(name: str, item_bytes: int) -> bool:
    """Whether what a type written in C has a variable number of are numbers."""
    return item_bytes not in (0, 8) or name in _NUMBERS_BEHIND


def _behind(layout: Layout) -> Iterator[tuple[Kind, int]]:
    """Kinds of which only what subclasses add is looked at, and where that begins."""
    yield Kind.DICT, layout.dict_size
    yield Kind.ORDERED_DICT, layout.dict_size
    yield Kind.LIST, layout.list_size
    yield Kind.SET, layout.set_size
    yield Kind.STR, layout.unicode_size
    yield Kind.WEAKREF, layout.weakref_size


def _payload_words(owned: Owned, rows: Indices, kind: Kind) -> Indices:
    """Words of subclasses of int and bytes that hold digits and bytes, not references. Zero has no digits."""
    whole: Indices = (owned.objects.body_bytes[rows] + 7) >> 3
    if kind is Kind.BYTES:
        return np.minimum(whole, np.maximum(4, whole - 2))
    taken: Indices = 3 + ((stored_digits(owned.layout, owned.field(rows, 16).view(np.uint64)) + 1) >> 1)
    return np.minimum(whole, taken)


def collect_tuples(owned: Owned) -> None:
    """Items of tuples, which lie in the tuple itself."""
    rows = owned.of_kind(Kind.TUPLE)
    starts = owned.objects.index[rows] + owned.layout.tuple_items // 8
    owned.add(Stretches(Link.ITEM, rows, starts, owned.field(rows, 16)))


def collect_lists(owned: Owned) -> None:
    """Items of lists: as many as ``len()`` says, in a table that has room for more."""
    rows = owned.of_kind(Kind.LIST)
    table, length = owned.pointed(rows, owned.layout.list_items), owned.field(rows, 16)
    room = owned.field(rows, owned.layout.list_allocated)
    good = (table >= 0) & (length >= 0) & (length <= room) & (room < _MOST)
    owned.add(Stretches(Link.ITEM, rows[good], table[good], length[good]))
    owned.extra_bytes[rows[good]] += room[good] * 8


def collect_sets(owned: Owned) -> None:
    """Elements of sets: every other word of a table, which small sets have inside."""
    layout = owned.layout
    rows = owned.of_kind(Kind.SET)
    table, mask = owned.pointed(rows, layout.set_table), owned.field(rows, layout.set_mask)
    good = (table >= 0) & (mask >= 7) & (mask < _MOST)
    rows, table, slots = rows[good], table[good], mask[good] + 1
    owned.add(Stretches(Link.ELEMENT, rows, table, slots, stride=2))
    apart = table != owned.objects.index[rows] + layout.set_smalltable // 8
    owned.extra_bytes[rows[apart]] += slots[apart] * 16


def collect_deques(owned: Owned) -> None:
    """Items of deques, block by block of all deques at once."""
    rows = owned.of_kind(Kind.DEQUE)
    left, at = owned.field(rows, 16), owned.field(rows, _DEQUE_LEFT_INDEX * 8)
    block = owned.pointed(rows, _DEQUE_LEFT_BLOCK * 8)
    good = (block >= 0) & (left >= 0) & (left < _MOST) & (at >= 0) & (at < _DEQUE_BLOCK_ITEMS)
    rows, left, at, block = rows[good], left[good], at[good], block[good]
    blocks = np.maximum(1, (at + left + _DEQUE_BLOCK_ITEMS - 1) // _DEQUE_BLOCK_ITEMS)
    owned.extra_bytes[rows] += blocks * _DEQUE_BLOCK_BYTES
    first = np.zeros(len(rows), np.int64)
    found: list[tuple[Indices, ...]] = []
    while len(rows):
        here = np.minimum(left, _DEQUE_BLOCK_ITEMS - at)
        found.append((rows, block + 1 + at, here, first))
        left, first = left - here, first + here
        more = (left > 0) & (block + _DEQUE_NEXT < len(owned.image.words))
        rows, left, first, block = rows[more], left[more], first[more], block[more]
        block = owned.image.find(owned.image.words[block + _DEQUE_NEXT])
        there = block >= 0
        rows, left, first, block = rows[there], left[there], first[there], block[there]
        at = np.zeros(len(rows), np.int64)
    if found:
        owners, starts, counts, firsts = (np.concatenate(column) for column in zip(*found, strict=True))
        owned.add(Stretches(Link.ITEM, owners, starts, counts, first=firsts))


def collect_weakrefs(owned: Owned) -> None:
    """Only the callback of a weak reference is held."""
    rows = owned.of_kind(Kind.WEAKREF)
    starts = owned.objects.index[rows] + owned.layout.weakref_callback // 8
    owned.add(Stretches(Link.FIELD, rows, starts, np.ones(len(rows), np.int64)))


def collect_buffers(owned: Owned) -> None:
    """Bytes of bytearrays and arrays."""
    rows = owned.of_kind(Kind.BYTEARRAY)
    room = owned.field(rows, owned.layout.bytearray_allocated)
    owned.extra_bytes[rows] += np.where((room >= 0) & (room < _MOST), room, 0)
    rows = owned.of_kind(Kind.ARRAY)
    room, described = owned.field(rows, 32), owned.field(rows, 40)
    width = [int.from_bytes(owned.image.read(int(at) + 4, 4), "little") for at in described]
    taken = room * np.array(width, np.int64) if len(rows) else room
    owned.extra_bytes[rows] += np.where((taken >= 0) & (taken < _MOST), taken, 0)


def collect_code_caches(owned: Owned) -> None:
    """What code objects made when they were asked for it: ``co_varnames`` and the like (3.12 and newer)."""
    layout = owned.layout
    if layout.co_cached == ABSENT:
        return
    rows = owned.of_kind(Kind.CODE)
    start = owned.pointed(rows, layout.co_cached)
    rows, start = rows[start >= 0], start[start >= 0]
    first, four = np.full(len(rows), CACHED_BY_CODE), np.full(len(rows), 4)
    owned.add(Stretches(Link.FIELD, rows, start, four, first=first))


def collect_ndarrays(owned: Owned) -> None:
    """Data of numpy arrays that own theirs; those of objects hold references."""
    known: dict[int, tuple[int, bool]] = {}
    for row in owned.of_kind(Kind.NDARRAY).tolist():
        data, shape, kind = (int(owned.field(np.array([row]), offset)[0]) for offset in (16, 32, 56))
        dimensions = int(owned.field(np.array([row]), 24)[0]) & 0xFFFF
        owns = int(owned.field(np.array([row]), 64)[0]) & 4
        if not owns or dimensions > 64:
            continue
        if kind not in known:
            known[kind] = _item_of(owned.image, kind)
        width, is_object = known[kind]
        count = 1
        for number in range(dimensions):
            count *= owned.image.word(shape + 8 * number)
        if 0 <= count * width < _MOST:
            owned.extra_bytes[row] += count * width
            if is_object and (start := owned.image.find_one(data)) >= 0:
                owned.add(Stretches(Link.ITEM, np.array([row]), np.array([start]), np.array([count])))


def _item_of(image: Image, address: int) -> tuple[int, bool]:
    """Bytes of an item, and whether it is a reference, from a ``PyArray_Descr`` of numpy 1 or 2."""
    data = image.read(address + 24, 32)
    if len(data) < 32:
        return 0, False
    new, old = int.from_bytes(data[16:24], "little"), int.from_bytes(data[8:12], "little")
    return new if 0 < new < 1 << 20 else old, data[1:2] == b"O"
