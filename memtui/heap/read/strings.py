"""What strings and numbers say: beginnings of texts, small ints and floats, and texts that exist more than once.

Sources in CPython: ``Objects/unicodeobject.c`` (forms of strings), ``Objects/longobject.c`` (digits of 30 bits).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import Duplicates, Kind, Numbers, Texts
from memtui.heap.read.bodies import digits
from memtui.heap.read.classes import Classes
from memtui.heap.read.image import Image, Indices, Words, ranges
from memtui.heap.read.layout import Layout
from memtui.heap.read.objects import Objects

MOST_CHARACTERS = 80
_MOST_WIDE = 200_000
_ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}
_BATCH = 1 << 22
_LARGEST_COMPARED_BYTES = 1 << 16
_MOST_DUPLICATES = 500
_FACTOR = 0x9E3779B97F4A7C15


class Strings:
    """The compact strings among the objects: rows, where their characters are, how many and how wide."""

    def __init__(self, image: Image, classes: Classes, layout: Layout, objects: Objects) -> None:
        self.image, self.layout, self.objects = image, layout, objects
        rows = np.flatnonzero(classes.kinds[objects.row] == Kind.STR)
        index = objects.index[rows]
        state = image.words[index + layout.str_state // 8].astype(np.int64) & 0xFFFFFFFF
        compact = (state >> 5) & 1 == 1
        rows, index, state = rows[compact], index[compact], state[compact]
        self.rows: Indices = rows
        self.ascii = (state >> 6) & 1 == 1
        self.width: Indices = (state >> 2) & 7
        self.length: Indices = image.words[index + layout.str_length // 8].astype(np.int64)
        head = np.where(self.ascii, layout.ascii_size, layout.compact_size)
        self.start: Indices = index + head // 8
        """Word in which the first character is."""

    def one(self, row: int) -> str | None:
        """The beginning of the string of one object; None when it is none."""
        at = int(np.searchsorted(self.rows, row))
        if at == len(self.rows) or self.rows[at] != row:
            return None
        return self._decode(at)

    def _decode(self, at: int) -> str:
        width = int(self.width[at])
        count = min(int(self.length[at]), MOST_CHARACTERS)
        start = int(self.start[at])
        data = self.image.words[start : start + (count * width + 7) // 8].tobytes()[: count * width]
        return data.decode(_ENCODINGS.get(width, "latin-1"), "replace")

    def texts(self) -> Texts:
        """The beginnings of all strings, as UTF-8."""
        size = np.where(self.ascii, np.minimum(self.length, MOST_CHARACTERS), 0)
        wide: dict[int, bytes] = {}
        for at in np.flatnonzero(~self.ascii)[:_MOST_WIDE].tolist():
            wide[at] = self._decode(at).encode("utf-8", "replace")
            size[at] = len(wide[at])
        starts = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        data = np.zeros(int(starts[-1]), np.uint8)
        everything = self.image.words.view(np.uint8)
        some = np.flatnonzero(self.ascii & (size > 0))
        for part in _batches(some, size[some]):
            positions, which = ranges(size[part])
            data[starts[part][which] + positions] = everything[(self.start[part] * 8)[which] + positions]
        for at, encoded in wide.items():
            data[starts[at] : starts[at + 1]] = np.frombuffer(encoded, np.uint8)
        return Texts(self.rows.astype(np.int32), starts, data)


def read_numbers(image: Image, classes: Classes, layout: Layout, objects: Objects) -> Numbers:
    """Ints of at most two digits, and floats (``Include/cpython/floatobject.h``: the value follows the head)."""
    rows = np.flatnonzero(classes.kinds[objects.row] == Kind.INT)
    index = objects.index[rows]
    head = image.words[index + 2]
    count = digits(layout, head)
    small = (count <= 2) & (index + 3 < len(image.words))
    rows, index, head, count = rows[small], index[small], head[small], count[small]
    tagged = layout.minor >= (3, 12)
    sign = 1 - (head & np.uint64(3)).astype(np.int64) if tagged else np.sign(head.view(np.int64))
    pair = image.words[index + 3]
    value = (pair & np.uint64(0x3FFFFFFF)).astype(np.int64)
    high = (pair >> np.uint64(32)).astype(np.int64) & 0x3FFFFFFF
    value = np.where(count == 2, value + (high << 30), value) * sign
    is_float = np.array([one.name == "float" for one in classes.raw] or [False], np.bool_)
    floats = np.flatnonzero(is_float[objects.row])
    floats = floats[objects.index[floats] + 2 < len(image.words)]
    rows = np.concatenate([rows, floats])
    value = np.concatenate([value, image.words[objects.index[floats] + 2].view(np.int64)])
    order = np.argsort(rows, kind="stable")
    return Numbers(rows[order].astype(np.int32), value[order])


def find_duplicates(
    image: Image, classes: Classes, objects: Objects, strings: Strings, sizes: Indices, bytes_data: int
) -> Duplicates:
    """Strings and bytes of up to 64 KB with the same contents, by a 64-bit hash of them."""
    kinds = classes.kinds[objects.row]
    data = np.flatnonzero((kinds == Kind.BYTES) & ~objects.static)
    mutable = ~objects.static[strings.rows]
    rows = np.concatenate([strings.rows[mutable], data])
    starts = np.concatenate([strings.start[mutable], objects.index[data] + bytes_data // 8])
    length = np.concatenate([
        (strings.length * strings.width)[mutable], image.words[objects.index[data] + 2].astype(np.int64),
    ])  # fmt: skip
    width = np.concatenate([strings.width[mutable], np.zeros(len(data), np.int64)])
    some = (length > 0) & (length <= _LARGEST_COMPARED_BYTES) & (starts + (length + 7) // 8 <= len(image.words))
    rows, starts, length, width = rows[some], starts[some], length[some], width[some]
    key = _hashes(image.words, starts, length) ^ (length * 8 + width).astype(np.uint64) * np.uint64(_FACTOR)
    order = np.argsort(key, kind="stable")
    borders = np.flatnonzero(np.diff(key[order], prepend=~key[order[:1]]))
    counts = np.diff(np.append(borders, len(order)))
    example = rows[order[borders]] if len(order) else rows
    total = np.add.reduceat(sizes[rows[order]], borders) if len(order) else np.zeros(0, np.int64)
    wasted = total - sizes[example]
    top = np.flatnonzero(counts > 1)
    top = top[np.argsort(-wasted[top], kind="stable")[:_MOST_DUPLICATES]]
    return Duplicates(example[top].astype(np.int32), counts[top].astype(np.int64), wasted[top].astype(np.int64))


def _hashes(words: Words, starts: Indices, length: Indices) -> NDArray[np.uint64]:
    """A hash of the bytes of each stretch."""
    found = np.zeros(len(starts), np.uint64)
    count = (length + 7) // 8
    factors = np.cumprod(np.full(_LARGEST_COMPARED_BYTES // 8 + 1, _FACTOR, np.uint64), dtype=np.uint64)
    last_bits = (length & 7) * 8
    mask = np.where(last_bits > 0, (np.uint64(1) << last_bits.astype(np.uint64)) - np.uint64(1), ~np.uint64(0))
    for part in _batches(np.arange(len(starts)), count):
        positions, which = ranges(count[part])
        some = words[starts[part][which] + positions].copy()
        ends = np.cumsum(count[part]) - 1
        some[ends] &= mask[part]
        some ^= some >> np.uint64(29)
        some *= factors[positions]
        some ^= some >> np.uint64(32)
        found[part] = np.add.reduceat(some, ends - count[part] + 1)
    return found


def _batches(rows: Indices, sizes: Indices) -> Iterator[Indices]:
    """``rows`` in parts whose sizes add up to a bounded number."""
    sums = np.cumsum(sizes)
    begin = 0
    while begin < len(rows):
        before = int(sums[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(sums, before + _BATCH, side="right")))
        yield rows[begin:end]
        begin = end
