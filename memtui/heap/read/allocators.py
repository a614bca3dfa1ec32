"""How much of a process's memory its allocators hand out, and how much they keep for later: what is fragmentation.

Sources: ``Objects/obmalloc.c`` of CPython (a pool tells its size class and how many of its blocks are in use),
``malloc/malloc.c`` of glibc (a chunk tells its size, and whether the one in front of it is in use).
"""

from __future__ import annotations

import numpy as np

from memtui.heap.read.image import Image
from memtui.heap.read.layout import Layout

_POOL_HEAD_BYTES, _SIZE_CLASSES = 48, 32
_MOST_CHUNKS = 3_000_000
_SMALLEST_CHUNK_BYTES = 32


def measure_allocators(image: Image, layout: Layout) -> dict[str, int | None]:
    """Bytes: ``pool_used`` and ``pool_free`` of Python's allocator, ``heap_used`` and ``heap_free`` of malloc's.

    malloc's is the main heap only; None where it cannot be followed from end to end.
    """
    pool_used, pool_free = _pools(image, layout)
    heap_used, heap_free = _main_heap(image)
    return {"pool_used": pool_used, "pool_free": pool_free, "heap_used": heap_used, "heap_free": heap_free}


def _pools(image: Image, layout: Layout) -> tuple[int, int]:
    size = 16384 if layout.minor >= (3, 10) else 4096
    used = total = 0
    for number, region in enumerate(image.regions):
        if region.path:
            continue
        first = -(-region.start // size) * size
        starts = np.arange(first, region.end - size + 1, size, dtype=np.int64)
        words = (starts - region.start) // 8 + int(image.first_words[number])
        count = (image.words[words] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        size_class = (image.words[words + 4] >> np.uint64(32)).astype(np.int64)
        block = (np.minimum(size_class, _SIZE_CLASSES) + 1) * 16
        last_offset = (image.words[words + 5] >> np.uint64(32)).astype(np.int64)
        is_pool = (size_class < _SIZE_CLASSES) & (last_offset == size - block)
        is_pool &= count <= (size - _POOL_HEAD_BYTES) // block
        used += int((count * block)[is_pool].sum())
        total += int(is_pool.sum()) * size
    return used, total - used


def _main_heap(image: Image) -> tuple[int | None, int | None]:
    """Follows the chunks of the main heap; its pages that were never touched belong to the last one, which is free."""
    heaps = [region for region in image.regions if region.path == "[heap]"]
    if not heaps:
        return None, None
    words = image.words.data
    address, end = heaps[0].start, heaps[-1].end
    at, used, free = image.find_one(address), 0, 0
    last = _end_of_region(image, at)
    for _ in range(_MOST_CHUNKS):
        size = words[at + 1] & ~7
        if size < _SMALLEST_CHUNK_BYTES or size & 15:
            return None, None
        behind = at + size // 8
        if behind + 1 >= last:  # it ends in pages that are not in the image, or in those behind such
            behind = image.find_one(address + size)
            last = _end_of_region(image, behind)
        if behind < 0 or address + size >= end:
            return used, free + size
        if words[behind + 1] & 1:
            used += size
        else:
            free += size
        at, address = behind, address + size
    return None, None


def _end_of_region(image: Image, index: int) -> int:
    return int(image.first_words[np.searchsorted(image.first_words, index, side="right")]) if index >= 0 else 0
