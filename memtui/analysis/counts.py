"""Does the number of objects of a type grow without end? A judgement on counts made one after the other.

A few counts tell only whether it rose each time (as Cork does from collection to collection: Jump and McKinley 2007).
From a dozen on they are judged like memory, by the windows and the persistence of the leak detector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from memtui.analysis.detect.evidence import MIN_BLOCKS, Material
from memtui.analysis.detect.track import Track
from memtui.analysis.detect.verdict import State

LEAST_COUNTS = 3
_MOSTLY = 0.8
_CONFIDENCE: dict[State, float] = {"growing": 0.5, "suspect": 0.7, "leak": 0.9}


@dataclass(frozen=True, slots=True)
class CountJudgement:
    """``rises`` of the steps from one count to the next went up. ``confidence`` (0 to 1) is that of the state."""

    state: State
    confidence: float
    growth: int
    rises: int
    steps: int


def judge_counts(counts: Sequence[int], least_growth: int) -> CountJudgement:
    """The judgement on equally spaced counts, oldest first; growth of less than ``least_growth`` is none."""
    steps = [after - before for before, after in pairwise(counts)]
    rises, growth = sum(step > 0 for step in steps), counts[-1] - counts[0] if counts else 0
    if len(counts) < LEAST_COUNTS:
        return CountJudgement("inconclusive", 0.0, growth, rises, len(steps))
    state: State = "healthy"
    if growth >= least_growth and rises >= _MOSTLY * len(steps) and steps[-1] >= 0:
        state = "growing"
    if len(counts) > MIN_BLOCKS:
        state = _by_curve(counts, least_growth)
    return CountJudgement(state, _confidence(state, rises, len(steps)), growth, rises, len(steps))


def _by_curve(counts: Sequence[int], least_growth: int) -> State:
    track = Track(1.0, Material(least_growth, 0.001))
    for at, count in enumerate(counts):
        track.add(float(at), float(count))
    return track.state


def _confidence(state: State, rises: int, steps: int) -> float:
    """A judgement on few steps, or against many of them, is worth less."""
    share = rises / steps if state != "healthy" else 1.0
    return round(_CONFIDENCE.get(state, 0.5) * share * steps / (steps + 2.0), 2)
