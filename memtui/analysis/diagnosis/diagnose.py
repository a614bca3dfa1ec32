"""The diagnosis of a State: verdict, suspects, and where the growth went."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from memtui.analysis.detect import Detector, DetectorOptions, Limit, Verdict, limits
from memtui.analysis.detect.verdict import State as Judged
from memtui.analysis.diagnosis.cycles import with_cycles
from memtui.analysis.diagnosis.native_sites import with_native_sites
from memtui.analysis.diagnosis.offers import with_offers
from memtui.analysis.diagnosis.own import without_own
from memtui.analysis.diagnosis.split import split_growth
from memtui.analysis.diagnosis.suspects import find_suspects
from memtui.analysis.diagnosis.verdict import judge
from memtui.model.state import State
from memtui.model.suspect import Split, Suspect
from memtui.model.units import format_seconds

ENDED = "The target has ended: "
SHORTEST_WATCH_SECONDS = 10.0
"""What is planned to be shorter shows nothing but noise: it is inconclusive whatever it shows."""
LONG_WATCH_SECONDS = 1800.0
"""A watch that is not planned is judged by the minute from here on, a shorter one by parts of it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What memtui says of a process. ``split`` is None before there are two heap pictures."""

    verdict: Verdict
    suspects: tuple[Suspect, ...]
    split: Split | None


class Curve:
    """The verdict of the curve of RSS alone, look by look. ``max_rss_bytes``: the user's own limit, if any."""

    def __init__(self, options: DetectorOptions, max_rss_bytes: int | None = None) -> None:
        self._detector = Detector(options)
        self._max_rss_bytes = max_rss_bytes
        self._rss_bytes: int | None = None

    def add(self, at_seconds: float, rss_bytes: int) -> None:
        """Take one look."""
        self._detector.add(at_seconds, rss_bytes)
        self._rss_bytes = rss_bytes

    @property
    def state(self) -> Judged:
        """The word of the verdict as it is now."""
        return self._detector.verdict().state

    def verdict(self, state: State) -> Verdict:
        """The answer at the time of ``state``, with the limits that hold in it."""
        known: tuple[Limit, ...] = ()
        if self._rss_bytes is not None:
            own = self._max_rss_bytes
            known = limits(
                rss_bytes=self._rss_bytes,
                max_rss_bytes=own if own is not None and self._rss_bytes <= own else None,
                cgroup_limit_bytes=state.memory_limit_bytes,
            )
        verdict = self._detector.verdict(state.now_seconds, known)
        if state.ending is not None:
            reasons = (*verdict.reasons, f"{ENDED}{state.ending.text}.")
            verdict = replace(verdict, reasons=reasons, seconds_to_limit=None, pressure=None)
        return verdict


def diagnose(
    state: State,
    planned_seconds: float | None = None,
    *,
    curve: Verdict | None = None,
    expected: Collection[str] = (),
) -> Diagnosis:
    """The diagnosis; ``planned_seconds`` is how long the watch is meant to last, ``curve`` the verdict of the curve
    where somebody followed it (the series of the State is thinned).

    Suspects whose signatures are ``expected`` come last, are marked, and make no verdict.
    """
    if curve is None:
        looks = ((one.at_seconds, one.rss_bytes) for one in state.series)
        curve = judge_curve(state, scale_of(state, planned_seconds), looks)
        if planned_seconds is not None and planned_seconds < SHORTEST_WATCH_SECONDS:
            return Diagnosis(_too_short(curve, planned_seconds), (), None)
    if state.evidence is None:
        return Diagnosis(curve, _marked(with_cycles((), state), expected), None)
    found = with_native_sites(without_own(find_suspects(state.evidence), state), state.native)
    suspects = _marked(found, expected)
    told = with_offers(_marked(with_cycles(suspects, state), expected), state)
    return Diagnosis(judge(curve, suspects), told, split_growth(state.evidence))


def _too_short(curve: Verdict, seconds: float) -> Verdict:
    reason = (
        f"{format_seconds(seconds)} are too short a watch: any program grows and shrinks for so long. "
        "A minute shows what lasts: --for 60s."
    )
    ended = [one for one in curve.reasons if one.startswith(ENDED)]
    return replace(curve, state="inconclusive", confidence=0.0, reasons=(reason, *ended), seconds_to_limit=None)


def _marked(suspects: Sequence[Suspect], expected: Collection[str]) -> tuple[Suspect, ...]:
    marked = [replace(one, expected=True) if one.signature in expected else one for one in suspects]
    return tuple(sorted(marked, key=lambda one: one.expected))


def scale_of(state: State, planned_seconds: float | None = None) -> DetectorOptions:
    """The scale of the detector for a watch of ``planned_seconds``, or as long as it has lasted."""
    watched = planned_seconds or min(max(state.now_seconds, 1.0), LONG_WATCH_SECONDS)
    interval = watched / len(state.series) if len(state.series) else 1.0
    return DetectorOptions.for_watch(watched, min(interval, 60.0), age_of(state))


def age_of(state: State) -> float:
    """The age of the target at the start of the watch in seconds; 0 where that is not known."""
    began = state.target.started_at
    return 0.0 if began is None else max(0.0, state.started_at - began)


def judge_curve(
    state: State, options: DetectorOptions, looks: Iterable[tuple[float, float]], max_rss_bytes: int | None = None
) -> Verdict:
    """The verdict of the curve of RSS alone: ``looks`` are seconds and bytes, in the order of time."""
    curve = Curve(options, max_rss_bytes)
    for at_seconds, rss_bytes in looks:
        curve.add(at_seconds, round(rss_bytes))
    return curve.verdict(state)
