"""What a soak test found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memtui.analysis.diagnosis.diagnose import Diagnosis
from memtui.analysis.soak.plan import SoakPlan
from memtui.analysis.soak.rate import Comparison, Rate

EDGE_LOOKS = 3


@dataclass(frozen=True, slots=True)
class Growth:
    """From the median of the first three looks after the warm-up to that of the last three."""

    first_bytes: float
    last_bytes: float

    @property
    def bytes(self) -> int:
        """The difference."""
        return round(self.last_bytes - self.first_bytes)

    @property
    def percent(self) -> float | None:
        """In percent of the first; None when that was nothing."""
        return 100 * (self.last_bytes - self.first_bytes) / self.first_bytes if self.first_bytes > 0 else None


def growth_of(points: Sequence[tuple[float, float]]) -> Growth | None:
    """The growth over ``points``; None with fewer than two."""
    if len(points) < 2:
        return None
    edge = EDGE_LOOKS if len(points) >= 2 * EDGE_LOOKS else 1
    values = [value for _, value in points]
    return Growth(sorted(values[:edge])[edge // 2], sorted(values[-edge:])[edge // 2])


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can fail the soak. ``broken``: None when too little was seen to tell; ``text`` tells why."""

    name: str
    broken: bool | None
    text: str
    limit: float | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class SoakResult:
    """All of it. ``growth`` and ``rate`` are those after the warm-up, None when too little was seen."""

    plan: SoakPlan
    diagnosis: Diagnosis
    warm_up_seconds: float
    growth: Growth | None
    rate: Rate | None
    checks: tuple[Check, ...]
    comparison: Comparison | None

    @property
    def broken(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(one for one in self.checks if one.broken)
