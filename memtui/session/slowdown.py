"""What tracing costs the target."""

from __future__ import annotations

import time


class Slowdown:
    """What tracing costs the target in CPU: its use of the processor for some seconds before and after.

    Not measurable (None) for a process that used a whole core already: it gets slower instead of busier.
    """

    _WINDOW_SECONDS = 8.0
    _BUSY = 0.9

    def __init__(self) -> None:
        self._looks: list[tuple[float, float]] = []
        self._before: float | None = None
        self._switched_at = float("inf")
        self.percent: float | None = None

    def tracing_starts(self) -> None:
        """Tracing is switched on now: what was seen so far is the time before."""
        self._before, self._looks, self._switched_at = self._rate(), [], time.monotonic()

    def tracing_stops(self) -> None:
        """Tracing is switched off: what is seen from now on is the time before the next time."""
        self._before, self._looks, self._switched_at, self.percent = None, [], float("inf"), None

    def look(self, cpu_seconds: float, tracing: bool) -> None:
        """The target's CPU time so far."""
        now = time.monotonic()
        self._looks.append((now, cpu_seconds))
        while self._looks and self._looks[0][0] < now - self._WINDOW_SECONDS:
            del self._looks[0]
        if tracing and self._before and now - self._switched_at > self._WINDOW_SECONDS / 2:
            rate = self._rate()
            measurable = rate is not None and 0.005 < self._before < self._BUSY and rate < self._BUSY
            self.percent = 100 * (rate / self._before - 1) if measurable and rate is not None else None

    def _rate(self) -> float | None:
        if len(self._looks) < 2:
            return None
        (start, cpu), (end, cpu_later) = self._looks[0], self._looks[-1]
        return (cpu_later - cpu) / (end - start) if end > start else None
