"""How well a rule tells leaks from healthy processes: feed it series, compare with the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from memtui.analysis.detect import Detector, DetectorOptions, State, ols, thirds
from series.classes import BENIGN, LEAKS
from series.model import Series

LOOK_SECONDS = 60


@dataclass(frozen=True)
class Outcome:
    """What a rule said about one series: at the end, and when it first said so (None: never)."""

    series: Series
    at_end: State
    first_seconds: dict[State, float]


def watch_with_detector(
    series: Series, *, live: bool, every: int = 1, options: DetectorOptions | None = None
) -> Outcome:
    """The detector's word on RSS alone or also on live bytes, with a look each ``every`` seconds."""
    detector = Detector(options)
    first: dict[State, float] = {}
    for at in range(0, len(series.rss_bytes), every):
        detector.add(float(at), series.rss_bytes[at], series.live_bytes[at] if live else None)
        if at % LOOK_SECONDS == 0:
            first.setdefault(detector.verdict().state, float(at))
    return Outcome(series, detector.verdict().state, first)


def watch_with_ols(series: Series) -> Outcome:
    """The least-squares rule, asked each minute over the last seven."""
    points = [(float(at), float(value)) for at, value in enumerate(series.rss_bytes)]
    first: dict[State, float] = {}
    state: State = "inconclusive"
    for end in range(420, len(points) + 1, 60):
        state = ols(points[end - 420 : end]).state
        first.setdefault(state, float(end))
    return Outcome(series, state, first)


def watch_with_thirds(series: Series) -> Outcome:
    """The rule of the first and the last tenth, asked once at the end."""
    points = [(float(at), float(value)) for at, value in enumerate(series.rss_bytes)]
    state = thirds(points).state
    return Outcome(series, state, {state: float(len(points))})


@dataclass(frozen=True)
class Score:
    """Shares, 0 to 1. Benign kinds count alike; a leak counts when it is material; None where nothing was to count.

    ``precision`` is that of equally frequent kinds. ``median_minutes`` is from the onset of leaks of at least 0.3 %
    a minute to the first alarm; alarms before the onset do not count.
    """

    false_alarms: float
    false_alarms_ever: float
    recall: float
    recall_ever: float
    precision: float | None
    median_minutes: float | None


def score(outcomes: Iterable[Outcome], alarms: tuple[State, ...]) -> Score:
    """The figures of a rule when these states are taken for an alarm."""
    known = list(outcomes)
    benign = [one for one in known if one.series.kind in BENIGN]
    leaks = [one for one in known if one.series.kind in LEAKS and one.series.material]
    false = [one for one in benign if one.at_end in alarms]
    true = [one for one in leaks if one.at_end in alarms]
    times = [_minutes(one, alarms) for one in leaks if one.series.leak_share_per_minute >= 0.003]
    known_times = [one for one in times if one is not None]
    return Score(
        false_alarms=len(false) / len(benign),
        false_alarms_ever=_share(benign, lambda one: _first(one, alarms) is not None),
        recall=len(true) / len(leaks),
        recall_ever=_share(leaks, lambda one: _minutes(one, alarms) is not None),
        precision=len(true) / (len(true) + len(false)) if true or false else None,
        median_minutes=median(known_times) if known_times else None,
    )


def _share(outcomes: list[Outcome], holds: Callable[[Outcome], bool]) -> float:
    return sum(map(holds, outcomes)) / len(outcomes)


def _first(outcome: Outcome, alarms: tuple[State, ...]) -> float | None:
    return min((at for state, at in outcome.first_seconds.items() if state in alarms), default=None)


def _minutes(outcome: Outcome, alarms: tuple[State, ...]) -> float | None:
    first = _first(outcome, alarms)
    if first is None or first <= outcome.series.onset_seconds:
        return None
    return (first - outcome.series.onset_seconds) / 60
