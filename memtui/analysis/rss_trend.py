"""Does resident memory grow? A first answer in one word, with the reason; not yet a leak detector.

The rule: over the last minutes (and, when those are calm, over the whole observation) the memory must have changed
by an amount that matters, by more than its own ups and downs, and in each third of the time again. The last
condition keeps one step, or a warm-up that has ended, from being called growth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memtui.analysis.trend import least_squares, spread, theil_sen
from memtui.model.sample import Sample
from memtui.model.state import State
from memtui.model.units import format_bytes, format_seconds

Verdict = Literal["too early", "growing", "steady", "shrinking"]

MIN_SECONDS = 20.0
MIN_LOOKS = 10
RECENT_SECONDS = 300.0
WARM_UP_SECONDS = 5.0
"""Imports and set-up of a program that has just begun are not judged."""
MIN_CHANGE_BYTES = 256 * 1024
MIN_CHANGE_SHARE = 0.005
NOISE_FACTOR = 2.0
THIRD_SHARE = 0.25
"""The part of the whole rise that each later third of the time must add; in a straight line it is a half."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The word for the trend of RSS, and what it rests on.

    ``bytes_per_second`` is None while it is too early. ``confidence`` (0 to 1) is that of the word, not of a leak.
    """

    verdict: Verdict
    bytes_per_second: float | None
    over_seconds: float
    reason: str
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class _Fit:
    """A trend over one stretch: the slope, the change along it and the typical distance from it, in bytes.

    ``measured`` is the last look less the first; ``agreement`` (0 to 1) how alike the two estimates of the slope are.
    """

    slope: float
    seconds: float
    change: float
    measured: float
    noise: float
    agreement: float
    rises: bool
    falls: bool


def rss_growth(state: State) -> Growth:
    """What the RSS of the target does: "too early", "growing", "steady" or "shrinking"."""
    samples = _settled(state)
    seconds = samples[-1].at_seconds - samples[0].at_seconds if samples else 0.0
    if len(samples) < MIN_LOOKS or seconds < MIN_SECONDS:
        return Growth("too early", None, seconds, _too_early(len(samples), seconds))
    start = samples[-1].at_seconds - RECENT_SECONDS
    recent = [sample for sample in samples if sample.at_seconds >= start]
    if len(recent) < MIN_LOOKS:
        recent = samples
    growth = _judge(recent)
    if growth.verdict == "steady" and len(recent) < len(samples):
        # A slow leak hides within minutes and shows over hours.
        whole = _judge(samples)
        return whole if whole.verdict == "growing" else growth
    return growth


def _settled(state: State) -> list[Sample]:
    """The looks after the target's own start-up, as far as the observation saw any of it."""
    target = state.target
    if target.started_at is not None:
        age = max(0.0, state.started_at - target.started_at)
    else:
        age = 0.0 if target.launched else WARM_UP_SECONDS
    return [sample for sample in state.series if sample.at_seconds >= WARM_UP_SECONDS - age]


def _too_early(looks: int, seconds: float) -> str:
    return (
        f"a first word needs {MIN_SECONDS:.0f} s and {MIN_LOOKS} looks after start-up; "
        f"so far {seconds:.0f} s and {looks} looks"
    )


def _judge(samples: Sequence[Sample]) -> Growth:
    fit = _fit(samples)
    least = max(MIN_CHANGE_BYTES, MIN_CHANGE_SHARE * samples[-1].rss_bytes)
    verdict: Verdict = "steady"
    if abs(fit.change) >= max(least, NOISE_FACTOR * fit.noise):
        verdict = "growing" if fit.rises else "shrinking" if fit.falls else "steady"
    return Growth(verdict, fit.slope, fit.seconds, _reason(verdict, fit, least), _confidence(verdict, fit))


def _fit(samples: Sequence[Sample]) -> _Fit:
    start = samples[0].at_seconds
    xs = [sample.at_seconds - start for sample in samples]
    ys = [float(sample.rss_bytes) for sample in samples]
    slope = theil_sen(xs, ys) or 0.0
    noise = spread(xs, ys, slope)
    change = slope * xs[-1]
    agreement = _agreement(slope, least_squares(xs, ys) or 0.0)
    rises = slope > 0 and _keeps_rising(xs, ys)
    falls = slope < 0 and _keeps_rising(xs, [-y for y in ys])
    return _Fit(slope, xs[-1], change, ys[-1] - ys[0], noise, agreement, rises, falls)


def _agreement(one: float, other: float) -> float:
    """1 for equal slopes, 0 for opposite ones: outliers and bends drive a median and a least-squares slope apart."""
    larger = max(abs(one), abs(other))
    if larger == 0:
        return 1.0
    return min(abs(one), abs(other)) / larger if one * other > 0 else 0.0


def _keeps_rising(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Whether the floor of each third of the time lies clearly above that of the third before."""
    third = xs[-1] / 3
    parts: tuple[list[float], list[float], list[float]] = ([], [], [])
    for x, y in zip(xs, ys, strict=True):
        parts[min(2, int(x // third))].append(y)
    if not all(parts):
        return False
    low, middle, high = (min(part) for part in parts)
    return low < high and min(middle - low, high - middle) >= THIRD_SHARE * (high - low)


def _confidence(verdict: Verdict, fit: _Fit) -> float:
    """Grows with the time watched; a trend counts for as much as it is straight and stands out of its noise."""
    watched = fit.seconds / (fit.seconds + 120.0)
    clear = 1.0 if verdict == "steady" else fit.agreement * abs(fit.change) / (abs(fit.change) + fit.noise)
    return round(0.9 * watched * clear, 2)


def _reason(verdict: Verdict, fit: _Fit, least: float) -> str:
    change = f"{format_bytes(fit.change, sign=True)} in {format_seconds(fit.seconds)}"
    if verdict in ("growing", "shrinking"):
        return f"{change}, in each third of that time; ups and downs around it: {format_bytes(fit.noise)}"
    if abs(fit.change) < least:
        return f"{change}, less than the {format_bytes(least)} that would count"
    if abs(fit.change) < NOISE_FACTOR * fit.noise:
        return f"{change}, but its ups and downs are as large ({format_bytes(fit.noise)})"
    measured = f"{format_bytes(fit.measured, sign=True)} in {format_seconds(fit.seconds)}"
    return f"{measured}, but not in each third of that time: a step or a bend, no lasting trend"
