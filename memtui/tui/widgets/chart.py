"""The chart of RSS, drawn anew only now and then."""

from __future__ import annotations

from memtui.model.state import State
from memtui.tui import charts
from memtui.tui.presenters.line import EMPTY, Line, Span, line
from memtui.tui.widgets.lines import Lines

REDRAW_SECONDS = 5.0
"""Session time between two drawings of the same size."""


class RssChart(Lines):
    """RSS over the session with a row of marks for what was done."""

    DEFAULT_CSS = "RssChart { height: 1fr; }"
    _drawn: tuple[float, int, int, int] | None = None

    def show_state(self, state: State) -> None:
        """Draw ``state`` if the picture is old, has another size, or something was marked."""
        width, height = self.size
        samples = state.series.samples
        if not self.display or not width or not samples:
            return
        marked = sum(1 for event in state.events if event.kind in charts.MARKER_LETTERS)
        now = samples[-1].at_seconds
        if self._drawn is not None:
            at, *same = self._drawn
            if same == [width, height, marked] and 0 <= now - at < REDRAW_SECONDS and len(self.lines) > 1:
                return
        self._drawn = (now, width, height, marked)
        self.show(self._lines_of(state, width, height))

    def _lines_of(self, state: State, width: int, height: int) -> list[Line]:
        ascii_only = self.app.has_class("-ascii")
        chart = charts.draw(state.series.samples, width, height - 2, ascii_only=ascii_only)
        if chart is None:
            return [line(Span("the chart begins with the second look", "dim"))] if height > 3 else []
        *body, axis, times = [_row(text, chart.left) for text in chart.lines]
        marks = line(Span(charts.markers(chart, state.events, width), "strong"))
        legend = line(" " * chart.left, Span(charts.LEGEND[: width - chart.left], "dim"))
        return [*body, axis, times, marks, legend]


def _row(text: str, left: int) -> Line:
    if not text.strip():
        return EMPTY
    is_plot = text[left - 1 : left] in "┤│"
    return line(Span(text[:left], "dim"), Span(text[left:], "accent" if is_plot else "dim"))
