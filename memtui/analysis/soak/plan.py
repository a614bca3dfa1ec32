"""What a soak test is asked to find out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memtui.analysis.detect import DetectorOptions, Rule
from memtui.analysis.soak.rate import Rate

MB = 1_000_000
FailOn = Literal["leak", "suspect", "growing", "never"]
FAIL_ON: tuple[FailOn, ...] = ("leak", "suspect", "growing", "never")


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """Sizes in bytes, times in seconds; a limit of None is not checked.

    ``warm_up_seconds``: looks before it count for nothing but ``max_rss_bytes``; None for the detector's own, which
    is a sixth of the soak and at most five minutes, less the age of the target. ``fail_on`` is the least alarming
    verdict that fails. ``periods``, ``period_seconds``, ``least_bytes`` and ``least_percent`` are those of the plain
    rules (:mod:`memtui.analysis.detect.plain_rules`). ``has_baseline``: compare with ``baseline``, the growth rate of
    an earlier run, None where that had none. ``expected``: signatures of suspects that the user expects; they make no
    verdict.
    """

    seconds: float
    interval_seconds: float = 1.0
    max_growth_bytes: int | None = None
    max_growth_percent: float | None = None
    max_rss_bytes: int | None = None
    warm_up_seconds: float | None = None
    rule: Rule = "bic"
    fail_on: FailOn = "suspect"
    periods: int = 6
    period_seconds: float | None = None
    least_bytes: int = 50 * MB
    least_percent: float = 5.0
    has_baseline: bool = False
    baseline: Rate | None = None
    expected: frozenset[str] = frozenset()

    def detector(self, seconds: float, age_seconds: float) -> DetectorOptions:
        """The scale of the detector for a soak of ``seconds`` on a target that was ``age_seconds`` old."""
        options = DetectorOptions.for_watch(seconds, self.interval_seconds, age_seconds)
        if self.warm_up_seconds is None:
            return options
        return DetectorOptions(options.block_seconds, self.warm_up_seconds, 0.0)

    def warm_until(self, seconds: float, age_seconds: float) -> float:
        """The time of the soak at which its warm-up is over."""
        options = self.detector(seconds, age_seconds)
        return max(0.0, options.warm_up_seconds - options.age_seconds)

    def period(self, seconds: float) -> float:
        """The length of a period of the rule ``ols`` over ``seconds``: a minute, less where they do not suffice."""
        return self.period_seconds or min(60.0, max(self.interval_seconds, seconds / (self.periods + 1)))
