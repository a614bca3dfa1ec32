from __future__ import annotations

import pytest
from shop_session import MIB

from memtui.model.sample import Sample
from memtui.model.state import Event, EventKind, State
from memtui.tui import charts


@pytest.mark.parametrize("width", [24, 40, 61, 120, 198])
@pytest.mark.parametrize("height", [5, 8, 11, 30])
def test_a_chart_fills_its_size(states: tuple[State, ...], width: int, height: int) -> None:
    chart = charts.draw(states[-1].series.samples, width, height)
    assert chart is not None
    assert len(chart.lines) == height
    assert all(len(row) <= width for row in chart.lines)
    assert 0 < chart.left < width


def test_a_chart_grows_to_the_right() -> None:
    samples = [Sample(float(second), (100 + second) * MIB) for second in range(60)]
    chart = charts.draw(samples, 60, 12)
    assert chart is not None
    first = next(row for row in chart.lines if row[chart.left :].strip())
    assert len(first.rstrip()) > 50
    assert "MiB" in chart.lines[0]
    assert "30 s" in chart.lines[-1]


@pytest.mark.parametrize("sizes", [[5 * MIB] * 3, [0, 0], [1, 10**13], [0, 900 * MIB, 3]])
def test_odd_series_are_drawn(sizes: list[int]) -> None:
    samples = [Sample(float(second), size) for second, size in enumerate(sizes)]
    assert charts.draw(samples, 60, 10) is not None


def test_too_little_room_or_too_few_looks() -> None:
    samples = [Sample(0.0, MIB), Sample(1.0, MIB)]
    assert charts.draw(samples, 23, 10) is None
    assert charts.draw(samples, 60, 4) is None
    assert charts.draw(samples[:1], 60, 10) is None


def test_without_utf8_the_curve_is_ascii(states: tuple[State, ...]) -> None:
    chart = charts.draw(states[-1].series.samples, 60, 12, ascii_only=True)
    assert chart is not None
    assert any("*" in row for row in chart.lines)


def test_marks_stand_under_their_time(states: tuple[State, ...]) -> None:
    chart = charts.draw(states[-1].series.samples, 60, 12)
    assert chart is not None
    events = [
        Event(0.0, EventKind.TRACE_ON, ""),
        Event(chart.to_seconds / 2, EventKind.GC, ""),
        Event(chart.to_seconds, EventKind.TRACE_OFF, ""),
        Event(1.0, EventKind.WARNING, ""),
        Event(9999.0, EventKind.SNAPSHOT, ""),
    ]
    row = charts.markers(chart, events, 60)
    assert len(row) == 60
    assert row[chart.left] == "t"
    assert row[chart.left + chart.columns // 2] == "g"
    assert row[-1] == "T"
    assert "s" not in row
    assert charts.markers(chart, [Event(chart.to_seconds + 0.4, EventKind.SNAPSHOT, "")], 60)[-1] == "s"


def test_a_peak_survives_thinning() -> None:
    flat = [Sample(float(second), 100 * MIB) for second in range(900)]
    flat[451] = Sample(451.0, 500 * MIB)
    chart = charts.draw(flat, 60, 12)
    assert chart is not None
    assert chart.lines[0].startswith("512.0 MiB")
