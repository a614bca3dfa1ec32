"""This process, as the rest of memtui sees any process."""

from __future__ import annotations

import gc
import logging
import os
import sys
import time
from collections.abc import Callable

from memtui.errors import MemtuiError
from memtui.model.gc import GcState, Generation
from memtui.model.sample import Sample
from memtui.observe.access import read_proc
from memtui.observe.process import ProcessReader
from memtui.observe.smaps import Usage, parse_rollup

log = logging.getLogger("memtui")

CHEAP_SECONDS = 0.002
SHARE_OF_CORE = 0.01


class OwnProcess:
    """Looks at the process it is used in. No file stays open: a program may close all of its files at any time.

    Reading USS and PSS takes some ten milliseconds a GB, so they are read less often where they are dear: at most 1 %
    of a core goes into them. Between two readings they are given as they were.
    """

    def __init__(self) -> None:
        self._details: Usage | None = None
        self._due = 0.0

    def look(self, at_seconds: float, traced_bytes: int | None = None) -> Sample:
        """One look, at this time of the observation. Raises MemtuiError where /proc may not be read."""
        exact = self._read_details()
        details = self._details
        return Sample(
            at_seconds=at_seconds,
            rss_bytes=exact.rss_bytes if exact is not None else _resident_bytes(),
            uss_bytes=details.uss_bytes if details else None,
            pss_bytes=details.pss_bytes if details else None,
            swap_bytes=details.swap_bytes if details else None,
            traced_bytes=traced_bytes,
            gc_counts=gc.get_count(),
        )

    def _read_details(self) -> Usage | None:
        began = time.monotonic()
        if began < self._due:
            return None
        try:
            self._details = parse_rollup(read_proc(os.getpid(), "smaps_rollup", "memory"))
        except MemtuiError:  # an old kernel, or not permitted
            self._details, self._due = None, float("inf")
            return None
        took = time.monotonic() - began
        self._due = began + (took / SHARE_OF_CORE if took > CHEAP_SECONDS else 0.0)
        return self._details


def _resident_bytes() -> int:
    return int(read_proc(os.getpid(), "statm", "memory").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_limit_bytes() -> int | None:
    """The smallest control group limit over this process; None without one, or where it is not to be seen."""
    try:
        with ProcessReader(os.getpid()) as reader:
            return reader.memory_limit_bytes()
    except (MemtuiError, OSError):
        return None


def rss_bytes() -> int | None:
    """The resident memory of this process now; None where it is not to be seen."""
    try:
        return OwnProcess().look(0.0).rss_bytes
    except (MemtuiError, OSError):
        return None


def collector_state() -> GcState:
    """The collector of this process now."""
    generations = tuple(
        Generation(count, threshold, stats["collections"], stats["collected"], stats["uncollectable"])
        for count, threshold, stats in zip(gc.get_count(), gc.get_threshold(), gc.get_stats(), strict=True)
    )
    return GcState(gc.isenabled(), generations)


def shallow_size(one: object) -> int:
    """``sys.getsizeof``: bytes of the object itself, without what it refers to."""
    try:
        return sys.getsizeof(one)
    except Exception:  # noqa: BLE001 - the program's own __sizeof__
        return object.__sizeof__(one)


class Guarded:
    """Calls functions of the program. What one of them raises is logged, the first time, and harms nobody."""

    def __init__(self) -> None:
        self._told: set[int] = set()

    def call(self, what: str, function: Callable[..., object], *arguments: object) -> bool:
        """Whether ``function(*arguments)`` came to its end; ``what`` is its name in the log."""
        try:
            function(*arguments)
        except Exception:
            if id(function) not in self._told:
                self._told.add(id(function))
                log.exception("memtui: %s failed (this is told once)", what)
            return False
        return True
