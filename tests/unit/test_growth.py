from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from states import MIB, PICTURE, STARTED_AT, TARGET, empty_state, full_state, row, snapshot, traced, watched_state

from memtui.analysis.growth import line_growth, rss_growth, type_changes, type_growth
from memtui.model.allocation import Allocation, Frame, GroupBy
from memtui.model.state import State


def noisy(seed: int = 5, sigma: float = 0.3 * MIB) -> Callable[[float], float]:
    source = random.Random(seed)
    return lambda _: 50 * MIB + source.gauss(0, sigma)


@pytest.mark.parametrize(("looks", "every"), [(0, 1.0), (1, 1.0), (15, 1.0), (9, 10.0), (60, 0.25)])
def test_too_early_needs_time_and_looks(looks: int, every: float) -> None:
    state = watched_state(lambda at: 50 * MIB + at * MIB, looks, every) if looks else empty_state()
    growth = rss_growth(state)
    assert growth.verdict == "too early"
    assert growth.bytes_per_second is None
    assert growth.confidence == 0
    assert "20 s" in growth.reason


@pytest.mark.parametrize("looks", [22, 60, 300, 2000])
@pytest.mark.parametrize("per_minute", [1.5, 100.0])
def test_a_leak_is_growing_at_its_rate(looks: int, per_minute: float) -> None:
    rate = per_minute * MIB / 60
    growth = rss_growth(watched_state(lambda at: 20 * MIB + rate * at, looks))
    assert growth.verdict == "growing"
    assert growth.bytes_per_second == pytest.approx(rate, rel=0.01)
    assert 0 < growth.confidence < 1


BENIGN = {
    "flat": lambda at: 50 * MIB,
    "noise": noisy(),
    "a step": lambda at: (80 if at > 140 else 50) * MIB,
    "a warm-up that ended": lambda at: 50 * MIB + 30 * MIB * (1 - 2.718 ** (-at / 20)),
    "a sawtooth": lambda at: 50 * MIB + (at % 30) * MIB / 3,
    "less than matters": lambda at: 50 * MIB + at * 100,
    "little for its size": lambda at: 1000 * MIB + at * MIB / 100,
}


@pytest.mark.parametrize("name", BENIGN)
def test_benign_courses_are_steady(name: str) -> None:
    growth = rss_growth(watched_state(BENIGN[name], 300))
    assert growth.verdict == "steady", growth.reason
    assert growth.bytes_per_second is not None


def test_growth_under_noise_and_under_a_sawtooth() -> None:
    noise = noisy()
    assert rss_growth(watched_state(lambda at: noise(at) + at * MIB / 20, 300)).verdict == "growing"
    assert rss_growth(watched_state(lambda at: BENIGN["a sawtooth"](at) + at * MIB / 20, 300)).verdict == "growing"


def test_growth_within_its_ups_and_downs_is_not_called_so_yet() -> None:
    growth = rss_growth(watched_state(lambda at: BENIGN["a sawtooth"](at) + at * MIB / 20, 60))
    assert growth.verdict == "steady"
    assert "ups and downs" in growth.reason


def test_growth_that_began_lately_is_growing() -> None:
    growth = rss_growth(watched_state(lambda at: 50 * MIB + max(0.0, at - 500) * MIB / 10, 800))
    assert growth.verdict == "growing"
    assert growth.over_seconds == 300


def test_confidence_comes_with_time_straightness_and_clearness() -> None:
    def confidence(rss: Callable[[float], float], looks: int) -> float:
        growth = rss_growth(watched_state(rss, looks))
        assert growth.verdict == "growing"
        return growth.confidence

    noise = noisy(sigma=MIB)
    straight = confidence(lambda at: 50 * MIB + at * MIB / 20, 200)
    assert confidence(lambda at: 50 * MIB + at * MIB / 20, 60) < straight
    assert confidence(lambda at: (150 if at in (190, 195) else 50) * MIB + at * MIB / 20, 200) < straight
    assert confidence(lambda at: noise(at) + at * MIB / 20, 200) < straight


def test_falling_memory_is_shrinking() -> None:
    growth = rss_growth(watched_state(lambda at: 200 * MIB - at * MIB / 10, 300))
    assert growth.verdict == "shrinking"
    assert growth.bytes_per_second == pytest.approx(-MIB / 10)


def test_a_slow_leak_shows_over_the_whole_observation() -> None:
    """In five minutes it stays below what counts; in an hour it does not."""
    growth = rss_growth(watched_state(lambda at: 500 * MIB + at * MIB / 150, 800, 5.0))
    assert growth.verdict == "growing"
    assert growth.over_seconds > 3000


def test_growth_that_stopped_is_no_longer_growing() -> None:
    growth = rss_growth(watched_state(lambda at: 50 * MIB + min(at, 200) * MIB, 800))
    assert growth.verdict == "steady"


