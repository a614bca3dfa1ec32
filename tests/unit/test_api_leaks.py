"""LeakDetector: the type that grows is named, what does not grow is not; circles; bounded memory."""

from __future__ import annotations

import gc
import json
import random
from typing import Any

import pytest

from memtui import LeakDetector, MemorySnapshot
from memtui.analysis.counts import judge_counts
from memtui.api.snapshot import MOST_TYPES
from memtui.model.gc import GcState


class Leaked:
    pass


class Passing:
    pass


def snapshot(at_seconds: float, rss_bytes: int = 10**8, **counts: int) -> MemorySnapshot:
    return MemorySnapshot(
        None, 0.0, at_seconds, rss_bytes, None, None, None, sum(counts.values()), GcState(True, ()), 0,
        type_counts=counts,
    )  # fmt: skip


def test_a_growing_type_is_suspected_and_a_passing_one_is_not() -> None:
    detector, kept = LeakDetector(), list[object]()
    for _ in range(6):
        kept += [Leaked() for _ in range(100)]
        passing = [Passing() for _ in range(300)]
        detector.add_observation()
        passing.clear()
    leaks = detector.suspected_leaks()
    assert [one.type.rpartition(".")[2] for one in leaks] == ["Leaked"]
    assert leaks[0].growth == 500
    assert leaks[0].counts == (100, 200, 300, 400, 500, 600)
    assert leaks[0].per_second is not None
    assert leaks[0].per_second > 0
    assert 0 < leaks[0].confidence < 1
    growth = {one.type.rpartition(".")[2]: one.change for one in detector.object_growth()}
    assert growth["Leaked"] == 500
    assert "Passing" not in growth
    assert {one.type.rpartition(".")[2]: one.change for one in detector.object_growth(1, 2)}["Leaked"] == 100


def test_classes_come_before_what_they_bring_along() -> None:
    detector = LeakDetector()
    for minute in range(5):
        counts = {"dict": 201 * minute, "list": 500 * minute, "shop.Order": 100 * minute}
        detector.add_observation(snapshot(60.0 * minute, **counts))
    assert [one.type for one in detector.suspected_leaks()] == ["shop.Order", "list", "dict"]


def test_it_takes_three_observations() -> None:
    detector = LeakDetector()
    assert detector.object_growth() == detector.suspected_leaks() == ()
    for minute in range(2):
        detector.add_observation(snapshot(60.0 * minute, a=1000 * minute))
    assert detector.suspected_leaks() == ()
    detector.add_observation(snapshot(120.0, a=2000))
    assert [one.type for one in detector.suspected_leaks()] == ["a"]


def test_the_surer_the_longer() -> None:
    detector, seen = LeakDetector(), list[tuple[str, float]]()
    for minute in range(40):
        detector.add_observation(
            snapshot(60.0 * minute, leak=1000 + 100 * minute, steady=5000, warm=min(minute, 5) * 200)
        )
        seen += [(one.state, one.confidence) for one in detector.suspected_leaks() if one.type == "leak"]
    assert seen[0][0] == "growing"
    assert seen[-1][0] == "leak"
    assert seen[-1][1] > seen[0][1]
    assert [one.type for one in detector.suspected_leaks()] == ["leak"], "a warm-up that has ended is no leak"


def test_few_objects_are_not_suspected() -> None:
    detector = LeakDetector(min_growth_objects=50)
    for minute in range(10):
        detector.add_observation(snapshot(60.0 * minute, a=minute * 5, b=minute * 6))
    assert [one.type for one in detector.suspected_leaks()] == ["b"]


