"""Dicts, and the attributes that instances keep without one.

Sources in CPython: ``Objects/dictobject.c`` and ``Include/internal/pycore_dict.h``. A dict has a table of keys:
indices, then entries of (hash, key, value), or (key, value) where all keys are strings (3.11). Dicts of instances may
share the keys of their class ("split") and have only values of their own; since 3.11 instances have such values
without a dict. The hash of an entry is never looked at: of a dict keyed by ``id()`` it looks like a reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import Kind, Link
from memtui.heap.read.classes import HEAP_TYPE, INLINE_VALUES, MANAGED_DICT
from memtui.heap.read.image import Image, Indices
from memtui.heap.read.layout import ABSENT, Layout
from memtui.heap.read.owned import Owned
from memtui.heap.read.stretches import Names, Stretches

_MOST = 1 << 36
_MOST_SHARED_KEYS = 1 << 12
_ORDERED_SLOTS, _ORDERED_NODE_BYTES = 72, 32
_HEAD_WORDS_IN_FRONT = 3
"""A managed dict is three words in front of its instance, behind it the two of the collector."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Tables of keys, a row each: word of the first entry, entries in use, words of an entry, bytes, all slots."""

    entries: Indices
    counts: Indices
    hashed: NDArray[np.bool_]
    """Entries begin with the hash."""
    table_bytes: Indices
    slots: Indices
    room: Indices
    """As many entries as a table of its size may have."""


