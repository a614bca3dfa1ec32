"""How much of a processor the target uses of late."""

from __future__ import annotations

import time
from collections import deque

_WINDOW_SECONDS = 30.0
_DIGITS = 3
"""CPU time is counted in hundredths of a second: more would be noise, and is recorded each second."""


class CpuUse:
    """Told the target's CPU time look by look."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, float]] = deque()

    def share(self, cpu_seconds: float) -> float | None:
        """Take one look; the share of a core over the last half minute, None at the first."""
        now = time.monotonic()
        self._looks.append((now, cpu_seconds))
        while self._looks[0][0] < now - _WINDOW_SECONDS:
            self._looks.popleft()
        (begin, before), (end, after) = self._looks[0], self._looks[-1]
        return round((after - before) / (end - begin), _DIGITS) if end > begin else None
