from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from states import (
    MIB,
    STARTED_AT,
    TARGET,
    empty_state,
    ended_state,
    full_state,
    observed_state,
    row,
    traced,
    watched_state,
)

import memtui
from memtui.model.alert import Alert
from memtui.model.allocation import GroupBy, TypeCount
from memtui.model.sample import Sample, Series
from memtui.model.state import Event, EventKind, State
from memtui.model.target import ProcessFacts, Rung, Target
from memtui.report.build import build_report, load_schema
from memtui.report.write import render

VALIDATOR = jsonschema.Draft202012Validator(load_schema())
STATES = {"empty": empty_state, "observed": observed_state, "full": full_state, "ended": ended_state}


def check(state: State) -> dict[str, Any]:
    """The report as a reader of the file gets it, validated."""
    report: dict[str, Any] = json.loads(render(build_report(state)))
    VALIDATOR.validate(report)
    return report


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(load_schema())
    objects = [one for one in load_schema()["$defs"].values() if one.get("type") == "object"]
    assert objects
    for one in objects:
        assert one["additionalProperties"] is False
        optional = {"status", "status_reason", "profile", "soak"} if "profile" in one["properties"] else set()
        assert set(one["required"]) == set(one["properties"]) - optional, "every other key is always there"


def test_processes_lists_the_target_and_its_descendants() -> None:
    child = ProcessFacts(4243, 4242, "sleeping", 1000)
    state = replace(full_state(), processes=(ProcessFacts(full_state().target.pid, 1, "running", 5), child))
    first, second = check(state)["processes"]
    assert (first["parent"], first["status"]) == (1, "running")
    assert (second["pid"], second["parent"], second["rss_bytes"], second["pss_bytes"]) == (4243, 4242, 1000, None)


@pytest.mark.parametrize("name", STATES)
def test_reports_of_all_kinds_of_states_validate(name: str) -> None:
    report = check(STATES[name]())
    assert report["schema"] == "memtui.report/1"
    assert report["memtui"] == memtui.__version__
    assert report["target"]["command"] == ["python", "shop.py"]


def test_unknown_is_null_and_never_zero() -> None:
    report = check(empty_state())
    assert report["memory"]["rss_bytes"] == dict.fromkeys(("first", "last", "min", "max", "mean"))
    assert report["memory"]["growth_bytes"] is None
    assert report["memory"]["trend"] is None
    assert report["gc"]["enabled"] is None
    assert report["gc"]["pauses_seconds"] == {"count": None, "total": None, "max": None}
    assert set(report["observed"]["tracemalloc"].values()) == {None}
    assert report["cost"]["target_cpu_seconds"] is None
    assert report["ending"] is None
    assert report["verdict"]["state"] == "inconclusive"
    assert report["processes"][0]["rss_bytes"] is None


def test_an_observed_process_has_no_agent_figures() -> None:
    report = check(observed_state())
    assert report["observed"]["rung"] == "observe"
    assert report["gc"]["generations"][0] == {
        "count": 0, "threshold": 700, "collections": 90, "collected": 5, "uncollectable": 0,
    }  # fmt: skip
    assert report["gc"]["pauses_seconds"]["max"] is None
    assert report["verdict"]["state"] == "inconclusive"
    assert report["memory"]["trend"] == "stable"
    assert report["memory"]["uss_bytes"]["last"] is None


def test_a_full_report() -> None:
    report = check(full_state())
    assert report["target"]["started_at"] == "2023-11-14T21:13:20Z"
    assert report["observed"]["started_at"] == "2023-11-14T22:13:20Z"
    assert report["observed"]["samples"] == len(report["samples"]) == 60
    assert report["observed"]["tracemalloc"]["since_seconds"] == 5.0
    memory = report["memory"]
    assert memory["growth_bytes"] == memory["rss_bytes"]["last"] - memory["rss_bytes"]["first"]
    assert memory["growth_percent"] == pytest.approx(11.8)
    assert memory["growth_bytes_per_second"] == pytest.approx(MIB / 10, rel=0.001)
    verdict = report["verdict"]
    assert verdict["state"] == "growing"
    assert 0 < verdict["confidence"] < 1
    assert verdict["rule"] == "bic"
    assert verdict["growth_bytes_per_minute"] > 0
    assert verdict["seconds_to_limit"] == pytest.approx((512 - 55.9) * 10, rel=0.03)
    assert [one["number"] for one in report["snapshots"]] == [1, 2]
    assert [one["kind"] for one in report["events"]] == ["info", "snapshot"]


def test_suspects_are_growers_with_honest_unknowns() -> None:
    line, kind = check(full_state())["suspects"]
    assert (line["rank"], line["kind"], line["category"], line["holder"]) == (1, "python", "unknown", None)
    assert line["allocated_at"][0] == {
        "file": "shop.py", "line": 10, "function": None, "size_bytes": 5 * MIB, "count": 500,
    }  # fmt: skip
    assert line["growth_bytes_per_second"] == pytest.approx(4 * MIB / 40)
    assert line["growth_objects_per_second"] == pytest.approx(10)
    assert kind["type"] == "shop.Order"
    assert kind["growth_objects_per_second"] == pytest.approx(25)
    assert kind["growth_bytes_per_second"] is None
    assert "snapshots 1 and 2" in kind["evidence"][0]


