"""The diagnosis of a State: verdict, suspects, and where the growth went."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memtui.analysis.detect import Detector, DetectorOptions, Verdict, limits
from memtui.analysis.diagnosis.split import split_growth
from memtui.analysis.diagnosis.suspects import find_suspects
from memtui.analysis.diagnosis.verdict import judge
from memtui.model.state import State
from memtui.model.suspect import Split, Suspect

LONG_WATCH_SECONDS = 1800.0
"""A watch that is not planned is judged by the minute from here on, a shorter one by parts of it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What memtui says of a process. ``split`` is None before there are two heap pictures."""

    verdict: Verdict
    suspects: tuple[Suspect, ...]
    split: Split | None


def diagnose(state: State, planned_seconds: float | None = None) -> Diagnosis:
    """The diagnosis; ``planned_seconds`` is how long the watch is meant to last."""
    curve = judge_curve(state, planned_seconds)
    if state.evidence is None:
        return Diagnosis(curve, (), None)
    suspects = find_suspects(state.evidence)
    return Diagnosis(judge(curve, suspects), suspects, split_growth(state.evidence))


def judge_curve(state: State, planned_seconds: float | None = None) -> Verdict:
    """The verdict of the curve of RSS alone."""
    watched = planned_seconds or min(max(state.now_seconds, 1.0), LONG_WATCH_SECONDS)
    age = 0.0 if state.target.started_at is None else max(0.0, state.started_at - state.target.started_at)
    samples = tuple(state.series)
    interval = watched / len(samples) if samples else 1.0
    detector = Detector(DetectorOptions.for_watch(watched, min(interval, 60.0), age))
    for sample in samples:
        detector.add(sample.at_seconds, sample.rss_bytes)
    known = limits(rss_bytes=samples[-1].rss_bytes, cgroup_limit_bytes=state.memory_limit_bytes) if samples else ()
    verdict = detector.verdict(state.now_seconds, known)
    if state.ending is not None:
        reasons = (*verdict.reasons, f"The target has ended: {state.ending.text}.")
        verdict = replace(verdict, reasons=reasons, seconds_to_limit=None, pressure=None)
    return verdict
