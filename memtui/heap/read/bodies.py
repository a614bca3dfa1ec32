"""How long objects are: the part that lies in one piece, and that part of ``sys.getsizeof``.

Sources in CPython: ``Objects/longobject.c`` (digits, and the tag of 3.12), ``Objects/unicodeobject.c`` (the four
forms of a string), ``Objects/typeobject.c`` and ``Objects/codeobject.c`` (their ``__sizeof__``),
``Objects/frameobject.c`` and ``Include/internal/pycore_frame.h`` (frames and generators end in their slots).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import Kind
from memtui.heap.read.classes import HEAP_TYPE, Classes
from memtui.heap.read.frames import measure_frames, measure_old_frames
from memtui.heap.read.image import Image, Indices, Words
from memtui.heap.read.layout import ABSENT, Layout

_MOST_ITEMS = 1 << 36
_IMPOSSIBLE_BYTES = 1 << 50
_DIGIT_BYTES, _INT_HEAD_BYTES = 4, 24
_MOST_MEMBERS = 1000
_MEMBER_BYTES = 40
"""``sizeof(PyMemberDef)``: a heap type ends in the definitions of its ``__slots__``."""


def measure(
    image: Image, classes: Classes, layout: Layout, index: Indices, row: Indices
) -> tuple[Indices, Indices, NDArray[np.bool_]]:
    """Body and size in bytes of each object, and whether it is sound as far as can be seen from these."""
    kinds = classes.kinds[row]
    size = classes.body_bytes[row].copy()
    items = classes.item_bytes[row]
    some = np.flatnonzero((items != 0) & (kinds != Kind.INT))
    count = np.abs(word_at(image, index[some] + 2).view(np.int64))
    size[some] += np.where((count < 0) | (count > _MOST_ITEMS), _IMPOSSIBLE_BYTES, count * np.abs(items[some]))
    body = size.copy()
    sound = np.ones(len(index), bool)
    for kind, fill in ((Kind.INT, _ints), (Kind.STR, _strings), (Kind.TYPE, _types), (Kind.CODE, _codes)):
        mine = np.flatnonzero(kinds == kind)
        if len(mine):
            body[mine], size[mine], sound[mine] = fill(image, classes, layout, index[mine], row[mine], size[mine])
    mine = np.flatnonzero((kinds == Kind.FRAME) | (kinds == Kind.GENERATOR))
    if len(mine) and layout.has_new_frames:
        base = classes.body_bytes[row[mine]]
        body[mine], size[mine] = measure_frames(image, layout, index[mine], base, kinds[mine] == Kind.FRAME)
    elif len(mine := mine[kinds[mine] == Kind.FRAME]):
        size[mine] = measure_old_frames(image, layout, index[mine], classes.body_bytes[row[mine]])
    return body, size, sound


def word_at(image: Image, indices: Indices) -> Words:
    """The words at these indices; what is behind the end reads as the last one."""
    words: Words = image.words[np.minimum(indices, len(image.words) - 1)]
    return words


_Measured = tuple[Indices, Indices, "NDArray[np.bool_]"]


def stored_digits(layout: Layout, sizes: Words) -> Indices:
    """Number of digits of ints from the word that holds it (with the sign; since 3.12 tagged); of zero none."""
    if layout.minor >= (3, 12):
        tagged: Indices = (sizes >> np.uint64(3)).astype(np.int64)
        return tagged
    count: Indices = np.abs(sizes.view(np.int64))
    return count


def digits(layout: Layout, sizes: Words) -> Indices:
    """Number of digits that ints have room for: since 3.11 of zero one, too."""
    return np.maximum(stored_digits(layout, sizes), int(layout.minor >= (3, 11)))


def _ints(image: Image, classes: Classes, layout: Layout, index: Indices, row: Indices, size: Indices) -> _Measured:
    taken = _DIGIT_BYTES * digits(layout, word_at(image, index + 2))
    plain = np.array([one.name in ("int", "bool") for one in classes.raw], bool)[row]
    body = np.where(plain, _INT_HEAD_BYTES + taken, classes.body_bytes[row] + ((taken + 7) & ~7))
    return body, _INT_HEAD_BYTES + taken, taken < _MOST_ITEMS


def _strings(
    image: Image, classes: Classes, layout: Layout, index: Indices, row: Indices, size: Indices
) -> _Measured:
    state = word_at(image, index + layout.str_state // 8).astype(np.int64) & 0xFFFFFFFF
    length = word_at(image, index + layout.str_length // 8).astype(np.int64)
    width, compact, ascii_ = (state >> 2) & 7, (state >> 5) & 1 == 1, (state >> 6) & 1 == 1
    in_place = np.where(ascii_, layout.ascii_size + length + 1, layout.compact_size + (length + 1) * width)
    size = np.where(compact, in_place, layout.unicode_size + (length + 1) * width)
    body = np.where(compact, in_place, classes.body_bytes[row])
    size += _encoded_copy(image, layout, index, compact & ~ascii_)
    sound = ((width == 1) | (width == 2) | (width == 4) | ~compact) & (length >= 0) & (length < _MOST_ITEMS)
    return body, size, sound


def _encoded_copy(image: Image, layout: Layout, index: Indices, asked: NDArray[np.bool_]) -> Indices:
    """Bytes of the UTF-8 text that a string that is not ASCII keeps beside it."""
    extra = np.zeros(len(index), np.int64)
    rows = np.flatnonzero(asked)
    length = word_at(image, index[rows] + layout.str_utf8_length // 8).astype(np.int64)
    there = word_at(image, index[rows] + layout.str_utf8 // 8) != 0
    extra[rows] = np.where(there & (length >= 0) & (length < _MOST_ITEMS), length + 1, 0)
    return extra


def _types(image: Image, classes: Classes, layout: Layout, index: Indices, row: Indices, size: Indices) -> _Measured:
    flags = image.find(image.addresses(index) + np.uint64(layout.tp_flags))
    on_heap = (flags >= 0) & (image.words[np.maximum(flags, 0)] & np.uint64(HEAP_TYPE) != 0)
    members = word_at(image, index + 2).astype(np.int64)
    members = np.where((members < 0) | (members > _MOST_MEMBERS), 0, members)
    size = np.where(on_heap, layout.heap_type_size, layout.type_size)
    body = np.where(
        on_heap, np.maximum(classes.body_bytes[row], layout.heap_type_size) + members * _MEMBER_BYTES, size
    )
    return body, size, flags >= 0


def _codes(image: Image, classes: Classes, layout: Layout, index: Indices, row: Indices, size: Indices) -> _Measured:
    size = (size + 7) & ~7
    # Behind this come instructions with caches, in which anything may look like a reference.
    body = (
        np.full(len(index), layout.co_code_adaptive) if layout.co_code_adaptive != ABSENT else classes.body_bytes[row]
    )
    return body, size, size < _IMPOSSIBLE_BYTES