def test_the_report_is_json_and_has_a_verdict() -> None:
    detector = LeakDetector()
    empty = detector.report()
    assert empty["observations"] == 0
    assert empty["verdict"]["state"] == "inconclusive"
    assert empty["rss_bytes"] == {"first": None, "last": None}
    for minute in range(60):
        detector.add_observation(snapshot(60.0 * minute, 10**8 + minute * 10**6, a=minute * 100))
    report = json.loads(json.dumps(detector.report()))
    assert report["observations"] == 60
    assert report["verdict"]["state"] in ("suspect", "leak")
    assert report["suspected_leaks"][0]["type"] == "a"
    assert report["object_growth"][0]["change"] == 5900
    detector.clear()
    assert len(detector) == 0
    assert detector.report() == empty


def test_observations_are_bounded_and_forgotten_from_the_oldest() -> None:
    detector = LeakDetector(max_observations=5)
    for minute in range(20):
        detector.add_observation(snapshot(60.0 * minute, **{f"t{minute}": 1, "a": minute}))
    assert len(detector) == 5
    assert set(detector._counts) == {"a", *(f"t{minute}" for minute in range(15, 20))}
    assert {one.type: (one.before, one.after) for one in detector.object_growth()}["a"] == (15, 19)
    with pytest.raises(IndexError):
        detector.object_growth(5)


def test_observations_that_make_no_sense_are_refused() -> None:
    detector = LeakDetector()
    with pytest.raises(ValueError, match="no type counts"):
        detector.add_observation(MemorySnapshot.take(types=False))
    detector.add_observation(snapshot(60.0, a=1))
    with pytest.raises(ValueError, match="older"):
        detector.add_observation(snapshot(30.0, a=1))
    with pytest.raises(ValueError, match="max_observations"):
        LeakDetector(max_observations=2)
    assert len(detector) == 1


def test_circles_are_found_named_and_collected() -> None:
    class Parent:
        child: Any

    class Child:
        parent: Any

    gc.collect()
    gc.disable()
    try:
        for _ in range(7):
            parent, child = Parent(), Child()
            parent.child, child.parent = child, parent
        loop: list[Any] = []
        loop.append(loop)
        del parent, child, loop
        cycles = LeakDetector().reference_cycles()
    finally:
        gc.enable()
    counts = {one.type.rpartition(".")[2]: one.count for one in cycles.types}
    assert (counts["Parent"], counts["Child"], counts["list"]) == (7, 7, 1)
    steps = {frozenset(step.rpartition(".")[2] for step in one) for one in cycles}
    assert frozenset({"child", "parent"}) in steps
    assert len(cycles) == len(cycles.cycles) >= 2
    assert cycles.size_bytes > 0
    assert cycles.complete
    assert gc.get_debug() == 0
    assert gc.garbage == []
    json.dumps(cycles.to_dict())
    assert LeakDetector().reference_cycles().objects < 14, "they were collected"


def test_garbage_that_the_program_keeps_is_left_to_it() -> None:
    kept: list[Any] = []
    kept.append(kept)
    gc.garbage.append(kept)
    try:
        LeakDetector().reference_cycles()
        assert gc.garbage == [kept]
    finally:
        gc.garbage.clear()
        kept.clear()


def test_counts_that_grow_without_end_are_a_leak_and_those_that_do_not_are_none() -> None:
    chance = random.Random(5)
    assert judge_counts([100 + 10 * n for n in range(60)], 50).state == "leak"
    assert judge_counts([100 + 10 * n + chance.randrange(20) for n in range(60)], 50).state == "leak"
    assert judge_counts([1000 + chance.randrange(200) for _ in range(60)], 50).state == "healthy"
    assert judge_counts([min(n, 15) * 50 for n in range(60)], 50).state == "healthy"
    assert judge_counts([1, 2], 1).state == "inconclusive"
    assert judge_counts([], 1).state == "inconclusive"
    assert judge_counts([100, 300, 100, 400], 50).state == "healthy"


def test_the_number_of_types_is_bounded() -> None:
    kinds = [type(f"Kind{number}", (), {}) for number in range(MOST_TYPES + 500)]
    kept = [kind() for kind in kinds]
    assert len(MemorySnapshot.take().type_counts) <= MOST_TYPES
    del kept
