"""How much of a process's memory its allocators hand out, and how much they keep for later: what is fragmentation.

Sources: ``Objects/obmalloc.c`` of CPython (a pool tells its size class and how many of its blocks are in use),
``malloc/malloc.c`` of glibc (a chunk tells its size, and whether the one in front of it is in use).
"""

from __future__ import annotations

import numpy as np

from memtui.heap.read.image import Image
from memtui.heap.read.layout import Layout
from memtui.heap.read.pools import block_sizes_of, pool_bytes

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
    size = pool_bytes(layout)
    used = total = 0
    for number, region in enumerate(image.regions):
        if region.path:
            continue
        first = -(-region.start // size) * size
        starts = np.arange(first, region.end - size + 1, size, dtype=np.int64)
        heads = (starts - region.start) // 8 + int(image.first_words[number])
        block = block_sizes_of(image, layout, heads)
        count = (image.words[heads] & np.uint64(0xFFFFFFFF)).astype(np.int64)
        used += int((count * block).sum())
        total += int(np.count_nonzero(block)) * size
    return used, total - used


def _main_heap(image: Image) -> tuple[int | None, int | None]:
    """Follows the chunks of the main heap; pages that were never touched belong to the last one, which is free."""
    heaps = [region for region in image.regions if region.path == "[heap]" and not region.near_file]
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
