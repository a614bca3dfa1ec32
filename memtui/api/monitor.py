"""Is there enough memory, and what to do when there is not: tiers that clean up."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

from memtui.analysis.rss_trend import Growth, rss_growth
from memtui.api.cleaning import clean_up
from memtui.api.locks import Lock
from memtui.api.process import OwnProcess, memory_limit_bytes
from memtui.model.cleanup import CleanupLevel, CleanupOutcome
from memtui.model.sample import Series
from memtui.model.state import State
from memtui.model.target import Target
from memtui.model.units import parse_size

WARNING_SHARE, CRITICAL_SHARE = 0.8, 0.9
"""Of the memory limit, where no sizes are given."""

Level = Literal["ok", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class MemoryStatus:
    """What a check found. ``cleaned``: what was done about it; None when nothing was."""

    level: Level
    rss_bytes: int
    warning_bytes: int
    critical_bytes: int
    at_seconds: float
    cleaned: CleanupOutcome | None = None

    @property
    def share(self) -> float:
        """RSS as a part of the critical size: from 1 on it is critical."""
        return self.rss_bytes / self.critical_bytes


class MemoryMonitor:
    """Checks RSS against two sizes, and cleans up when one is reached.

    ``warning`` and ``critical`` are bytes or sizes such as ``"512MB"``; by default 80 and 90 % of the memory that
    this process may have (its control group's limit, else the machine's). At *warning* a full collection is run and
    the hooks of that level (see :func:`memtui.register_cleanup`); at *critical* all hooks, and free memory goes back
    to the system. Never oftener than each ``cooldown_seconds``; a worse level does not wait. With
    ``clean_up=False`` a check only looks. May be used from any thread.

    >>> monitor = MemoryMonitor(warning="64GB", critical="128GB")
    >>> monitor.check().level
    'ok'
    """

    def __init__(
        self,
        *,
        warning: int | str | None = None,
        critical: int | str | None = None,
        cooldown_seconds: float = 300.0,
        clean_up: bool = True,
    ) -> None:
        self._lock = Lock()
        self._process = OwnProcess()
        self.critical_bytes = _size(critical) or round(CRITICAL_SHARE * _available_bytes())
        self.warning_bytes = _size(warning) or round(self.critical_bytes * WARNING_SHARE / CRITICAL_SHARE)
        if not 0 < self.warning_bytes <= self.critical_bytes:
            raise ValueError(f"warning={warning} is not below critical={critical}")
        self._cooldown_seconds, self._cleans_up = cooldown_seconds, clean_up
        self._began = time.monotonic()
        self._series = Series()
        self._levels: Counter[str] = Counter()
        self._last: tuple[float, CleanupLevel] | None = None
        self._cleaned: list[CleanupOutcome] = []
        self._cleanups = 0

    def check(self) -> MemoryStatus:
        """Look now, and clean up if it is time to. Raises MemtuiError where /proc may not be read."""
        with self._lock:
            seen = self._process.look(time.monotonic() - self._began)
            self._series = self._series.append(seen)
            level = self._level(seen.rss_bytes)
            self._levels[level] += 1
        cleaned = self.cleanup(level) if level != "ok" and self._cleans_up and self._is_time(level) else None
        return MemoryStatus(level, seen.rss_bytes, self.warning_bytes, self.critical_bytes, seen.at_seconds, cleaned)

    def cleanup(self, level: CleanupLevel = "critical", *, force: bool = True) -> CleanupOutcome | None:
        """Clean up now; ``force=False``: only if the cooldown is over, else None. The hooks run in this thread.

        >>> done = MemoryMonitor().cleanup("warning")
        >>> [step.name for step in done.steps][-1]
        'full collection'
        """
        with self._lock:
            if not force and not self._is_time(level):
                return None
            self._last = time.monotonic(), level
        done = clean_up(level)
        with self._lock:
            self._cleanups += 1
            self._cleaned = [*self._cleaned, done][-20:]
        return done

    def trend(self) -> Growth:
        """What RSS did over the checks, in a word: too early, growing, steady, shrinking; and how fast, and why."""
        target = Target(os.getpid(), (), launched=True)
        return rss_growth(State(target, time.time(), series=self._series))

    def stats(self) -> dict[str, Any]:
        """For JSON: ``checks``, ``levels``, ``rss_bytes``, ``cleanups``, ``freed_bytes``, ``last_cleanup``, sizes."""
        with self._lock:
            rss = self._series.rss
            return {
                "checks": self._series.looks,
                "levels": {level: self._levels[level] for level in ("ok", "warning", "critical")},
                "rss_bytes": None if rss is None else asdict(rss) | {"mean": rss.mean},
                "warning_bytes": self.warning_bytes,
                "critical_bytes": self.critical_bytes,
                "cleanups": self._cleanups,
                "freed_bytes": sum(one.freed_rss_bytes or 0 for one in self._cleaned),
                "last_cleanup": asdict(self._cleaned[-1]) if self._cleaned else None,
            }

    def _level(self, rss_bytes: int) -> Level:
        if rss_bytes >= self.critical_bytes:
            return "critical"
        return "warning" if rss_bytes >= self.warning_bytes else "ok"

    def _is_time(self, level: CleanupLevel) -> bool:
        with self._lock:
            if self._last is None or time.monotonic() - self._last[0] >= self._cooldown_seconds:
                return True
            return level == "critical" and self._last[1] == "warning"


def _available_bytes() -> int:
    limit = memory_limit_bytes()
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return machine if limit is None else min(limit, machine)


def _size(value: int | str | None) -> int | None:
    return parse_size(value) if isinstance(value, str) else value
