"""The rules that people had before, by name, to compare with: a line through N periods, and the last tenth's mean.

They ask whether there is a trend at all, so a warm-up alarms them as a leak does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from memtui.analysis.detect.verdict import Rule, Verdict
from memtui.analysis.trend import least_squares, spread, theil_sen
from memtui.model.units import format_bytes, format_seconds

MB = 1_000_000
Points = Sequence[tuple[float, float]]
"""Seconds and bytes, in the order of time."""
Trend = Literal["stable", "growing", "shrinking"]

MIN_POINTS = 10
EDGE_SHARE = 0.1
TREND_LEAST_BYTES = 256 * 1024
TREND_LEAST_SHARE = 0.005
TREND_NOISE_FACTOR = 2.0


def ols(
    points: Points,
    *,
    periods: int = 6,
    period_seconds: float = 60.0,
    least_bytes: float = 50 * MB,
    least_percent: float = 5.0,
) -> Verdict:
    """A leak when the means of the last ``periods`` + 1 periods rise along a least-squares line by more than both.

    The growth is the mean of the last period less that of the first. Inconclusive before there are that many.
    """
    means = _means(points, period_seconds)[-periods - 1 :]
    seconds = (len(means) - 1) * period_seconds if means else 0.0
    if len(means) <= periods:
        return _too_early(
            "ols", seconds, f"The line needs {periods + 1} periods of {format_seconds(period_seconds)}."
        )
    slope = least_squares([period_seconds * index for index in range(len(means))], means) or 0.0
    growth = means[-1] - means[0]
    least = max(least_bytes, least_percent / 100 * means[0])
    return _plain("ols", slope > 0 and growth > least, growth, least, 60.0 * slope, seconds)


def thirds(points: Points, *, threshold_bytes: float = 50 * MB) -> Verdict:
    """A leak when the mean of the last tenth of the looks exceeds that of the first tenth by ``threshold_bytes``."""
    seconds = points[-1][0] - points[0][0] if points else 0.0
    if len(points) < MIN_POINTS or seconds <= 0:
        return _too_early("thirds", seconds, f"The rule needs {MIN_POINTS} looks.")
    edge = max(1, int(len(points) * EDGE_SHARE))
    growth = (sum(value for _, value in points[-edge:]) - sum(value for _, value in points[:edge])) / edge
    speed = 60.0 * growth / (seconds * (1 - EDGE_SHARE))
    return _plain("thirds", growth > threshold_bytes, growth, threshold_bytes, speed, seconds)


def rolling_trend(points: Points, *, window_seconds: float = 300.0) -> Trend | None:
    """The direction over the last ``window_seconds``; None with fewer than 10 looks in them.

    A change counts when it exceeds 256 KiB, half a percent, and twice the ups and downs around it.
    """
    if not points:
        return None
    start = points[-1][0] - window_seconds
    recent = [point for point in points if point[0] >= start]
    if len(recent) < MIN_POINTS:
        return None
    xs = [at - recent[0][0] for at, _ in recent]
    ys = [value for _, value in recent]
    slope = theil_sen(xs, ys)
    if slope is None:
        return None
    change = slope * xs[-1]
    least = max(TREND_LEAST_BYTES, TREND_LEAST_SHARE * abs(ys[-1]), TREND_NOISE_FACTOR * spread(xs, ys, slope))
    if abs(change) < least:
        return "stable"
    return "growing" if change > 0 else "shrinking"


def _means(points: Points, period_seconds: float) -> list[float]:
    """The mean of each whole period, counted back from the last look; a period without looks is left out."""
    if not points:
        return []
    sums: dict[int, tuple[float, int]] = {}
    end = points[-1][0]
    for at, value in points:
        total, count = sums.get(int((end - at) // period_seconds), (0.0, 0))
        sums[int((end - at) // period_seconds)] = total + value, count + 1
    whole = [index for index in sums if (index + 1) * period_seconds <= end - points[0][0] + period_seconds / 2]
    return [sums[index][0] / sums[index][1] for index in sorted(whole, reverse=True)]


def _too_early(rule: Rule, seconds: float, reason: str) -> Verdict:
    return Verdict("inconclusive", 0.0, (reason,), None, None, seconds, rule)


def _plain(rule: Rule, leaks: bool, growth: float, least: float, speed: float, seconds: float) -> Verdict:
    reason = (
        f"{format_bytes(growth, sign=True)} in {format_seconds(seconds)}; "
        f"the rule {rule} calls more than {format_bytes(least)} a leak."
    )
    return Verdict("leak" if leaks else "healthy", 0.5, (reason,), speed, None, seconds, rule)
