"""Is a curve explained by something bounded, or does it need a part that grows without end?

Each model is fitted by least squares, and the better explanation is the one with the lower Bayesian information
criterion (Schwarz 1978, "Estimating the dimension of a model"): n ln(residual / n) + parameters ln(n). The points of
a memory curve hang together, so n is the number of independent points that their autocorrelation leaves
(Bayley and Hammersley 1946): n (1 - r) / (1 + r).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from memtui.analysis.detect.shapes import CONSTANT, SEASON, Bounded, Kind, Shapes, Vector, dot, shapes

MIN_POINTS = 8
MAX_AUTOCORRELATION = 0.9
MIN_INDEPENDENT = 7.0
WRONG_MODEL_SHARE = 0.85
"""How much of the autocorrelation is believed when another model leaves less than half as much over."""
TINY = 1e-6
"""The share of the whole variation that is taken for rounding: no fit is better than this."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """The best bounded against the best growing explanation of one curve.

    ``advantage`` is the BIC of the bounded one less that of the growing one: above 10 is very strong evidence for
    growth without end (Kass and Raftery 1995), below 0 the bounded one suffices. ``composite`` tells whether the
    growing explanation is a bounded shape with a straight line beside it. ``significance`` is the t value of the
    growing part, ``growth`` its rise over the curve in the curve's unit.
    """

    advantage: float
    significance: float
    growth: float
    composite: bool
    bounded: Kind


@dataclass(frozen=True, slots=True)
class _Fit:
    """``residual`` sum of squares, and for a growing model its unit ``shape`` with the ``size`` of that part."""

    residual: float
    size: float = 0.0
    shape: Vector = ()
    line_share: float = 1.0
    kind: Kind = CONSTANT


def explain(curve: Sequence[float]) -> Explanation:
    """Weigh the explanations of ``curve``: at least ``MIN_POINTS`` finite values at equal steps of time."""
    count = len(curve)
    mean = sum(curve) / count
    centred = [value - mean for value in curve]
    total = dot(centred, centred)
    if total <= 1e-9 * (1.0 + mean * mean * TINY * TINY):
        return Explanation(0.0, 0.0, 0.0, False, CONSTANT)
    known = shapes(count)
    grown = _grown(centred, total, known)
    held, mixed = _best(centred, total, known.bounded)
    rhythm, moving = _best(centred, total, known.seasons)
    independent = _independent(centred, grown, min(grown.residual, mixed.residual, moving.residual))
    rounding = TINY * total + 1e-9

    def criterion(residual: float, parameters: int) -> float:
        return independent * math.log((residual + rounding) / count) + parameters * math.log(independent)

    growing, best, composite = min(
        (criterion(grown.residual, 3), grown, False),
        (criterion(mixed.residual, 5), mixed, True),
        (criterion(moving.residual, 6), moving, True),
        key=lambda one: one[0],
    )
    bounded, kind = min(
        (criterion(held.residual, 3), held.kind),
        (criterion(rhythm.residual, 4), SEASON),
        (criterion(total, 1), CONSTANT),
    )
    error = math.sqrt((best.residual + rounding) / max(independent - 3, 1.0) * (independent / count))
    line = known.growing[0]
    span = best.shape[-1] - best.shape[0] if not composite else (line[-1] - line[0]) / max(best.line_share, 1e-3)
    return Explanation(bounded - growing, best.size / error, best.size * span, composite, kind)


def _grown(centred: Sequence[float], total: float, known: Shapes) -> _Fit:
    size, shape = max(((dot(centred, shape), shape) for shape in known.growing), key=lambda one: one[0])
    size = max(0.0, size)
    return _Fit(max(0.0, total - size * size), size, shape)


def _best(centred: Sequence[float], total: float, candidates: Sequence[Bounded]) -> tuple[_Fit, _Fit]:
    """The bounded shape that fits best, and the one that does with a rising straight line beside it."""
    held = mixed = candidates[0]
    held_left = mixed_left = total
    rise = 0.0
    for one in candidates:
        left = total
        for axis in one.axes:
            left -= dot(centred, axis) ** 2
        if left < held_left:
            held, held_left = one, left
        size = dot(centred, one.line)
        if size > 0:
            left -= size * size
        if left < mixed_left:
            mixed, mixed_left, rise = one, left, size
    return (
        _Fit(max(0.0, held_left), kind=held.kind),
        _Fit(max(0.0, mixed_left), max(0.0, rise), mixed.line, mixed.line_share, mixed.kind),
    )


def _independent(centred: Sequence[float], grown: _Fit, least: float) -> float:
    """How many of the points are independent, from the autocorrelation of what the growing model leaves over."""
    count = len(centred)
    rest = [value - grown.size * shape for value, shape in zip(centred, grown.shape, strict=True)]
    square = dot(rest, rest)
    if square <= 0:
        return float(count)
    r1 = dot(rest[1:], rest[:-1]) / square
    r1 += (1 + 3 * r1) / count  # In short series it comes out too small by that (Marriott and Pope 1954).
    r1 = min(max(r1, 0.0), MAX_AUTOCORRELATION)
    if least < 0.5 * grown.residual:
        # What is left hangs together because the model is wrong, not because the noise does.
        r1 *= WRONG_MODEL_SHARE
    return max(MIN_INDEPENDENT, count * (1 - r1) / (1 + r1))
