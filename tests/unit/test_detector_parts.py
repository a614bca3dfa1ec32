from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.analysis.detect import (
    Detector,
    DetectorOptions,
    HolderEvidence,
    Limit,
    Verdict,
    limits,
    nearest,
    with_holder,
)
from memtui.analysis.detect.blocks import BlockMinima, floors
from memtui.analysis.detect.models import explain
from memtui.analysis.detect.persistence import Persistence
from memtui.analysis.detect.shapes import dot, shapes

MIB = 1024 * 1024
TIMES = [index / 29 for index in range(30)]


def minima(values: list[float], *, capacity: int = 8, keep_all: bool = True, every: float = 1.0) -> BlockMinima:
    blocks = BlockMinima(1.0, capacity, keep_all=keep_all)
    for index, value in enumerate(values):
        blocks.add(index * every, value)
    return blocks


def test_blocks_keep_the_least_value_and_not_the_block_under_way() -> None:
    assert minima([5, 3, 4, 9, 8, 7, 1], every=0.4).values == [3, 8]


def test_too_many_blocks_become_longer_ones() -> None:
    blocks = minima([float(abs(index - 20)) for index in range(41)])
    assert blocks.block_seconds == 8
    assert blocks.values == [13, 5, 0, 4, 12]
    assert blocks.seconds == 40


def test_or_the_oldest_are_dropped() -> None:
    assert minima([float(index) for index in range(41)], keep_all=False).values == [32, 33, 34, 35, 36, 37, 38, 39]


def test_holes_are_filled_by_a_line_and_long_ones_start_anew() -> None:
    blocks = minima([10, 20], every=4)
    assert blocks.values == [10, 12.5, 15, 17.5]
    assert blocks.add(2.0, 0) == 0, "a look from the past is ignored"
    assert blocks.add(100.0, 7) == 0
    assert (blocks.values, blocks.looks) == ([], 1)


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=300), st.integers(2, 20))
def test_no_block_is_below_the_least_or_above_the_most(values: list[int], capacity: int) -> None:
    blocks = minima([float(value) for value in values], capacity=capacity)
    assert len(blocks.values) <= capacity
    assert all(min(values) <= value <= max(values) for value in blocks.values)
    covered = values[: int(blocks.seconds)]
    assert not covered or min(blocks.values) == min(covered)


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=200), st.integers(1, 30))
def test_floors_are_few_and_keep_the_newest(values: list[float], most: int) -> None:
    points, size = floors(values, most)
    assert 1 <= len(points) <= most
    assert points[-1] == min(values[-size:])


@pytest.mark.parametrize("count", [8, 15, 30])
def test_every_shape_is_centred_and_of_length_one(count: int) -> None:
    known = shapes(count)
    vectors = [*known.growing, *(axis for one in (*known.bounded, *known.seasons) for axis in one.axes)]
    for vector in vectors:
        assert sum(vector) == pytest.approx(0, abs=1e-9)
        assert dot(vector, vector) == pytest.approx(1)
    for one in (*known.bounded, *known.seasons):
        assert all(abs(dot(axis, one.line)) < 1e-9 for axis in one.axes)


@pytest.mark.parametrize(
    ("curve", "grows"),
    [
        ([100 * t for t in TIMES], True),
        ([200 * max(0.0, t - 0.4) for t in TIMES], True),
        ([100 * (t > 0.5) + 100 * t for t in TIMES], True),
        ([100 * (1 - math.exp(-4 * t)) for t in TIMES], False),
        ([100.0 * (t > 0.5) for t in TIMES], False),
        ([50 * math.log1p(10 * t) for t in TIMES], False),
        ([50 * math.sin(9 * t) for t in TIMES], False),
        ([0.0 for t in TIMES], False),
    ],
    ids=["line", "late", "step and line", "warm-up", "step", "logarithm", "rhythm", "flat"],
)
def test_the_better_explanation_wins(curve: list[float], grows: bool) -> None:
    random = Random(1)
    known = explain([value + random.gauss(0, 1) for value in curve])
    assert (known.advantage > 2 and known.significance > 4) is grows


@given(st.lists(st.floats(0, 1e13), min_size=12, max_size=30), st.floats(0.5, 1000))
def test_explanations_do_not_depend_on_the_unit(curve: list[float], factor: float) -> None:
    known, scaled = explain(curve), explain([factor * value for value in curve])
    assert math.isfinite(known.advantage)
    if known.growth > 1:
        assert scaled.advantage == pytest.approx(known.advantage, rel=0.02, abs=0.2)


