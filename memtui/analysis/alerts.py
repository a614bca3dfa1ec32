"""Thresholds against a State: what is crossed, and when it was crossed anew.

One crossing is one alert: a threshold that was crossed is armed again only when the value has stayed away from it
by a margin for some looks, or on the good side at all for a minute. Noise around a threshold is thus one alert, and
so are slow collections one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from memtui.analysis.detect import limits, nearest
from memtui.analysis.growth import rss_growth
from memtui.model.alert import METRICS, Alert, Level, Threshold
from memtui.model.gc import GcPauses
from memtui.model.state import State

MARGIN = 0.1
CALM_LOOKS = 3
CALM_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of one threshold. ``alert``: the one that stands, None while it is armed.

    ``clear_looks``: so many looks in a row were away from it by the margin; ``good_since``: from this session time on
    (seconds) all looks were on the good side.
    """

    alert: Alert | None = None
    clear_looks: int = 0
    good_since: float | None = None


def step(rule: Threshold, before: Standing, value: float | None, at_seconds: float) -> tuple[Standing, Alert | None]:
    """One look at one threshold: an alert that it raises, or (with its end) one that is over now.

    An unknown value (None) changes nothing.
    """
    if value is None:
        return before, None
    if rule.crossed_by(value):
        if before.alert is not None:
            return Standing(before.alert), None
        alert = Alert(at_seconds, rule.level, rule.rule, value)
        return Standing(alert), alert
    if before.alert is None:
        return before, None
    since = at_seconds if before.good_since is None else before.good_since
    looks = before.clear_looks + 1 if _clear(rule, value) else 0
    if looks >= CALM_LOOKS or at_seconds - since >= CALM_SECONDS:
        return Standing(), replace(before.alert, until_seconds=at_seconds)
    return Standing(before.alert, looks, since), None


def _clear(rule: Threshold, value: float) -> bool:
    """Whether a value is away from the threshold by the margin; what is momentary tells nothing of later."""
    if METRICS[rule.metric].momentary:
        return False
    if METRICS[rule.metric].below:
        return value >= rule.value * (1 + MARGIN)
    return value <= rule.value * (1 - MARGIN)


class AlertWatch:
    """The thresholds of one session, look by look."""

    def __init__(self, rules: Sequence[Threshold]) -> None:
        self.rules = tuple(rules)
        self._standing = [Standing() for _ in self.rules]
        self._pauses: GcPauses | None = None
        self._looked_at: float | None = None

    def look(self, state: State) -> tuple[Alert, ...]:
        """The alerts that the newest look of ``state`` raises, and those (with an end) that are over.

        Nothing when that look was seen before, or when the target is gone.
        """
        last = state.series.last
        if last is None or last.at_seconds == self._looked_at or state.ending is not None:
            return ()
        self._looked_at = last.at_seconds
        values = measure(state, {one.metric for one in self.rules}, self._pauses)
        self._pauses = state.pauses
        changes: list[Alert] = []
        for index, rule in enumerate(self.rules):
            after, change = step(rule, self._standing[index], values[rule.metric], last.at_seconds)
            self._standing[index] = after
            changes += [change] if change is not None else []
        return tuple(changes)


def measure(state: State, metrics: set[str], pauses_before: GcPauses | None = None) -> dict[str, float | None]:
    """The metrics of a State, in their units; None for what is not known. The last look's RSS must be known."""
    last = state.series.last
    assert last is not None
    limit = state.memory_limit_bytes
    found: dict[str, float | None] = {
        "rss": last.rss_bytes,
        "uss": last.uss_bytes,
        "limit": 100.0 * last.rss_bytes / limit if limit else None,
        "gc_pause": new_pause_seconds(state.pauses, pauses_before),
        "processes": float(len(state.processes)) if state.processes else None,
    }
    if metrics & {"growth", "time_to_limit"}:  # the only ones that take more than a look
        growth = growth_bytes_per_minute(state)
        found["growth"] = growth
        found["time_to_limit"] = _time_to_limit(state, growth)
    return {name: found.get(name) for name in metrics}


def growth_bytes_per_minute(state: State) -> float | None:
    """How fast RSS grows; 0 when it does not, None while it is too early to say."""
    growth = rss_growth(state)
    if growth.bytes_per_second is None:
        return None
    return 60.0 * growth.bytes_per_second if growth.verdict == "growing" else 0.0


def _time_to_limit(state: State, growth: float | None) -> float | None:
    """Seconds until the cgroup's limit at the present speed; endless without growth, None without a limit."""
    last = state.series.last
    if last is None or growth is None or state.memory_limit_bytes is None:
        return None
    known = limits(rss_bytes=last.rss_bytes, cgroup_limit_bytes=state.memory_limit_bytes)
    reached = nearest(known, growth)
    return float("inf") if reached is None else reached[1]


def new_pause_seconds(now: GcPauses | None, before: GcPauses | None) -> float | None:
    """The longest collection since the last look, as far as the agent tells; 0 when there was none, None without it.

    The agent tells the longest of all and the last: a pause between the two is seen only when it is one of them.
    """
    if now is None:
        return None
    if before is None or now.count < before.count:
        return now.max_seconds
    if now.count == before.count:
        return 0.0
    return now.max_seconds if now.max_seconds > before.max_seconds else now.last_seconds


def crossed(state: State, rules: Sequence[Threshold]) -> tuple[Alert, ...]:
    """Which thresholds a State is beyond, without regard to what was before; the most serious first."""
    last = state.series.last
    if last is None:
        return ()
    values = measure(state, {one.metric for one in rules})
    found = [
        Alert(last.at_seconds, rule.level, rule.rule, value)
        for rule in rules
        if (value := values[rule.metric]) is not None and rule.crossed_by(value)
    ]
    return tuple(sorted(found, key=lambda one: one.level))


def worst(alerts: Sequence[Alert]) -> Level | None:
    """The most serious level among alerts that stand; None without any."""
    levels = {one.level for one in alerts if one.until_seconds is None}
    return "critical" if "critical" in levels else "warning" if levels else None