def read_keys(image: Image, layout: Layout, start: Indices) -> Keys:
    """The tables of keys that begin at these words."""
    words = image.words
    start = np.where(start + 8 < len(words), start, 0)
    count = words[start + layout.dk_nentries // 8].astype(np.int64)
    free = words[start + layout.dk_usable // 8].astype(np.int64)
    first = start + layout.dk_indices // 8
    if layout.dk_size != ABSENT:
        size = np.clip(words[start + layout.dk_size // 8].astype(np.int64), 0, _MOST)
        index_bytes = size * np.where(size <= 0xFF, 1, np.where(size <= 0xFFFF, 2, np.where(size < 1 << 32, 4, 8)))
        hashed = np.ones(len(start), bool)
    else:
        head = words[start + layout.dk_log2_size // 8]
        size = np.int64(1) << np.minimum((head & np.uint64(255)).astype(np.int64), 40)
        index_bytes = np.int64(1) << np.minimum(((head >> np.uint64(8)) & np.uint64(255)).astype(np.int64), 43)
        hashed = (head >> np.uint64(16)) & np.uint64(255) == 0
    slots = np.where(size > 1, size * 2 // 3, 0)
    table = layout.dk_indices + index_bytes + np.where(hashed, 24, 16) * slots
    sound = (count >= 0) & (count < _MOST) & (free >= 0) & (free < _MOST)
    return Keys(
        first + (index_bytes >> 3),
        np.where(sound, count, 0),
        hashed,
        np.where(table < _MOST, table, 0),
        np.where(sound, count + free, 0),
        slots,
    )


def collect_dicts(owned: Owned) -> None:
    """Keys and values of dicts."""
    image, layout = owned.image, owned.layout
    rows = owned.of_kind(Kind.DICT, Kind.ORDERED_DICT)
    start = owned.pointed(rows, layout.ma_keys)
    rows, start = rows[start >= 0], start[start >= 0]
    keys = read_keys(image, layout, start)
    values = image.words[owned.objects.index[rows] + layout.ma_values // 8]
    split = values != 0
    unshared = image.words[start] == 1
    owned.extra_bytes[rows] += np.where(unshared, keys.table_bytes, 0)
    for hashed in (True, False):
        mine = ~split & (keys.hashed == hashed)
        _add_entries(owned, rows[mine], keys.entries[mine], keys.counts[mine], hashed)
    # An OrderedDict also holds its keys in the nodes of a list of its own.
    twice = ~split & (owned.classes.kinds[owned.objects.row[rows]] == Kind.ORDERED_DICT)
    for hashed in (True, False):
        mine = twice & (keys.hashed == hashed)
        owned.add(Stretches(Link.KEY, rows[mine], keys.entries[mine] + hashed, keys.counts[mine], 2 + hashed))
    _add_split(owned, rows, keys, values)
    _weigh_nodes(owned, owned.of_kind(Kind.ORDERED_DICT))


def _weigh_nodes(owned: Owned, rows: Indices) -> None:
    """An OrderedDict also has a node for each entry and a table of nodes (``Objects/odictobject.c``)."""
    slots, entries = owned.field(rows, _ORDERED_SLOTS), owned.field(rows, owned.layout.ma_used)
    sane = (slots >= 0) & (slots < _MOST) & (entries >= 0) & (entries < _MOST)
    owned.extra_bytes[rows] += np.where(sane, 8 * slots + _ORDERED_NODE_BYTES * entries, 0)


def _add_entries(owned: Owned, rows: Indices, entries: Indices, counts: Indices, hashed: bool) -> None:
    stride = 2 + hashed
    owned.add(Stretches(Link.KEY, rows, entries + hashed, counts, stride))
    names = Names(entries + hashed, stride)
    owned.add(Stretches(Link.VALUE, rows, entries + hashed + 1, counts, stride, names=names))


def _add_split(owned: Owned, rows: Indices, keys: Keys, values: NDArray[np.uint64]) -> None:
    """Values of dicts that share their keys. Since 3.13 they may lie in the instance, whose they are then."""
    start = owned.image.find(values)
    mine = (values != 0) & (start >= 0)
    counts = keys.slots
    if owned.layout.minor >= (3, 13):
        head = owned.image.words[np.maximum(start, 0)]
        counts = (head & np.uint64(255)).astype(np.int64)
        mine &= (head >> np.uint64(16)) & np.uint64(255) == 0
        start = start + 1
    owned.extra_bytes[rows[mine]] += counts[mine] * 8
    for hashed in (True, False):
        some = mine & (keys.hashed == hashed)
        names = Names(keys.entries[some] + hashed, 2 + hashed)
        owned.add(Stretches(Link.VALUE, rows[some], start[some], counts[some], names=names))


@dataclass(frozen=True, slots=True)
class SharedKeys:
    """For each class: word of its shared keys' first entry (-1: none), slots, words of an entry."""

    entries: Indices
    slots: Indices
    hashed: NDArray[np.bool_]


def collect_shared_keys(owned: Owned) -> SharedKeys:
    """The keys that classes keep for their instances."""
    image, layout, classes = owned.image, owned.layout, owned.classes
    rows = owned.of_kind(Kind.TYPE)
    class_of = np.searchsorted(classes.addresses, image.addresses(owned.objects.index[rows]))
    class_of[class_of == len(classes.addresses)] = 0
    known = (classes.addresses[class_of] == image.addresses(owned.objects.index[rows])) & classes.has(HEAP_TYPE)[
        class_of
    ]
    rows, class_of = rows[known], class_of[known]
    start = owned.pointed(rows, layout.ht_cached_keys)
    there = start >= 0
    rows, class_of, start = rows[there], class_of[there], start[there]
    keys = read_keys(image, layout, start)
    sane = keys.slots <= _MOST_SHARED_KEYS
    owned.extra_bytes[rows] += np.where(sane, keys.table_bytes, 0)
    for hashed in (True, False):
        mine = sane & (keys.hashed == hashed)
        owned.add(Stretches(Link.KEY, rows[mine], keys.entries[mine] + hashed, keys.counts[mine], 2 + hashed))
    count = len(classes.raw)
    shared = SharedKeys(np.full(count, -1, np.int64), np.zeros(count, np.int64), np.zeros(count, bool))
    shared.entries[class_of[sane]] = keys.entries[sane]
    shared.slots[class_of[sane]] = keys.slots[sane]
    shared.hashed[class_of[sane]] = keys.hashed[sane]
    return shared


def collect_instances(owned: Owned) -> None:
    """Attributes of instances that have no dict, and the dict of those that got one (3.11 and newer)."""
    shared = collect_shared_keys(owned)
    if not owned.layout.has_inline_values:
        return
    managed = owned.classes.has(MANAGED_DICT)[owned.objects.row] & ~owned.objects.static
    rows = np.flatnonzero(managed & (owned.objects.index >= 4))
    index, class_of = owned.objects.index[rows], owned.objects.row[rows]
    in_front = index - _HEAD_WORDS_IN_FRONT
    words = owned.image.words
    if owned.layout.minor >= (3, 13):
        has_dict = np.ones(len(rows), bool)
        begin, counts, some = _inline_values(owned, rows)
    elif owned.layout.minor == (3, 12):
        # One word for both: the lowest bit tells values from a dict.
        has_dict = words[in_front] & np.uint64(1) == 0
        begin = owned.image.find(words[in_front] + np.uint64(1))
        counts, some = shared.slots[class_of], ~has_dict & (begin >= 0)
    else:
        has_dict = np.ones(len(rows), bool)
        begin = owned.image.find(words[index - 4])
        counts, some = shared.slots[class_of], begin >= 0
    one = np.ones(len(rows), np.int64)
    owned.add(Stretches(Link.FIELD, rows[has_dict], in_front[has_dict], one[has_dict]))
    entries, hashed = shared.entries[class_of], shared.hashed[class_of]
    for with_hash in (True, False):
        mine = some & (hashed == with_hash)
        names = Names(np.where(entries[mine] >= 0, entries[mine] + with_hash, -1), 2 + with_hash)
        owned.add(Stretches(Link.ATTRIBUTE, rows[mine], begin[mine], counts[mine], names=names))


def _inline_values(owned: Owned, rows: Indices) -> tuple[Indices, Indices, NDArray[np.bool_]]:
    """Since 3.13: behind the instance's body, while the byte that says so is set."""
    class_of = owned.objects.row[rows]
    head = owned.objects.index[rows] + ((owned.classes.body_bytes[class_of] + 7) >> 3)
    inside = head < len(owned.image.words)
    word = owned.image.words[np.where(inside, head, 0)]
    valid = (word >> np.uint64(24)) & np.uint64(255) == 1
    some = owned.classes.has(INLINE_VALUES)[class_of] & inside & valid
    return head + 1, (word & np.uint64(255)).astype(np.int64), some
