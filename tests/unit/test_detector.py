from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memtui.analysis.detect import Detector, DetectorOptions, Verdict
from memtui.analysis.detect.verdict import ORDER

MIB = 1024 * 1024
HOUR = 3600


def watched(
    growth: float, hours: float, *, base_mib: float = 300, noise_mib: float = 1.0, every: int = 10, scale: float = 1.0
) -> Detector:
    """A process that grows evenly by ``growth`` MiB over the whole watch."""
    random, detector, seconds = Random(7), Detector(), int(hours * HOUR)
    for at in range(0, seconds, every):
        mib = base_mib + growth * at / seconds + random.gauss(0, noise_mib)
        detector.add(float(at), round(mib * MIB * scale))
    return detector


def after_seconds(seconds: int, mib_per_second: float, options: DetectorOptions | None = None) -> Verdict:
    """The verdict of a short watch on a process of 100 MiB."""
    detector = Detector(options or DetectorOptions(age_seconds=3600))
    for at in range(seconds + 1):
        detector.add(float(at), round((100 + mib_per_second * at) * MIB))
    return detector.verdict()


def test_fifty_mebibytes_in_six_hours_are_a_leak() -> None:
    verdict = watched(50, 6, every=1).verdict()
    assert verdict.state == "leak"
    assert verdict.confidence > 0.8
    assert verdict.growth_bytes_per_minute == pytest.approx(50 * MIB / 360, rel=0.1)
    assert verdict.reasons


def test_six_stable_hours_are_healthy() -> None:
    verdict = watched(0, 6, every=1).verdict()
    assert verdict.state == "healthy"
    assert verdict.seconds_to_limit is None
    assert "no lasting growth" in verdict.reasons[0]


@pytest.mark.parametrize(("speed", "state"), [(0.5, "growing"), (0.0, "inconclusive"), (5.0, "growing")])
def test_a_minute_of_the_curve_alone_is_never_more_than_growing(speed: float, state: str) -> None:
    verdict = after_seconds(60, speed)
    assert verdict.state == state
    assert verdict.confidence < 0.5
    assert verdict.window_seconds <= 60


def test_a_minute_judged_by_the_second_is_still_not_a_suspect() -> None:
    options = DetectorOptions.for_watch(60, age_seconds=3600)
    assert after_seconds(60, 0.5, options).state == "growing"
    assert after_seconds(60, 0.0, options).state == "inconclusive"


def test_the_first_seconds_say_nothing() -> None:
    verdict = after_seconds(15, 1.0)
    assert verdict.state == "inconclusive"
    assert verdict.growth_bytes_per_minute is None
    assert "20 s" in verdict.reasons[0]
    assert Detector().verdict().state == "inconclusive"


def test_five_minutes_planned_as_such_find_a_leak() -> None:
    options = DetectorOptions.for_watch(300, interval_seconds=5)
    detector, random = Detector(options), Random(3)
    for at in range(0, 301, 5):
        detector.add(float(at), round((80 + 0.2 * at + random.gauss(0, 0.3)) * MIB))
    verdict = detector.verdict()
    assert verdict.state == "leak"
    assert verdict.confidence < 0.8
    assert "warm-up" in verdict.reasons[-1]


def test_a_plateau_takes_the_verdict_back() -> None:
    detector, random, states = Detector(), Random(5), []
    for at in range(0, 3 * HOUR, 10):
        mib = 300 + min(at, HOUR) * 100 / HOUR + random.gauss(0, 1)
        detector.add(float(at), round(mib * MIB))
        if at in (HOUR, 3 * HOUR - 10):
            states.append(detector.verdict().state)
    assert states == ["leak", "healthy"]


@pytest.mark.parametrize(
    "shape",
    [
        lambda t: 100 * (1 - math.exp(-t / 900)),
        lambda t: min(100.0, t / 20),
        lambda t: 100.0 if t > 3000 else 0.0,
        lambda t: 40 * math.sin(t / 400),
        lambda t: -t / 100,
    ],
    ids=["warm-up", "filled cache", "step", "rhythm", "shrinking"],
)
def test_bounded_curves_are_no_leak(shape: object) -> None:
    assert callable(shape)
    detector, random = Detector(), Random(9)
    for at in range(0, 2 * HOUR, 10):
        detector.add(float(at), round((300 + shape(at) + random.gauss(0, 1)) * MIB))
    assert detector.verdict().state in ("healthy", "growing")


