"""One allocation in full: every frame, its source line, its figures."""

from __future__ import annotations

from memtui.analysis.compare import UNKNOWN, Change
from memtui.model.allocation import Allocation, Frame
from memtui.model.state import State
from memtui.model.units import format_bytes, format_count
from memtui.tui.presenters.allocations import known_changes
from memtui.tui.presenters.line import Line, Span, line
from memtui.tui.presenters.text import clean, wrap


def find(state: State, frames: tuple[Frame, ...]) -> Allocation | None:
    """The group with these frames in the State, if it is still listed."""
    listed = state.allocations.rows if state.allocations else ()
    return next((row for row in listed if row.frames == frames), None)


def detail_lines(state: State, row: Allocation, width: int) -> tuple[Line, ...]:
    """Figures, source and frames, the newest first."""
    change = known_changes(state).get(row.frames, UNKNOWN)
    lines = [_now(row), _change(change), ()]
    if row.source:
        lines += [line(Span("source", "dim")), line("  ", Span(clean(row.source).strip(), "strong")), ()]
    lines.append(line(Span("newest frame first" if len(row.frames) > 1 else "allocated at", "dim")))
    for frame in row.frames:
        place = f"{clean(frame.file)}:{frame.line}" if frame.line else clean(frame.file)
        lines += [line("  ", part) for part in wrap(place, width - 2)]
    if len(row.frames) == 1:
        lines += [(), *(line(Span(part, "dim")) for part in wrap(_more_frames(row), width))]
    return tuple(lines)


def _now(row: Allocation) -> Line:
    average = format_bytes(row.size_bytes / row.count) if row.count else "–"
    return line(
        Span(format_bytes(row.size_bytes), "strong"),
        Span(" in ", "dim"),
        format_count(row.count),
        Span(" blocks, ", "dim"),
        average,
        Span(" each", "dim"),
    )


def _change(change: Change) -> Line:
    if change.size_diff_bytes is None:
        return line(Span("change not known: there is no look before that lists it", "dim"))
    return line(
        format_bytes(change.size_diff_bytes, sign=True),
        Span(" and ", "dim"),
        format_count(change.count_diff, sign=True),
        Span(" blocks against the baseline", "dim"),
    )


def _more_frames(row: Allocation) -> str:
    if not row.place.line:
        return "Grouped by file. b groups by line or by traceback."
    return "b groups by traceback, which shows the callers when tracing keeps more than one frame."
