"""Thresholds: what they are, when one is crossed, and that one crossing is one alert."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from states import MIB, empty_state, watched_state

from memtui.analysis.alerts import (
    CALM_LOOKS,
    CALM_SECONDS,
    AlertWatch,
    Standing,
    crossed,
    measure,
    new_pause_seconds,
    step,
    worst,
)
from memtui.model.alert import METRICS, Alert, Threshold, parse_rule, threshold
from memtui.model.gc import GcPauses
from memtui.model.sample import Sample
from memtui.model.state import State
from memtui.model.target import Ending, ProcessFacts
from memtui.report.alerts import alerts_in_words

RULE = threshold("warning", "rss", 100)
LEFT = threshold("critical", "time_to_limit", "100s")


def follow(rule: Threshold, values: Sequence[float | None], every_seconds: float = 1.0) -> list[tuple[int, Alert]]:
    """The changes that a series of values makes, with the index of the look."""
    standing, changes = Standing(), []
    for index, value in enumerate(values):
        standing, change = step(rule, standing, value, index * every_seconds)
        changes += [(index, change)] if change is not None else []
    return changes


def raised(rule: Threshold, values: Sequence[float | None], every_seconds: float = 1.0) -> list[int]:
    return [index for index, change in follow(rule, values, every_seconds) if change.until_seconds is None]


@pytest.mark.parametrize(
    ("values", "alerts"),
    [
        ([90, 100, 99], []),
        ([90, 101, 102, 150], [1]),
        ([150, 160], [0]),
        ([99, 101] * 20, [1]),
        ([101, 92, 92, 92, 92, 101], [0]),
        ([101, 90, 90, 101], [0]),
        ([101, 90, 90, 90, 101], [0, 4]),
        ([101, 90, 90, 91, 90, 90, 101], [0]),
        ([101, None, None, None, None, 101], [0]),
        ([None, 101], [1]),
        ([101, *[98.0] * 61, 101], [0, 62]),
        ([101, *[98.0] * 59, 101], [0]),
        ([101, *[10.0] * 5, 101, *[10.0] * 5, 101], [0, 6, 12]),
    ],
)
def test_one_crossing_is_one_alert(values: list[float | None], alerts: list[int]) -> None:
    assert raised(RULE, values) == alerts


def test_the_cases_above_are_about_the_real_bounds() -> None:
    assert (CALM_LOOKS, CALM_SECONDS) == (3, 60.0)


def test_what_is_dangerous_below_is_mirrored() -> None:
    assert raised(LEFT, [math.inf, 200, 101, 99, 50, 101, 99, 111, 111, 112, 99]) == [3, 10]


def test_what_is_momentary_is_calm_after_a_minute() -> None:
    rule = threshold("warning", "gc_pause", "200ms")
    assert raised(rule, [0.3, *[0.0] * 10, 0.4, *[0.0] * 59, 0.3]) == [0]
    assert raised(rule, [0.3, *[0.0] * 61, 0.3]) == [0, 62]


def test_noise_around_a_threshold_is_one_alert() -> None:
    random.seed(7)
    for _ in range(20):
        noise = [100 + random.gauss(0, 4) for _ in range(600)]
        assert len(raised(RULE, noise)) == 1


def test_an_alert_that_is_over_knows_when() -> None:
    changes = [change for _, change in follow(RULE, [101, 50, 50, 50], every_seconds=15.0)]
    assert changes == [
        Alert(0.0, "warning", "rss>100", 101),
        Alert(0.0, "warning", "rss>100", 101, until_seconds=45.0),
    ]


GROWING = watched_state(lambda at: 50 * MIB + at * MIB / 10, 60)
STEADY = watched_state(lambda _: 50 * MIB, 60)
LIMITED = replace(GROWING, memory_limit_bytes=100 * MIB)
FAMILY = tuple(ProcessFacts(number, 1, "running", 5) for number in range(4))


@pytest.mark.parametrize(
    ("state", "metric", "value"),
    [
        (GROWING, "rss", pytest.approx(55.9 * MIB, rel=0.001)),
        (GROWING, "uss", None),
        (GROWING, "growth", pytest.approx(6 * MIB, rel=0.01)),
        (STEADY, "growth", 0.0),
        (watched_state(lambda at: 50 * MIB + at * MIB, 5), "growth", None),
        (GROWING, "limit", None),
        (LIMITED, "limit", pytest.approx(55.9)),
        (LIMITED, "time_to_limit", pytest.approx(441, rel=0.01)),
        (replace(STEADY, memory_limit_bytes=100 * MIB), "time_to_limit", math.inf),
        (GROWING, "time_to_limit", None),
        (GROWING, "gc_pause", None),
        (replace(GROWING, pauses=GcPauses(4, 0.9, 0.5, 0.1, 2)), "gc_pause", 0.5),
        (GROWING, "processes", None),
        (replace(GROWING, processes=FAMILY), "processes", 4.0),
    ],
)  # fmt: skip
def test_every_metric_is_measured_or_unknown(state: State, metric: str, value: Any) -> None:
    assert measure(state, {metric}) == {metric: value}
    assert metric in METRICS


def test_a_known_uss_is_measured() -> None:
    state = empty_state(series=empty_state().series.append(Sample(0.0, 9, uss_bytes=7)))
    assert measure(state, {"uss"}) == {"uss": 7}


@pytest.mark.parametrize(
    ("now", "before", "seconds"),
    [
        (None, GcPauses(), None),
        (GcPauses(3, 1.0, 0.8, 0.1, 0), None, 0.8),
        (GcPauses(3, 1.0, 0.8, 0.1, 0), GcPauses(3, 1.0, 0.8, 0.1, 0), 0.0),
        (GcPauses(5, 1.2, 0.8, 0.1, 0), GcPauses(3, 1.0, 0.8, 0.1, 0), 0.1),
        (GcPauses(5, 2.2, 0.9, 0.1, 0), GcPauses(3, 1.0, 0.8, 0.1, 0), 0.9),
        (GcPauses(1, 0.2, 0.2, 0.2, 2), GcPauses(3, 1.0, 0.8, 0.1, 0), 0.2),
    ],
)
def test_pauses_are_those_since_the_last_look(now: GcPauses, before: GcPauses | None, seconds: float | None) -> None:
    assert new_pause_seconds(now, before) == seconds


def test_a_session_is_followed_look_by_look() -> None:
    watch = AlertWatch([threshold("warning", "rss", "60MiB"), threshold("critical", "rss", "70MiB")])
    state = empty_state()
    found: list[Alert] = []
    for second in range(60):
        rss = 80 * MIB if 20 <= second < 40 else 62 * MIB if 10 <= second < 50 else 50 * MIB
        state = replace(state, series=state.series.append(Sample(float(second), rss)), now_seconds=float(second))
        found += watch.look(state)
        assert watch.look(state) == (), "a look counts once"
    assert [(one.rule, one.at_seconds, one.until_seconds) for one in found] == [
        ("rss>60MiB", 10.0, None), ("rss>70MiB", 20.0, None), ("rss>70MiB", 20.0, 42.0), ("rss>60MiB", 10.0, 52.0),
    ]  # fmt: skip
    assert worst(found[:1]) == "warning"
    assert worst(found[:2]) == "critical"
    assert worst(found[2:]) is None


def test_a_target_that_is_gone_raises_no_alert() -> None:
    state = replace(GROWING, ending=Ending(60.0, "it ended"))
    assert AlertWatch([threshold("warning", "rss", 1)]).look(state) == ()
    assert AlertWatch([threshold("warning", "rss", 1)]).look(empty_state()) == ()


def test_one_look_has_no_past() -> None:
    rules = [
        threshold("warning", "rss", "50MiB"),
        threshold("critical", "limit", 50),
        threshold("critical", "uss", 1),
    ]
    assert [(one.level, one.rule) for one in crossed(LIMITED, rules)] == [
        ("critical", "limit>50%"),
        ("warning", "rss>50MiB"),
    ]
    assert crossed(empty_state(), rules) == ()


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        ("rss>512MB", "rss>512MB", 512e6),
        ("rss=512MB", "rss>512MB", 512e6),
        ("RSS: 1.5 GiB", "rss>1.5GiB", 1.5 * 2**30),
        ("growth=5MB", "growth>5MB/min", 5e6),
        ("growth>5MB/min", "growth>5MB/min", 5e6),
        ("limit=80", "limit>80%", 80),
        ("limit>80.5%", "limit>80.5%", 80.5),
        ("time-to-limit<10m", "time_to_limit<10m", 600),
        ("time_to_limit=90", "time_to_limit<90s", 90),
        ("gc-pause=200ms", "gc_pause>200ms", 0.2),
        ("processes=8", "processes>8", 8),
    ],
)
def test_rules_are_read_as_they_are_written(text: str, rule: str, value: float) -> None:
    name, found = parse_rule("warning", text)
    assert found is not None
    assert (found.metric, found.rule, found.value) == (name, rule, value)


@pytest.mark.parametrize(
    "text",
    [
        "rss",
        "rss>",
        "rss>many",
        "size>5MB",
        ">5MB",
        "rss<5MB",
        "time_to_limit>5m",
        "rss=0",
        "limit=-3",
        "limit=nan",
        "",
    ],
)
def test_what_is_no_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"rule|threshold"):
        parse_rule("warning", text)


def test_a_threshold_can_be_switched_off() -> None:
    assert parse_rule("warning", "limit=off") == ("limit", None)


@pytest.mark.parametrize(
    ("metric", "written", "rule"),
    [("limit", 80.0, "limit>80%"), ("rss", 1_500_000_000, "rss>1500000000"), ("growth", "5MB", "growth>5MB/min"),
     ("gc_pause", 0.2, "gc_pause>0.2s"), ("processes", 5, "processes>5"),
     ("time_to_limit", 600.0, "time_to_limit<600s")],
)  # fmt: skip
def test_values_of_the_configuration_make_rules(metric: str, written: object, rule: str) -> None:
    assert threshold("critical", metric, written).rule == rule


def test_an_alert_says_what_was_measured() -> None:
    assert Alert(0.0, "warning", "growth>5MB/min", 6e6).text == "growth of RSS is 6.0 MB/min (growth>5MB/min)"
    assert Alert(0.0, "warning", "time_to_limit<10m", 65).text == "time to the limit is 1 m 05 s (time_to_limit<10m)"
    assert Alert(0.0, "warning", "limit>80%", 91.25).text == "RSS against the cgroup's limit is 91.2 % (limit>80%)"
    assert Alert(0.0, "warning", "rss>60MB", 62_500_000).text == "RSS is 62.5 MB (rss>60MB)"
    assert Alert(0.0, "warning", "rss>50MiB", 62_500_000).text == "RSS is 59.6 MiB (rss>50MiB)"
    assert Alert(0.0, "warning", "newer>3", 4).text == "newer>3: 4"


def test_alerts_are_told_in_a_few_words() -> None:
    first, second = Alert(0.02, "critical", "rss>60MB", 62e6), Alert(5.0, "warning", "uss>60MB", 62e6)
    state = replace(GROWING, alerts=(first, second, replace(first, at_seconds=9.0)))
    assert list(alerts_in_words(state)) == [
        ("warning", "USS is 62.0 MB (uss>60MB) after 5 s"),
        ("critical", "RSS is 62.0 MB (rss>60MB) at the first look, and 1 more"),
    ]
