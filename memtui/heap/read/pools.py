"""Pools of Python's own allocator: what it hands out begins at fixed places of them.

Source: ``Objects/obmalloc.c`` of CPython. A pool (4 KB until 3.9, 16 KB since) begins with a head of 48 bytes, in it
the number of its size class and the offset of its last block; all its blocks have the same size.
"""

from __future__ import annotations

import numpy as np

from memtui.heap.read.image import Image, Indices, Words
from memtui.heap.read.layout import Layout

HEAD_BYTES, SIZE_CLASSES = 48, 32
_SMALLEST_CHUNK_BYTES, _LARGEST_CHUNK_BYTES = 32, 1 << 40
_IN_USE, _NUMBERS, _OFFSETS = 0, 4, 5
"""Words of the head: blocks in use; arena and size class; offset of the next block and of the last one."""


def pool_bytes(layout: Layout) -> int:
    """Size of a pool, at a multiple of which it begins."""
    return 16384 if layout.minor >= (3, 10) else 4096


def block_sizes_of(image: Image, layout: Layout, heads: Indices) -> Indices:
    """Size of the blocks of the pools that begin at these words; 0 where none does (-1: no word at all)."""
    size = pool_bytes(layout)
    known = (heads >= 0) & (heads + _OFFSETS < len(image.words))
    heads = np.where(known, heads, 0)
    size_class = image.words[heads + _NUMBERS] >> np.uint64(32)
    block = (np.minimum(size_class, np.uint64(SIZE_CLASSES)).astype(np.int64) + 1) * 16
    used = (image.words[heads + _IN_USE] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    last = (image.words[heads + _OFFSETS] >> np.uint64(32)).astype(np.int64)
    known &= (size_class < np.uint64(SIZE_CLASSES)) & (last == size - block)
    known &= used <= (size - HEAD_BYTES) // block
    return np.where(known, block, 0)


def blocks_at(image: Image, layout: Layout, addresses: Words) -> tuple[Indices, Indices]:
    """For each address: size of the blocks of the pool it is in (0: none), and how far into a block it is."""
    size = np.uint64(pool_bytes(layout))
    bases, which = _runs(addresses & ~(size - np.uint64(1)))
    block = block_sizes_of(image, layout, image.find(bases))[which]
    into = (addresses & (size - np.uint64(1))).astype(np.int64) - HEAD_BYTES
    return block, into % np.maximum(block, 1)


def chunk_sizes_at(image: Image, addresses: Words) -> Indices:
    """Bytes that a chunk of glibc's ``malloc`` has room for that begins at each address; 0 where none seems to.

    The word in front is size and flags (``malloc/malloc.c``); the chunk behind says that this one is in use, unless
    it is mapped by itself or that word is not in the image.
    """
    head = image.find(addresses - np.uint64(8))
    word = np.where(head >= 0, image.words[np.maximum(head, 0)], np.uint64(0))
    size = (word & ~np.uint64(7)).astype(np.int64)
    sane = (size >= _SMALLEST_CHUNK_BYTES) & (size < _LARGEST_CHUNK_BYTES) & (size & 15 == 0)
    behind = image.find(addresses + np.where(sane, size, 0).astype(np.uint64) - np.uint64(8))
    in_use = (behind < 0) | (image.words[np.maximum(behind, 0)] & np.uint64(1) == 1) | (word & np.uint64(2) != 0)
    return np.where(sane & in_use, size - 8, 0)


def _runs(numbers: Words) -> tuple[Words, Indices]:
    """Without repetitions beside each other, and the row of each; of sorted numbers few are left."""
    first = np.append(True, numbers[1:] != numbers[:-1])[: len(numbers)]
    return numbers[first], np.cumsum(first) - 1