def test_signatures_are_the_same_in_every_run() -> None:
    later = replace(full_state(), target=replace(TARGET, pid=77), started_at=STARTED_AT + 999)
    first, second = check(full_state())["suspects"], check(later)["suspects"]
    assert [one["signature"] for one in first] == [one["signature"] for one in second]
    assert len({one["signature"] for one in first}) == 2


def test_small_growth_makes_no_suspect() -> None:
    state = replace(full_state(), snapshots=())
    assert check(state)["suspects"]
    small = replace(state, allocations=traced([row("a.py", 1, 2000, 2)], 9.0), baseline=traced([], 1.0))
    assert check(small)["suspects"] == []


def test_allocations_and_types_tell_their_change() -> None:
    report = check(full_state())
    first, second = report["allocations"]
    assert (first["size_diff_bytes"], first["count_diff"]) == (4 * MIB, 400)
    assert (first["source"], first["traceback"]) == ("cache[key] = page", None)
    assert second["size_diff_bytes"] == -2048
    rates = {one["type"]: one["growth_per_second"] for one in report["types"]}
    assert rates == {"shop.Order": 25.0, "dict": -0.25}
    alone = check(replace(full_state(), snapshots=full_state().snapshots[:1], baseline=None))
    assert {one["growth_per_second"] for one in alone["types"]} == {None}
    assert {one["size_diff_bytes"] for one in alone["allocations"]} == {None}


def test_without_live_allocations_the_last_snapshot_speaks() -> None:
    report = check(replace(full_state(), allocations=None))
    assert [one["size_bytes"] for one in report["allocations"]] == [5 * MIB, 2048]
    assert report["allocations"][0]["size_diff_bytes"] is None


def test_files_have_no_line_and_tracebacks_have_frames() -> None:
    files = traced([row("a.py", 0, 90_000, 2)], 9.0, by=GroupBy.FILE)
    report = check(empty_state(allocations=files, baseline=traced([], 1.0, by=GroupBy.FILE)))
    assert report["allocations"][0]["line"] is None
    assert report["suspects"][0]["allocated_at"][0]["line"] is None
    deep = full_state().snapshots[1].tracebacks
    assert check(empty_state(allocations=deep))["allocations"][0]["traceback"] == [
        {"file": "shop.py", "line": 10},
        {"file": "shop.py", "line": 90},
    ]


def test_the_end_of_the_target_is_told() -> None:
    report = check(ended_state())
    assert report["ending"] == {"at_seconds": 60.0, "text": "killed by SIGKILL", "exit_code": None, "signal": 9}
    assert report["verdict"]["seconds_to_limit"] is None
    assert report["processes"][0]["status"] == "ended"
    assert any("SIGKILL" in reason for reason in report["verdict"]["reasons"])


def test_the_report_is_bounded() -> None:
    rows = [row("a.py", line, 10, 1) for line in range(1, 2001)]
    state = watched_state(lambda _: MIB, 5000, allocations=traced(rows))
    report = check(state)
    assert len(report["allocations"]) == 500
    assert len(report["samples"]) <= 900
    assert report["observed"]["samples"] == 5000


sizes = st.integers(0, 2**50)
maybe_sizes = st.none() | sizes
texts = st.text(max_size=20)
samples = st.builds(
    Sample,
    st.floats(0, 1e6),
    sizes,
    maybe_sizes,
    maybe_sizes,
    maybe_sizes,
    maybe_sizes,
    st.none() | st.tuples(st.integers(0, 999), st.integers(0, 99), st.integers(0, 99)),
    maybe_sizes,
)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(samples, max_size=30),
    st.builds(Target, st.integers(1, 2**22), st.tuples(texts), st.none() | texts, st.none() | st.floats(0, 2e9)),
    st.sampled_from(Rung),
    st.lists(st.builds(Event, st.floats(0, 1e6), st.sampled_from(EventKind), texts), max_size=5),
)
def test_whatever_was_seen_validates(looks: list[Sample], target: Target, rung: Rung, events: list[Event]) -> None:
    series = Series()
    for sample in sorted(looks, key=lambda one: one.at_seconds):
        series = series.append(sample)
    check(empty_state(target=target, rung=rung, series=series, events=tuple(events)))


def test_a_heap_picture_knows_the_sizes_of_types() -> None:
    state = full_state()
    types = (TypeCount("dict", 5, 1_160), TypeCount("unknown", 3))
    state = replace(state, snapshots=(replace(state.snapshots[0], types=types),))
    assert [one["size_bytes"] for one in check(state)["types"]] == [1_160, None]


def test_alerts_are_in_the_report() -> None:
    alerts = (
        Alert(1.0, "warning", "rss>1MB", 2_000_000, until_seconds=9.0),
        Alert(2.0, "critical", "limit>90%", 93.5),
    )
    events = (Event(1.0, EventKind.ALERT, "warning"), Event(2.0, EventKind.CRITICAL, "critical"))
    assert check(replace(full_state(), alerts=alerts, events=events))["alerts"] == [
        {"at_seconds": 1.0, "level": "warning", "rule": "rss>1MB", "value": 2_000_000, "until_seconds": 9.0},
        {"at_seconds": 2.0, "level": "critical", "rule": "limit>90%", "value": 93.5, "until_seconds": None},
    ]
