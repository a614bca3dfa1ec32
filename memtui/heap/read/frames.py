"""How long frames are: where their slots are, and how many of them are in use.

Since 3.11 a running function has no frame object, only an ``_PyInterpreterFrame`` on a stack of the thread's own;
generators, coroutines and frame objects that outlived their function end in one (``pycore_frame.h``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memtui.heap.read.image import Image, Indices
from memtui.heap.read.layout import Layout

_MOST_SLOTS = 1 << 16


def measure_frames(
    image: Image, layout: Layout, index: Indices, base_bytes: Indices, is_frame_object: NDArray[np.bool_]
) -> tuple[Indices, Indices]:
    """Body and size of objects that end in an interpreter frame; ``base_bytes`` is their type's basic size."""
    frame = index + ((base_bytes - layout.frame_localsplus) >> 3)
    slots, used = count_slots(image, layout, frame)
    own_frame = image.words[np.minimum(index + layout.frameobject_frame // 8, len(image.words) - 1)]
    holds_it = ~is_frame_object | (own_frame == image.addresses(frame))
    body = np.where(holds_it, base_bytes + 8 * used, base_bytes - layout.frame_localsplus)
    return body, base_bytes + 8 * slots


def measure_old_frames(image: Image, layout: Layout, index: Indices, base_bytes: Indices) -> Indices:
    """Bytes that frame objects need until 3.10, one slot of which their basic size has; they may have more room."""
    words = image.words
    code = image.find(words[np.minimum(index + layout.frameobject_code // 8, len(words) - 1)])
    known = (code >= 0) & (code + layout.co_weakreflist // 8 < len(words))
    code = np.where(known, code, 0)
    slots = half(image, code, layout.co_stacksize) - 1
    for offset in (layout.co_varnames, layout.co_cellvars, layout.co_freevars):
        names = image.find(words[code + offset // 8])
        there = (names >= 0) & (names + 2 < len(words))
        slots += np.where(there, words[np.where(there, names, 0) + 2].astype(np.int64), 0)
    return base_bytes + np.where(known & (slots >= 0) & (slots < _MOST_SLOTS), 8 * slots, 0)


def count_slots(image: Image, layout: Layout, frame: Indices) -> tuple[Indices, Indices]:
    """Slots (variables and value stack) of interpreter frames that begin at these words, and how many are in use."""
    words = image.words
    frame = np.where(frame + layout.frame_stacktop // 8 < len(words), frame, 0)
    code = image.find(words[frame + layout.frame_code // 8])
    known = (code >= 0) & (code + layout.co_nlocalsplus // 8 < len(words))
    code = np.where(known, code, 0)
    variables = half(image, code, layout.co_nlocalsplus)
    stack = half(image, code, layout.co_stacksize)
    top = (words[frame + layout.frame_stacktop // 8] & np.uint64(0xFFFFFFFF)).astype(np.uint32).astype(np.int32)
    known &= (variables < _MOST_SLOTS) & (stack < _MOST_SLOTS)
    variables, slots = np.where(known, variables, 0), np.where(known, variables + stack, 0)
    used = np.where((top < 0) | (top > slots), variables, top.astype(np.int64))
    return slots, used


def half(image: Image, index: Indices, offset: int) -> Indices:
    """The 32-bit number at a byte offset from each word."""
    words = image.words[index + (offset >> 3)]
    half: Indices = ((words >> np.uint64(32 * (offset >> 2 & 1))) & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return half
