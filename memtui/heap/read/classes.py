"""Finding the type objects in an image, without a symbol: ``type`` is the one object that is its own type.

Every other type is an object whose type is a metaclass, and metaclasses are types that ``type`` is a base of
(``Py_TPFLAGS_TYPE_SUBCLASS``). Flags are those of ``Include/object.h`` in CPython.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtui.errors import RefusedError
from memtui.heap.picture import Kind
from memtui.heap.read.image import Image, Indices, Words
from memtui.heap.read.layout import Layout

MANAGED_WEAKREF, MANAGED_DICT, INLINE_VALUES = 1 << 3, 1 << 4, 1 << 2
HEAP_TYPE, READY, HAVE_GC = 1 << 9, 1 << 12, 1 << 14
_LONG, _LIST, _TUPLE, _BYTES, _UNICODE, _DICT, _TYPE = (1 << bit for bit in (24, 25, 26, 27, 28, 29, 31))
_LARGEST_BODY_BYTES = 1 << 20
_HEAD_BYTES = 16
"""Of any object: its reference count and its type."""
_LARGEST_ITEM_BYTES = 4096
_PIECE_WORDS = 1 << 21
_MOST_BASES = 60

_BY_FLAG = (
    (_TYPE, Kind.TYPE), (_UNICODE, Kind.STR), (_LONG, Kind.INT), (_DICT, Kind.DICT), (_LIST, Kind.LIST),
    (_BYTES, Kind.BYTES), (_TUPLE, Kind.TUPLE),
)  # fmt: skip
_BY_NAME = {
    "collections.OrderedDict": Kind.ORDERED_DICT, "set": Kind.SET, "frozenset": Kind.SET,
    "weakref": Kind.WEAKREF, "weakref.ReferenceType": Kind.WEAKREF, "weakproxy": Kind.WEAKREF,
    "weakcallableproxy": Kind.WEAKREF, "weakref.ProxyType": Kind.WEAKREF, "weakref.CallableProxyType": Kind.WEAKREF,
    "code": Kind.CODE, "collections.deque": Kind.DEQUE, "bytearray": Kind.BYTEARRAY, "numpy.ndarray": Kind.NDARRAY,
    "array.array": Kind.ARRAY, "frame": Kind.FRAME, "generator": Kind.GENERATOR, "coroutine": Kind.GENERATOR,
    "async_generator": Kind.GENERATOR, "float": Kind.LEAF, "complex": Kind.LEAF, "NoneType": Kind.LEAF,
    "ellipsis": Kind.LEAF, "NotImplementedType": Kind.LEAF,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RawType:
    """A type object as it is in memory; sizes and offsets in bytes."""

    address: int
    name: str
    flags: int
    body_bytes: int
    item_bytes: int
    base: int
    weaklist_offset: int
    dict_offset: int


class Classes:
    """All types of an image, in the order of their addresses, with a column for each field."""

    def __init__(self, raw: list[RawType]) -> None:
        self.raw = sorted(raw, key=lambda one: one.address)
        self.by_address = {one.address: row for row, one in enumerate(self.raw)}
        self.addresses: Words = np.array([one.address for one in self.raw], np.uint64)
        self.flags = np.array([one.flags for one in self.raw], np.uint64)
        self.body_bytes: Indices = np.array([one.body_bytes for one in self.raw], np.int64)
        self.item_bytes: Indices = np.array([one.item_bytes for one in self.raw], np.int64)
        self.weaklist_offsets: Indices = np.array([one.weaklist_offset for one in self.raw], np.int64)
        self.dict_offsets: Indices = np.array([one.dict_offset for one in self.raw], np.int64)
        self.bases: Indices = np.array([self.by_address.get(one.base, -1) for one in self.raw], np.int64)
        self.kinds = np.array([self._kind(one) for one in self.raw], np.uint8)

    def has(self, flag: int) -> NDArray[np.bool_]:
        """For each type whether a flag is set."""
        flags: NDArray[np.bool_] = (self.flags & np.uint64(flag)) != 0
        return flags

    def lineage(self, row: int) -> list[int]:
        """A type, its base, the base of that, ..."""
        rows: list[int] = []
        while row >= 0 and len(rows) < _MOST_BASES:
            rows.append(row)
            row = int(self.bases[row])
        return rows

    def _kind(self, one: RawType) -> Kind:
        names: list[str] = []
        above: RawType | None = one
        while above is not None and len(names) < _MOST_BASES:
            names.append(above.name)
            row = self.by_address.get(above.base)
            above = self.raw[row] if row is not None else None
        if "collections.OrderedDict" in names:
            return Kind.ORDERED_DICT
        for flag, kind in _BY_FLAG:
            if one.flags & flag:
                return kind
        return next((_BY_NAME[name] for name in names if name in _BY_NAME), Kind.GENERIC)


def find_classes(image: Image, layout: Layout) -> Classes:
    """Every type object. Raises :class:`RefusedError` when ``type`` itself is not found, or more than one of it."""
    roots = [address for address in _own_types(image) if _name(image, layout, address) == "type"]
    if len(roots) != 1:
        raise RefusedError(
            "The heap of this process cannot be read.",
            why=f"The type 'type' was found {len(roots)} times; this is an unusual build of Python.",
        )
    found: dict[int, RawType] = {}
    metaclasses, fresh = {roots[0]}, {roots[0]}
    while fresh:
        indices, _ = find_instances(image, np.array(sorted(fresh), np.uint64))
        fresh = set()
        for address in image.addresses(indices).tolist():
            if address in found or (one := _read_type(image, layout, address)) is None:
                continue
            found[address] = one
            if one.flags & _TYPE and address not in metaclasses:
                metaclasses.add(address)
                fresh.add(address)
    return Classes(list(found.values()))


def find_instances(image: Image, types: Words) -> tuple[Indices, Indices]:
    """What may be an object of ``types`` (ascending addresses): index of its first word, and which type.

    Its first word is a reference count that fits into 32 bits, its second the address of the type. In memory that
    is allocated, objects begin at multiples of 16 bytes.
    """
    hashed = np.zeros(1 << 16, bool)
    hashed[_hash(types)] = True
    indices: list[Indices] = []
    rows: list[Indices] = []
    for number, region in enumerate(image.regions):
        first, last = int(image.first_words[number]), int(image.first_words[number + 1])
        step = 1 if region.is_static or region.near_file else 2
        for start in range(first, last, _PIECE_WORDS):
            end = min(start + _PIECE_WORDS, last)
            kinds = image.words[start + 1 : end : step]
            counts = image.words[start:end:step][: len(kinds)]
            likely = np.flatnonzero(hashed[_hash(kinds)] & (counts - np.uint64(1) < np.uint64(0xFFFFFFFF)))
            row = np.searchsorted(types, kinds[likely])
            row[row == len(types)] = 0
            right = types[row] == kinds[likely]
            indices.append(likely[right] * step + start)
            rows.append(row[right])
    if not indices:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate(indices), np.concatenate(rows)


def _hash(addresses: Words) -> NDArray[np.uint16]:
    mixed = addresses >> np.uint64(4)
    short: NDArray[np.uint16] = (mixed ^ (mixed >> np.uint64(16))).astype(np.uint16)
    return short


def _own_types(image: Image) -> list[int]:
    """Addresses of objects that are their own type."""
    found: list[int] = []
    for number, region in enumerate(image.regions):
        first, last = int(image.first_words[number]), int(image.first_words[number + 1])
        for start in range(first, last - 1, _PIECE_WORDS):
            words = image.words[start + 1 : min(start + _PIECE_WORDS, last - 1) + 1]
            begin = region.start + (start - first) * 8
            own = np.arange(begin, begin + len(words) * 8, 8, dtype=np.uint64)
            found += own[words == own].tolist()
    return found


def _name(image: Image, layout: Layout, address: int) -> str | None:
    return image.text(image.word(address + layout.tp_name))


def _read_type(image: Image, layout: Layout, address: int) -> RawType | None:
    """The type object at an address; None when what is there is no ready type.

    In free memory lies what looks like one: a count and the address of ``type``, with anything behind it.
    """
    flags = image.word(address + layout.tp_flags)
    if not flags & READY and not _is_constant(image, address):
        return None
    name = _name(image, layout, address)
    body, item = image.word(address + layout.tp_basicsize), _signed(image.word(address + layout.tp_itemsize))
    base = image.word(address + layout.tp_base)
    least = _HEAD_BYTES if flags & READY else 0
    if not name or not least <= body < _LARGEST_BODY_BYTES or not 0 <= item <= _LARGEST_ITEM_BYTES or base % 8:
        return None
    return RawType(
        address, name, flags, body, item,
        base,
        _signed(image.word(address + layout.tp_weaklistoffset)),
        _signed(image.word(address + layout.tp_dictoffset)),
    )  # fmt: skip


def _is_constant(image: Image, address: int) -> bool:
    """Whether it is in the data of a file: there a few types are that are used without having been made ready."""
    return image.regions[int(image.region_of(np.array([image.find_one(address)]))[0])].is_static


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
