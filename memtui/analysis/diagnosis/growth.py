"""Whether figures grow from look to look without end in sight, as far as a few looks can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MIN_LOOKS = 3
"""Two looks take from a phase what is none of a leak."""
_STEADY = 0.5
"""The last rate is at least this share of the mean: a warm-up slows down, and so does what fills up."""
_JITTER = 0.1
"""Of the whole growth: a look at which less was gained, or lost, is one at which it stood still."""


@dataclass(frozen=True, slots=True)
class Course:
    """How a figure went: from the first look to the last in ``seconds``.

    ``rises``: at every look. ``steady``: and the last rate is not much below the mean.
    """

    total: int
    seconds: float
    rises: bool
    steady: bool

    @property
    def per_second(self) -> float:
        """Mean rate."""
        return self.total / self.seconds if self.seconds > 0 else 0.0


def course(values: Sequence[int], times: Sequence[float]) -> Course:
    """The course of ``values`` at ``times``."""
    total, seconds = values[-1] - values[0], times[-1] - times[0]
    if len(values) < 2 or seconds <= 0 or total <= 0:
        return Course(total, seconds, False, False)
    pairs = list(pairwise(values))
    spans = [max(b - a, 1e-9) for a, b in pairwise(times)]
    rises = all(b - a > total * _JITTER * span / seconds for (a, b), span in zip(pairs, spans, strict=True))
    last = (pairs[-1][1] - pairs[-1][0]) / spans[-1]
    enough = len(values) >= MIN_LOOKS
    return Course(total, seconds, rises and enough, rises and enough and last >= _STEADY * total / seconds)
