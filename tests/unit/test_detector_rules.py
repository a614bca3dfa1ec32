from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.analysis.detect import ols, rolling_trend, thirds

MB = 1_000_000
Points = list[tuple[float, float]]


def line(mb_per_minute: float, minutes: int, *, start_mb: float = 500, every: int = 5) -> Points:
    return [(float(at), (start_mb + mb_per_minute * at / 60) * MB) for at in range(0, 60 * minutes + 1, every)]


@pytest.mark.parametrize(
    ("mb_per_minute", "start_mb", "state"),
    [(10, 500, "leak"), (8, 500, "healthy"), (10, 5000, "healthy"), (-50, 500, "healthy")],
)
def test_ols_asks_for_bytes_and_percent(mb_per_minute: float, start_mb: float, state: str) -> None:
    verdict = ols(line(mb_per_minute, 10, start_mb=start_mb))
    assert (verdict.state, verdict.rule) == (state, "ols")
    assert verdict.growth_bytes_per_minute == pytest.approx(mb_per_minute * MB, rel=0.05)


def test_ols_waits_for_its_periods() -> None:
    assert ols(line(10, 5)).state == "inconclusive"
    assert ols(line(30, 5), periods=4).state == "leak"
    assert ols([]).state == "inconclusive"


def test_thirds_compare_the_ends() -> None:
    assert thirds(line(10, 10)).state == "leak"
    assert thirds(line(5, 10)).state == "healthy"
    assert thirds(line(5, 10), threshold_bytes=20 * MB).state == "leak"
    assert thirds(line(10, 10)).growth_bytes_per_minute == pytest.approx(10 * MB, rel=0.05)
    assert thirds(line(10, 10)[:5]).state == "inconclusive"


def test_both_take_a_warm_up_for_a_leak() -> None:
    points = [(float(at), (500 + min(at, 240) / 2) * MB) for at in range(0, 600, 5)]
    assert thirds(points).state == "leak"
    assert ols(points[:85]).state == "leak"


@pytest.mark.parametrize(("speed", "trend"), [(5, "growing"), (-5, "shrinking"), (0, "stable"), (0.01, "stable")])
def test_the_trend_of_the_last_minutes(speed: float, trend: str) -> None:
    random = Random(1)
    points = [(at, value + random.gauss(0, 0.5 * MB)) for at, value in line(speed, 20)]
    assert rolling_trend(points) == trend


def test_the_trend_forgets_and_needs_looks() -> None:
    calm = [(1200.0 + at, 700.0 * MB) for at in range(5, 400, 5)]
    assert rolling_trend([*line(10, 20), *calm]) == "stable"
    assert rolling_trend(line(5, 20)[:9]) is None
    assert rolling_trend([]) is None


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e14)), max_size=60))
def test_plain_rules_never_fail(points: Points) -> None:
    points.sort()
    assert ols(points).state in ("leak", "healthy", "inconclusive")
    assert thirds(points).state in ("leak", "healthy", "inconclusive")
    assert rolling_trend(points) in ("stable", "growing", "shrinking", None)
