"""What a round is measured by: live blocks, bytes in use, resident memory. Cheap, exact, and without new objects."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from array import array
from collections.abc import Callable
from time import thread_time

_MALLINFO_FIELDS = 10
_MAPPED, _IN_USE = 4, 7
"""``hblkhd`` and ``uordblks`` of ``struct mallinfo2`` (``malloc.h``, glibc 2.33 and newer), sums of all arenas."""


QUICK_SECONDS = 0.003
"""Full collections that are as quick as that are made after each round."""
_YOUNG = 1


class _MallInfo(ctypes.Structure):
    _fields_ = [("field", ctypes.c_size_t * _MALLINFO_FIELDS)]


class Gauges:
    """Figures at the end of each round, in arrays made beforehand: what is noted must not look like growth.

    ``blocks``: blocks of Python's own allocator, which has objects up to 512 bytes. ``heap_bytes``: what C code and
    larger objects have from malloc; None without glibc 2.33. ``rss_bytes``: None where there is no ``/proc``.
    """

    def __init__(self, rounds: int) -> None:
        self._count = 0
        self._is_quick = _full_collection_seconds() < QUICK_SECONDS
        self.blocks = array("q", bytes(8 * rounds))
        self._heap = array("q", bytes(8 * rounds))
        self._rss = array("q", bytes(8 * rounds))
        self._malloc = _malloc_counter()
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")

    @property
    def heap_bytes(self) -> array[int] | None:
        """Bytes in use that malloc gave; None when they are not known."""
        return self._heap if self._malloc is not None else None

    @property
    def rss_bytes(self) -> array[int] | None:
        """Resident bytes; None when they are not known."""
        return self._rss if self._rss[0] else None

    def take(self, *, fully: bool = True) -> None:
        """Collect garbage, of all generations or of the young ones only, and note where this round ended."""
        gc.collect() if fully or self._is_quick else gc.collect(_YOUNG)
        self._rss[self._count] = self._resident()
        if self._malloc is not None:
            self._heap[self._count] = self._malloc()
        self.blocks[self._count] = sys.getallocatedblocks()
        self._count += 1

    def _resident(self) -> int:
        try:
            with open("/proc/self/statm", "rb", buffering=0) as file:
                return int(file.read(200).split()[1]) * self._page_bytes
        except OSError:
            return 0


def _full_collection_seconds() -> float:
    gc.collect()
    start = thread_time()
    gc.collect()
    return thread_time() - start


def _malloc_counter() -> Callable[[], int] | None:
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return None
    mallinfo2.restype = _MallInfo
    mallinfo2.argtypes = ()

    def count() -> int:
        field = mallinfo2().field
        return int(field[_MAPPED]) + int(field[_IN_USE])

    return count
