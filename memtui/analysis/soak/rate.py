"""How fast memory grows, how sure that is, and whether it grows faster than in an earlier run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from memtui.analysis.detect.detector import RSS_MATERIAL
from memtui.analysis.trend import least_squares
from memtui.model.units import format_bytes

MOST_POINTS = 60
MIN_POINTS = 8
MIN_Z = 3.0
"""Standard errors of the difference: one run in 700 of two that are alike is called worse."""
SHOWN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A growth rate: ``error_bytes_per_second`` is its standard error, ``level_bytes`` the mean of the series."""

    bytes_per_second: float
    error_bytes_per_second: float
    seconds: float
    level_bytes: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs. ``worse``: None when it cannot be told. ``z``: the difference in its standard errors."""

    worse: bool | None
    now: Rate | None
    before: Rate | None
    z: float | None
    text: str


def rate_of(points: Sequence[tuple[float, float]]) -> Rate | None:
    """The slope of a least-squares line through the means of at most 60 groups; None with fewer than 8 of them.

    Memory of one moment is like that of the moment before, so the looks count for fewer than they are: the standard
    error is that of as many independent ones as their autocorrelation leaves (Santer et al. 2000, J. Geophys. Res.
    105, 7337: n (1 - r) / (1 + r)).
    """
    grouped = _grouped(points)
    if len(grouped) < MIN_POINTS:
        return None
    xs = [at - grouped[0][0] for at, _ in grouped]
    ys = [value for _, value in grouped]
    slope = least_squares(xs, ys)
    if slope is None:
        return None
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    rest = [y - middle_y - slope * (x - middle_x) for x, y in zip(xs, ys, strict=True)]
    spread = sum((x - middle_x) ** 2 for x in xs)
    error = math.sqrt(_sum_of_squares(rest) / (_independent(rest) - 2) / spread)
    return Rate(slope, error, xs[-1], middle_y)


def compare_rates(now: Rate | None, before: Rate | None) -> Comparison:
    """Whether memory grows faster than before, by more than the noise of both runs and by an amount that matters.

    Worse: the difference exceeds three of its standard errors (those of the two rates, added in squares), and over
    the time of this run it comes to what the detector calls material: 3 MiB and 0.6 % of the memory.
    """
    if now is None or before is None:
        which = "This run" if now is None else "The baseline"
        return Comparison(None, now, before, None, f"{which} has too few looks for a growth rate.")
    more = now.bytes_per_second - before.bytes_per_second
    noise = math.hypot(now.error_bytes_per_second, before.error_bytes_per_second)
    z = more / noise if noise > 0 else math.copysign(math.inf, more) if more else 0.0
    matters = more * now.seconds > RSS_MATERIAL.bytes(now.level_bytes)
    told = f"{_per_minute(now)} now, {_per_minute(before)} in the baseline"
    z_or_none = round(z, 2) if math.isfinite(z) else None
    if z > MIN_Z and matters:
        return Comparison(True, now, before, z_or_none, f"Grows faster than the baseline: {told}.")
    if z > MIN_Z:
        return Comparison(False, now, before, z_or_none, f"No difference that matters: {told}.")
    return Comparison(False, now, before, z_or_none, f"Not worse than the noise of both runs: {told}.")


def _grouped(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = max(1, -(-len(points) // MOST_POINTS))
    groups = [points[start : start + size] for start in range(0, len(points) - size + 1, size)]
    return [(sum(at for at, _ in group) / size, sum(value for _, value in group) / size) for group in groups]


def _independent(rest: Sequence[float]) -> float:
    """How many independent looks these residuals are worth, at least 3."""
    squares = _sum_of_squares(rest)
    if squares <= 0:
        return float(len(rest))
    alike = sum(one * other for one, other in pairwise(rest)) / squares
    alike = min(max(alike, 0.0), 0.99)
    return max(3.0, len(rest) * (1 - alike) / (1 + alike))


def _sum_of_squares(values: Sequence[float]) -> float:
    return sum(value * value for value in values)


def _per_minute(rate: Rate) -> str:
    speed = format_bytes(SHOWN_SECONDS * rate.bytes_per_second, sign=True)
    return f"{speed} ± {format_bytes(SHOWN_SECONDS * rate.error_bytes_per_second)} a minute"