def test_the_start_up_of_a_launched_program_is_not_judged() -> None:
    def starting(at: float) -> float:
        return 10 * MIB + min(at, 5.0) * 20 * MIB

    launched = replace(TARGET, launched=True, started_at=STARTED_AT)
    early = watched_state(starting, 24, target=launched)
    assert rss_growth(early).verdict == "too early", "19 s are left after the start-up"
    assert rss_growth(replace(early, target=TARGET)).verdict != "too early", "it had been running for long"
    unknown = replace(TARGET, launched=True, started_at=None)
    assert rss_growth(replace(early, target=unknown)).verdict == "too early"


def lines(now: list[Allocation], before: list[Allocation], **cut: int) -> State:
    return empty_state(allocations=traced(now, 30.0), baseline=traced(before, 10.0, **cut))


def test_lines_that_grew_by_bytes() -> None:
    state = lines(
        [row("a.py", 1, 500, 5), row("a.py", 2, 900, 9), row("a.py", 3, 10, 1), row("b.py", 1, 4000, 1)],
        [row("a.py", 1, 100, 1), row("a.py", 2, 900, 9), row("a.py", 3, 70, 7)],
    )
    first, second = line_growth(state)
    assert (first.place, first.size_diff_bytes, first.count_diff) == (Frame("b.py", 1), 4000, 1)
    assert (second.place, second.size_diff_bytes, second.count_diff) == (Frame("a.py", 1), 400, 4)
    assert second.bytes_per_second == pytest.approx(20)
    assert (second.size_bytes, second.count) == (500, 5)
    assert line_growth(state, limit=1) == (first,)


def test_no_lines_without_two_comparable_looks() -> None:
    state = full_state()
    assert line_growth(state)
    assert line_growth(replace(state, baseline=None)) == ()
    assert line_growth(replace(state, allocations=None)) == ()
    assert state.baseline is not None
    by_file = replace(state.baseline, by=GroupBy.FILE)
    assert line_growth(replace(state, baseline=by_file)) == ()


def test_a_line_the_cut_baseline_did_not_list_counts_by_its_lower_bound() -> None:
    state = lines([row("new.py", 1, 1000, 10), row("small.py", 1, 40, 1)], [row("a.py", 1, 100, 1)], groups=7)
    (line,) = line_growth(state)
    assert line.place.file == "new.py"
    assert (line.size_diff_bytes, line.count_diff) == (900, 9)


def test_tracebacks_of_one_line_are_summed() -> None:
    here, one, two = Frame("a.py", 1), Frame("b.py", 1), Frame("c.py", 1)
    rows = [Allocation((here, one), 300, 3), Allocation((here, two), 200, 2)]
    state = empty_state(
        allocations=traced(rows, 9.0, by=GroupBy.TRACEBACK), baseline=traced([], 9.0, by=GroupBy.TRACEBACK)
    )
    (line,) = line_growth(state)
    assert (line.place, line.size_diff_bytes, line.count_diff, line.size_bytes) == (here, 500, 5, 500)
    assert line.bytes_per_second is None, "no time passed, so there is no rate"


def test_types_from_the_first_to_the_last_snapshot() -> None:
    snapshots = (
        snapshot(1, 0.0, {"A": 10, "B": 50, "C": 5}),
        snapshot(2, 10.0, {"A": 900, "B": 50, "C": 5}),
        snapshot(3, 20.0, {"A": 30, "B": 10, "C": 5, "D": 100}),
    )
    state = empty_state(snapshots=snapshots)
    fresh, grown = type_growth(state)
    assert (fresh.type, fresh.count_diff, fresh.count) == ("D", 100, 100)
    assert (grown.type, grown.count_diff, grown.objects_per_second) == ("A", 20, 1.0)
    assert type_growth(state, limit=1) == (fresh,)
    assert {one.type: one.count_diff for one in type_changes(state)} == {"A": 20, "B": -40, "C": 0, "D": 100}
    assert type_growth(replace(state, snapshots=snapshots[:1])) == ()


def test_a_type_the_cut_list_did_not_hold_counts_by_its_lower_bound() -> None:
    first = snapshot(1, 0.0, {"A": 100, "B": 20}, objects=500)
    state = empty_state(snapshots=(first, snapshot(2, 10.0, {"A": 100, "new": 70, "rare": 15})))
    (growth,) = type_growth(state)
    assert (growth.type, growth.count_diff) == ("new", 50)
    assert "rare" not in {one.type for one in type_changes(state)}


def test_heap_pictures_are_compared_with_heap_pictures() -> None:
    counted = snapshot(1, 0.0, {"A": 10})
    first = replace(snapshot(2, 10.0, {"A": 500, "str": 90}), picture=PICTURE)
    last = replace(snapshot(3, 20.0, {"A": 600, "str": 90}), picture=PICTURE)
    (grown,) = type_growth(empty_state(snapshots=(counted, first, last)))
    assert (grown.type, grown.count_diff, grown.objects_per_second) == ("A", 100, 10.0)
    assert type_growth(empty_state(snapshots=(counted, first))) == ()
