"""The shapes that a memory curve is compared with: bounded, growing, and a line beside a bounded one.

All are sampled at ``count`` equal steps of the time 0..1, less their mean, and scaled to length 1. How well a shape
explains a centred curve is then one dot product, and a straight line beside a bounded shape is a second one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul

Vector = tuple[float, ...]
Kind = str
"""A shape's name in words: "a warm-up", "a step", …"""

WARM_UP, FILLING, SLOWING, STEP, SEASON, CONSTANT = (
    "a warm-up that levels off",
    "something that filled up",
    "growth that becomes ever slower",
    "a single step",
    "a rhythm",
    "no change",
)
EXPONENTIAL_TIMES = (0.03, 0.05, 0.08, 0.12, 0.17, 0.24, 0.33, 0.45, 0.6, 0.8)
FILLED_AT = (0.05, 0.1, 0.16, 0.23, 0.31, 0.4, 0.5, 0.6, 0.7, 0.8)
LOGARITHM_FACTORS = (1.0, 3.0, 6.0, 10.0, 15.0, 22.0, 30.0, 100.0, 300.0)
STEPS_AT = tuple(0.05 * index for index in range(1, 20))
CYCLES = (0.6, 0.8, 1.0, 1.25, 1.6, 2.0, 2.6, 3.4, 4.5, 6.0)
ONSETS = (0.2, 0.4, 0.6)
POWER = 1.5


@dataclass(frozen=True, slots=True)
class Bounded:
    """A bounded shape, and the part of a straight line that it cannot explain (of length 1).

    ``line_share`` is the length of that part: the dot product of ``line`` with the straight line of length 1.
    """

    kind: Kind
    axes: tuple[Vector, ...]
    line: Vector
    line_share: float


@dataclass(frozen=True, slots=True)
class Shapes:
    """All shapes for curves of one length. ``growing[0]`` is the straight line."""

    growing: tuple[Vector, ...]
    bounded: tuple[Bounded, ...]
    seasons: tuple[Bounded, ...]


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    """The scalar product of two vectors of one length."""
    total: float = sum(map(mul, one, other))
    return total


@lru_cache(maxsize=64)
def shapes(count: int) -> Shapes:
    """The shapes for curves of ``count`` points, at least 4."""
    times = [index / (count - 1) for index in range(count)]
    line = _normal(times)
    growing = [line, *(_normal([max(0.0, t - onset) for t in times]) for onset in ONSETS)]
    growing.append(_normal([t**POWER for t in times]))
    bounded = [_bounded(kind, [_normal(values)], line) for kind, values in _bounded_shapes(times)]
    return Shapes(tuple(growing), tuple(bounded), tuple(_season(cycles, times, line) for cycles in CYCLES))


def _bounded_shapes(times: Sequence[float]) -> Iterator[tuple[Kind, list[float]]]:
    for tau in EXPONENTIAL_TIMES:
        yield WARM_UP, [1 - math.exp(-t / tau) for t in times]
    for full in FILLED_AT:
        yield FILLING, [min(t, full) for t in times]
    for factor in LOGARITHM_FACTORS:
        yield SLOWING, [math.log1p(factor * t) for t in times]
    yield SLOWING, [math.sqrt(t) for t in times]
    for at in STEPS_AT:
        yield STEP, [float(t > at) for t in times]


def _season(cycles: float, times: Sequence[float], line: Vector) -> Bounded:
    sine = _normal([math.sin(math.tau * cycles * t) for t in times])
    cosine = _normal([math.cos(math.tau * cycles * t) for t in times])
    return _bounded(SEASON, [sine, _unit(_without(cosine, sine))], line)


def _bounded(kind: Kind, axes: list[Vector], line: Vector) -> Bounded:
    rest = line
    for axis in axes:
        rest = _without(rest, axis)
    left = _unit(rest)
    return Bounded(kind, tuple(axes), left, dot(left, line))


def _normal(values: Sequence[float]) -> Vector:
    """``values`` less their mean, of length 1."""
    mean = sum(values) / len(values)
    return _unit([value - mean for value in values])


def _without(vector: Vector, axis: Vector) -> Vector:
    share = dot(vector, axis)
    return tuple(one - share * other for one, other in zip(vector, axis, strict=True))


def _unit(vector: Sequence[float]) -> Vector:
    length = math.sqrt(dot(vector, vector))
    return tuple(value / length if length > 1e-9 else 0.0 for value in vector)
