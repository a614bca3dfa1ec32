"""The event log and the output of the workload."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import chop_cells

from memtui.model.state import OUTPUT_BOUND, Event, EventKind, Output
from memtui.tui.presenters.line import Line, Span, fit, line, width_of
from memtui.tui.presenters.text import clean, wrap

_MARKS = {
    EventKind.GC: ("g", "strong"),
    EventKind.SNAPSHOT: ("s", "strong"),
    EventKind.TRACE_ON: ("t", "strong"),
    EventKind.TRACE_OFF: ("T", "strong"),
    EventKind.ALERT: ("a", "warn"),
    EventKind.CRITICAL: ("A", "bad"),
    EventKind.WARNING: ("!", "warn"),
    EventKind.ERROR: ("!", "bad"),
    EventKind.ENDED: ("x", "warn"),
}
"""The letters are those under the chart."""
_WORDS = {EventKind.WARNING: "warning: ", EventKind.ERROR: "error: "}
_COLOURED = {*_WORDS, EventKind.ALERT, EventKind.CRITICAL}
"""Kinds whose text has the colour of their mark."""


def clock(seconds: float) -> str:
    """Session time as minutes and seconds, with hours when there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"


def event_lines(events: Sequence[Event], width: int, height: int) -> tuple[Line, ...]:
    """The last events, the newest at the bottom; a long one goes on in the next row."""
    lines = [one for event in events[-height:] for one in _event(event, width)] if height > 0 else []
    return tuple(fit(one, width) for one in lines[-height:])


def output_lines(output: Output | None, width: int, last: int = OUTPUT_BOUND) -> tuple[Line, ...]:
    """The ``last`` lines that the workload wrote, broken at ``width`` cells into at least as many rows."""
    if output is None:
        return (line(Span("memtui did not start this process, so its output goes where it always went.", "dim")),)
    if not output.lines:
        return (line(Span("Nothing written so far.", "dim")),)
    return tuple(
        line(piece) for text in output.lines[-last:] for piece in chop_cells(clean(text), max(1, width)) or [""]
    )


def _event(one: Event, width: int) -> list[Line]:
    mark, role = _MARKS.get(one.kind, (" ", ""))
    head = line(Span(f" {clock(one.at_seconds)} ", "dim"), Span(f" {mark}  ", role))
    first, *more = wrap(_WORDS.get(one.kind, "") + clean(one.text), max(10, width - width_of(head))) or [""]
    rows = [(*head, Span(first, role if one.kind in _COLOURED else ""))]
    if more:
        rows.append(line(" " * width_of(head), " ".join(more)))
    return rows
