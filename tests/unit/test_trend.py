from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.analysis.trend import least_squares, spread, theil_sen

XS = [float(x) for x in range(30)]


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(2, 200))
def test_both_find_the_slope_of_a_straight_line(slope: float, start: float, count: int) -> None:
    xs = [0.5 * index for index in range(count)]
    ys = [start + slope * x for x in xs]
    assert theil_sen(xs, ys) == pytest.approx(slope, abs=1e-5)
    assert least_squares(xs, ys) == pytest.approx(slope, abs=1e-5)
    assert spread(xs, ys, slope) == pytest.approx(0, abs=1e-5)


def test_outliers_do_not_pull_the_median_slope() -> None:
    ys = [2 * x for x in XS]
    ys[7] = ys[20] = 1e6
    assert theil_sen(XS, ys) == pytest.approx(2, rel=0.05)
    squares = least_squares(XS, ys)
    assert squares is not None
    assert abs(squares - 2) > 100, "least squares is pulled, which is why both are asked"


@pytest.mark.parametrize(("xs", "ys"), [([], []), ([1.0], [5.0]), ([3.0, 3.0, 3.0], [1.0, 2.0, 3.0])])
def test_no_slope_without_two_different_times(xs: list[float], ys: list[float]) -> None:
    assert theil_sen(xs, ys) is None
    assert least_squares(xs, ys) is None


def test_spread_is_the_typical_distance_from_the_line() -> None:
    ys = [10 * x + (5 if index % 2 else -5) for index, x in enumerate(XS)]
    assert spread(XS, ys, 10.0) == pytest.approx(5 * 1.4826)
    assert spread([], [], 1.0) == 0
