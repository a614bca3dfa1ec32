"""Slopes of noisy series: one estimate that outliers cannot pull, one by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

NORMAL_MAD = 1.4826
"""Median absolute deviation times this is the standard deviation, when the noise is normal."""


def theil_sen(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Median slope, in units of y per unit of x, of pairs that lie a third, half and two thirds of the series apart.

    Not all pairs: far pairs carry the trend, and a fixed choice keeps 900 points below a millisecond or two and
    the result reproducible. None for fewer than two points, or when no pair differs in x.
    """
    count = len(xs)
    slopes = [
        (ys[index + gap] - ys[index]) / (xs[index + gap] - xs[index])
        for gap in sorted({max(1, count // 3), max(1, count // 2), max(1, 2 * count // 3)})
        for index in range(count - gap)
        if xs[index + gap] != xs[index]
    ]
    return median(slopes) if slopes else None


def least_squares(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Slope of the least-squares line; None for fewer than two points, or when all x are equal."""
    count = len(xs)
    if count < 2:
        return None
    mean_x, mean_y = sum(xs) / count, sum(ys) / count
    square = sum((x - mean_x) ** 2 for x in xs)
    if square == 0:
        return None
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / square


def spread(xs: Sequence[float], ys: Sequence[float], slope: float) -> float:
    """How far points typically lie from a line of this slope: a standard deviation that outliers cannot pull."""
    if not xs:
        return 0.0
    rest = [y - slope * x for x, y in zip(xs, ys, strict=True)]
    middle = median(rest)
    return NORMAL_MAD * median(abs(value - middle) for value in rest)