def test_persistence_needs_its_time_and_is_taken_back() -> None:
    level = Persistence(0.25)
    states = []
    for age in range(40, 80):
        level.add(age, 1, hit=age < 60)
        states.append(level.on)
    assert states.index(True) == 9, "a quarter of the 40 blocks before the growth"
    assert states[19]
    assert not states[-1]


def test_the_nearest_limit_counts() -> None:
    known = limits(
        rss_bytes=100,
        max_rss_bytes=400,
        cgroup_limit_bytes=1000,
        cgroup_used_bytes=900,
        address_space_limit_bytes=5000,
        address_space_bytes=None,
        available_bytes=700,
    )
    assert [(one.name, one.room_bytes) for one in known] == [
        ("--max-rss", 300),
        ("the cgroup's limit", 100),
        ("the machine's free memory", 700),
    ]
    assert nearest(known, 50) == (known[1], 120)
    assert limits(rss_bytes=500, max_rss_bytes=400) == (Limit("--max-rss", 0),)


@pytest.mark.parametrize("speed", [None, 0.0, -5.0])
def test_without_growth_no_limit_is_reached(speed: float | None) -> None:
    assert nearest((Limit("--max-rss", 10),), speed) is None
    assert nearest((), 10.0) is None


def fast(mib_per_second: float, seconds: int = 120) -> Detector:
    detector = Detector(DetectorOptions(age_seconds=3600))
    for at in range(seconds):
        detector.add(float(at), round((200 + mib_per_second * at) * MIB))
    return detector


def test_fast_growth_is_pressure_and_not_a_leak() -> None:
    verdict = fast(2.0).verdict(limits=(Limit("the cgroup's limit", 600 * MIB),))
    assert verdict.state == "growing"
    assert verdict.seconds_to_limit == pytest.approx(300, rel=0.05)
    assert verdict.pressure is not None
    assert verdict.pressure.limit == "the cgroup's limit"
    assert verdict.pressure.seconds_to_limit == pytest.approx(300, rel=0.05)
    assert "pressure" in verdict.pressure.reason


@pytest.mark.parametrize(("speed", "room_mib"), [(2.0, 6000), (0.01, 1), (0.0, 1)])
def test_far_limits_and_small_growth_are_no_pressure(speed: float, room_mib: int) -> None:
    assert fast(speed).verdict(limits=(Limit("--max-rss", room_mib * MIB),)).pressure is None


def test_very_fast_growth_is_pressure_without_any_limit() -> None:
    pressure = fast(4.0).verdict().pressure
    assert pressure is not None
    assert (pressure.limit, pressure.seconds_to_limit) == (None, None)


def test_growth_that_has_stopped_is_no_pressure() -> None:
    detector = fast(2.0)
    for at in range(120, 240):
        detector.add(float(at), 440 * MIB)
    assert detector.verdict(limits=(Limit("--max-rss", 10 * MIB),)).pressure is None


def curve(state: str, confidence: float = 0.5) -> Verdict:
    return Verdict(state, confidence, ("It does.",), 1.0, None, 60.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "looks", "seconds", "joined"),
    [
        ("growing", 2, 30.0, "suspect"),
        ("inconclusive", 2, 30.0, "suspect"),
        ("growing", 3, 50.0, "suspect"),
        ("growing", 4, 120.0, "leak"),
        ("suspect", 4, 120.0, "leak"),
        ("leak", 2, 30.0, "leak"),
        ("healthy", 4, 120.0, "growing"),
    ],
)
def test_a_holder_makes_growth_a_suspect_and_a_second_window_a_leak(
    state: str, looks: int, seconds: float, joined: str
) -> None:
    verdict = with_holder(curve(state), HolderEvidence("app.CACHE", looks, seconds))
    assert verdict.state == joined
    assert verdict.reasons[0].startswith("app.CACHE")
    assert verdict.reasons[-1] == "It does."


def test_a_bounded_holder_explains_growth_away() -> None:
    filling = HolderEvidence("app.recent", 4, 300.0, bounded=True)
    assert with_holder(curve("leak", 0.9), filling).state == "growing"
    assert with_holder(curve("healthy"), filling) == curve("healthy")
    assert with_holder(curve("leak"), None) == curve("leak")
