"""Where the growth of a process's memory went."""

from __future__ import annotations

from memtui.model.evidence import Evidence, Look
from memtui.model.suspect import Split

THREAD_BYTES = 64 * 1024
"""What a thread takes that does little: the used pages of its stack, its thread-local data, the beginning of an arena
of malloc's. Measured on glibc 2.36: 17 to 20 KiB, here with room for more frames."""


def split_growth(evidence: Evidence) -> Split:
    """From the first look to the last. What cannot be told apart stays in ``unexplained``."""
    first, last = evidence.looks[0], evidence.looks[-1]
    objects = last.objects_bytes - first.objects_bytes
    rss, anonymous = _change(first.rss_bytes, last.rss_bytes), _change(first.anonymous_bytes, last.anonymous_bytes)
    free, native = _change(first.free_bytes, last.free_bytes), native_growth(first, last)
    files = rss - anonymous if rss is not None and anonymous is not None else None
    unexplained = None
    if anonymous is not None:
        unexplained = anonymous - objects - (free or 0) - (native or 0)
    return Split(rss, objects, last.garbage_bytes - first.garbage_bytes, free, native, files, unexplained)


def native_growth(first: Look, last: Look) -> int | None:
    """Bytes of anonymous memory that neither objects nor free blocks account for; None when it is not known."""
    anonymous = _change(first.anonymous_bytes, last.anonymous_bytes)
    if anonymous is None:
        return None
    free = _change(first.free_bytes, last.free_bytes) or 0
    return max(0, anonymous - (last.objects_bytes - first.objects_bytes) - max(0, free))


def stack_growth(first: Look, last: Look) -> int:
    """At most so many bytes are the stacks and allocator arenas of threads that came between the two looks."""
    return max(0, _change(first.threads, last.threads) or 0) * THREAD_BYTES


def _change(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before