def test_growth_that_live_objects_do_not_have_is_still_seen() -> None:
    detector, random = Detector(), Random(2)
    for at in range(0, 2 * HOUR, 10):
        detector.add(float(at), round((300 + at / 100 + random.gauss(0, 1)) * MIB), round(200 * MIB))
    verdict = detector.verdict()
    assert (verdict.state, verdict.signal) == ("leak", "rss")


def test_live_bytes_that_grow_are_named_as_such() -> None:
    detector, random = Detector(), Random(2)
    for at in range(0, 2 * HOUR, 10):
        live = round((200 + at / 100 + random.gauss(0, 0.2)) * MIB) if at % 60 == 0 else None
        detector.add(float(at), round((300 + at / 100 + random.gauss(0, 1)) * MIB), live)
    verdict = detector.verdict()
    assert (verdict.state, verdict.signal) == ("leak", "live")
    assert "alive after collections" in verdict.reasons[0]


def test_silent_collections_hand_over_to_rss() -> None:
    detector = Detector()
    for at in range(0, 2 * HOUR, 10):
        detector.add(float(at), 300 * MIB, 200 * MIB if at < HOUR else None)
    assert detector.verdict(float(HOUR)).signal == "rss", "the last look was long after the last live bytes"
    for at in range(2 * HOUR, 2 * HOUR + 120, 10):
        detector.add(float(at), 300 * MIB, 200 * MIB)
    assert detector.verdict().signal == "live"
    assert detector.verdict(3.0 * HOUR).signal == "rss"


def test_asking_changes_nothing() -> None:
    asked, silent = Detector(), Detector()
    for at in range(0, HOUR, 10):
        for detector in (asked, silent):
            detector.add(float(at), (300 + at // 40) * MIB)
        asked.verdict(float(at))
    assert asked.verdict() == silent.verdict()


@pytest.mark.parametrize("scale", [0.5, 2.0, 10.0])
def test_the_unit_does_not_matter_where_growth_is_large(scale: float) -> None:
    plain, scaled = watched(200, 2).verdict(), watched(200, 2, scale=scale).verdict()
    assert plain.state == scaled.state == "leak"
    assert plain.growth_bytes_per_minute is not None
    assert scaled.growth_bytes_per_minute == pytest.approx(scale * plain.growth_bytes_per_minute, rel=0.01)


def test_growth_backwards_is_healthy() -> None:
    detector = Detector()
    for at in range(0, 2 * HOUR, 10):
        detector.add(float(at), (300 + (2 * HOUR - at) // 36) * MIB)
    verdict = detector.verdict()
    assert verdict.state == "healthy"
    assert verdict.growth_bytes_per_minute is not None
    assert verdict.growth_bytes_per_minute < 0


def test_a_second_growth_after_a_day_is_found() -> None:
    detector, random = Detector(), Random(4)
    for at in range(0, 30 * HOUR, 30):
        mib = 300 + max(0, at - 26 * HOUR) * 80 / (4 * HOUR) + random.gauss(0, 1)
        detector.add(float(at), round(mib * MIB))
    assert detector.verdict().state == "leak"


TIMES = st.one_of(st.floats(), st.floats(-1e3, 1e5), st.integers(0, 20000).map(float))
SIZES = st.integers(0, 2**63)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(TIMES, SIZES, st.none() | SIZES), max_size=120), st.booleans(), st.sampled_from([1.0, 60.0])
)
def test_any_looks_give_a_verdict(
    looks: list[tuple[float, int, int | None]], ordered: bool, block_seconds: float
) -> None:
    detector = Detector(DetectorOptions(block_seconds, warm_up_seconds=0, age_seconds=10))
    for at, rss, live in sorted(looks, key=lambda one: one[0]) if ordered else looks:
        detector.add(at, rss, live)
    verdict = detector.verdict()
    assert verdict.state in ORDER
    assert 0 <= verdict.confidence <= 1
    assert verdict.reasons
    assert verdict.growth_bytes_per_minute is None or math.isfinite(verdict.growth_bytes_per_minute)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2**40), min_size=20, max_size=200), st.integers(1, 90))
def test_a_curve_and_its_mirror_are_not_both_leaks(sizes: list[int], every: int) -> None:
    states = []
    for series in (sizes, sizes[::-1]):
        detector = Detector(DetectorOptions(float(every), warm_up_seconds=0, age_seconds=10))
        for index, size in enumerate(series):
            detector.add(float(index * every), size)
        states.append(detector.verdict().state)
    assert states.count("leak") < 2
