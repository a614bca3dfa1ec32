"""The chart of RSS as plain text: numbers in, lines out. The only module that knows plotext; it imports it late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memtui.model.sample import Sample
from memtui.model.state import Event, EventKind
from memtui.model.units import format_bytes, format_seconds

MARKER_LETTERS = {EventKind.GC: "g", EventKind.SNAPSHOT: "s", EventKind.TRACE_ON: "t", EventKind.TRACE_OFF: "T"}
LEGEND = "g gc  s snapshot  t trace on  T trace off"
JUST_AFTER_SECONDS = 5.0
MIN_WIDTH, MIN_HEIGHT = 24, 5
_LABEL_WIDTH = 9
_TIME_STEPS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 21600.0, 86400.0)


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines of a chart, the column where its plot begins, how wide that is, and the session time it covers."""

    lines: tuple[str, ...]
    left: int
    columns: int
    from_seconds: float
    to_seconds: float

    def column(self, at_seconds: float) -> int | None:
        """The column of the whole line that stands for a session time; None outside the chart.

        What happened just after the last look belongs to the last column.
        """
        span = self.to_seconds - self.from_seconds
        if span <= 0 or not self.from_seconds <= at_seconds <= self.to_seconds + JUST_AFTER_SECONDS:
            return None
        return self.left + min(self.columns - 1, int((at_seconds - self.from_seconds) / span * self.columns))


def draw(samples: Sequence[Sample], width: int, height: int, *, ascii_only: bool = False) -> Chart | None:
    """The chart of RSS over session time; None when there is too little room or too little to show."""
    if width < MIN_WIDTH or height < MIN_HEIGHT or len(samples) < 2:
        return None
    import plotext

    start, end = samples[0].at_seconds, samples[-1].at_seconds
    times, sizes = _thin(samples, 2 * width)
    ticks = _size_ticks(sizes)
    plotext.clear_figure()
    plotext.limit_size(False, False)
    plotext.theme("clear")
    plotext.plotsize(width, height)
    plotext.xaxes(True, False)
    plotext.yaxes(True, False)
    plotext.plot(times, sizes, marker="*" if ascii_only else "hd")
    plotext.xlim(start, end)
    plotext.ylim(ticks[0], ticks[-1])
    plotext.yticks(ticks, [format_bytes(tick).rjust(_LABEL_WIDTH) for tick in ticks])
    marks = _time_marks(start, end, (width - _LABEL_WIDTH) // 12)
    plotext.xticks(marks, [format_seconds(mark) if mark >= 1 else "0 s" for mark in marks])
    text = plotext.uncolorize(plotext.build())
    return _measured([row.rstrip() for row in text.splitlines()], width, start, end)


def markers(chart: Chart, events: Sequence[Event], width: int) -> str:
    """The row under the chart with a letter for each gc, snapshot and switch of tracing."""
    row = [" "] * width
    for event in events:
        letter = MARKER_LETTERS.get(event.kind)
        column = chart.column(event.at_seconds) if letter else None
        if letter and column is not None and column < width:
            row[column] = letter
    return "".join(row)


def _measured(rows: list[str], width: int, start: float, end: float) -> Chart:
    left = next((row.index("└") + 1 for row in rows if "└" in row), 0)
    return Chart(tuple(rows), left, max(1, width - left), start, end)


def _size_ticks(sizes: Sequence[float]) -> list[float]:
    """A scale that changes seldom: whole steps around the values, at most four of them."""
    low, high = min(sizes), max(sizes)
    step = 512.0 * 1024
    while high // step - low // step + 1 > 4:
        step *= 2
    first, last = int(low // step), int(high // step) + 1
    return [number * step for number in range(first, last + 1)]


def _time_marks(start: float, end: float, most: int) -> list[float]:
    """Round session times between the two ends, at most ``most`` of them."""
    steps = [one for one in _TIME_STEPS if (end - start) / one <= max(2, most)]
    step = steps[0] if steps else _TIME_STEPS[-1]
    first = int(-(-start // step))
    return [number * step for number in range(first, int(end // step) + 1)]


def _thin(samples: Sequence[Sample], points: int) -> tuple[list[float], list[float]]:
    """At most ``points`` looks, of each stretch the highest: what plotext draws costs by the point."""
    stride = max(1, -(-len(samples) // points))
    kept = [
        max(samples[index : index + stride], key=lambda one: one.rss_bytes)
        for index in range(0, len(samples), stride)
    ]
    return [one.at_seconds for one in kept], [float(one.rss_bytes) for one in kept]
