"""This process, as the rest of memtui sees any process."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable

from memtui.errors import MemtuiError
from memtui.model.gc import GcState, Generation
from memtui.model.sample import Sample
from memtui.observe.process import ProcessReader

log = logging.getLogger("memtui")


class OwnProcess:
    """Reads the memory of the process it is used in, also in a forked child of the one it was made in."""

    def __init__(self) -> None:
        self._reader: ProcessReader | None = None
        self._home = 0

    def look(self, at_seconds: float, traced_bytes: int | None = None) -> Sample:
        """One look, at this time of the observation. Raises MemtuiError where /proc may not be read."""
        home = os.getpid()
        if self._reader is None or self._home != home:
            self.close()
            self._reader, self._home = ProcessReader(home), home
        seen = self._reader.sample()
        return Sample(
            at_seconds=at_seconds,
            rss_bytes=seen.rss_bytes,
            uss_bytes=seen.uss_bytes,
            pss_bytes=seen.pss_bytes,
            swap_bytes=seen.swap_bytes,
            traced_bytes=traced_bytes,
            gc_counts=gc.get_count(),
        )

    def memory_limit_bytes(self) -> int | None:
        """The smallest control group limit over this process; None without one, or where it is not to be seen."""
        try:
            with ProcessReader(os.getpid()) as reader:
                return reader.memory_limit_bytes()
        except MemtuiError:
            return None

    def close(self) -> None:
        """Let go of what is open; a later look opens it again."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


def rss_bytes() -> int | None:
    """The resident memory of this process now; None where it is not to be seen."""
    try:
        with ProcessReader(os.getpid()) as reader:
            return reader.sample().rss_bytes
    except MemtuiError:
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
