"""Does a figure taken at the end of each round go on growing? Pure.

The rule for iteration-aligned rounds, tuned on 4,000 simulated benign and 4,000 leaking bodies: in the last third, at
least four of five rounds end higher than the one before, and their mean is more than two standard errors above 0. A
false alarm in 1.5 % of the benign bodies at 40 rounds, in none at 60. CPython's own ``-R`` asks all rounds to grow,
which finds less.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

RISING_SHARE = 0.8
STANDARD_ERRORS = 2.0
FAIR_SHARE = 0.5
_BINS = 10


def rises(values: Sequence[int], least: int = 1) -> bool:
    """Whether the last third rises round by round, each time by ``least`` or more."""
    steps = [after - before for before, after in pairwise(values)]
    steps = steps[-max(3, len(values) // 3) :]
    mean = sum(steps) / len(steps)
    error = sqrt(sum((step - mean) ** 2 for step in steps) / len(steps)) / sqrt(len(steps))
    rising = sum(step >= least for step in steps)
    return rising >= RISING_SHARE * len(steps) and mean > STANDARD_ERRORS * error


def goes_on(values: Sequence[int]) -> bool:
    """Whether each third of the rounds has at least half of its share of the growth: what was filled up has not.

    Finds leaks that come in steps, every few rounds.
    """
    total = values[-1] - values[0]
    marks = [values[len(values) * part // 3 - (part > 0)] for part in range(4)]
    return total > 0 and all(after - before >= FAIR_SHARE * total / 3 for before, after in pairwise(marks))


def climbs(values: Sequence[int]) -> bool:
    """The same for a figure with ups and downs, such as RSS: the lowest of each tenth climbs nearly always."""
    size = len(values) // _BINS
    lowest = [min(values[start : start + size]) for start in range(0, size * _BINS, size)]
    rising = sum(after > before for before, after in pairwise(lowest))
    return goes_on(lowest) and rising >= RISING_SHARE * (len(lowest) - 1)


def speed(values: Sequence[int]) -> float:
    """Growth a round over the last two thirds, by which most of a warm-up is over."""
    start = len(values) // 3
    return (values[-1] - values[start]) / (len(values) - 1 - start)
