"""What a frozen copy costs the process that was copied, beyond the moment for which it stands still.

While two processes share memory, the first write to each page is a page fault in which the kernel copies it (or, when
the other is gone, only takes note): ``do_wp_page`` in ``mm/memory.c``. Their number is known, ``minflt`` of
``proc(5)``, but for those the process would have had anyway; what one takes is measured in this process. So it is an
estimate, and rather a low one: the pages of a large program are not in the processor's caches (a program of a million
objects that writes all over its heap paid 5 µs a fault where 3 µs were measured here).
"""

from __future__ import annotations

import mmap
import time
from contextlib import suppress
from dataclasses import dataclass

_TRIED_PAGES = 512
_MINOR_FAULTS = 7


@dataclass(frozen=True, slots=True)
class FaultCount:
    """Minor page faults of a process so far. ``at_seconds`` is on the monotonic clock."""

    at_seconds: float
    faults: int


def count_faults(pid: int) -> FaultCount | None:
    """The count now; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return FaultCount(time.monotonic(), int(file.read().rpartition(b")")[2].split()[_MINOR_FAULTS]))
    except (OSError, IndexError):
        return None


def faults_by_copy(before: FaultCount | None, copied: FaultCount | None, after: FaultCount | None) -> int | None:
    """How many more faults there were after a copy was made than there are ordinarily; None where that is not known.

    What is ordinary was seen between ``before`` and ``copied``, just before the copy was made.
    """
    if before is None or copied is None or after is None or copied.at_seconds <= before.at_seconds:
        return None
    rate = (copied.faults - before.faults) / (copied.at_seconds - before.at_seconds)
    return max(0, round(after.faults - copied.faults - rate * (after.at_seconds - copied.at_seconds)))


def fault_seconds() -> float:
    """CPU time of one such fault here: of pages that were only read until now, and so are those of all zeros."""
    size = _TRIED_PAGES * mmap.PAGESIZE
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
        with suppress(OSError):  # a kernel without huge pages
            pages.madvise(mmap.MADV_NOHUGEPAGE)
        for at in range(0, size, mmap.PAGESIZE):
            pages[at]
        began = time.thread_time()
        for at in range(0, size, mmap.PAGESIZE):
            pages[at] = 1
        return (time.thread_time() - began) / _TRIED_PAGES
