"""The table of top allocations: which rows, in which order, and how they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from memtui.analysis.compare import UNKNOWN, Change, changes
from memtui.model.allocation import Allocation, Frame, GroupBy, Tracing
from memtui.model.state import State
from memtui.model.target import Rung
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.tui.presenters.line import Line, Span, fit, join_fitting, line, spread, width_of
from memtui.tui.presenters.text import clean, cut_end, pad, short_path, wrap

Sort = Literal["size", "change", "count", "place"]
SORTS: tuple[Sort, ...] = ("size", "change", "count", "place")
GROUPS = (GroupBy.LINE, GroupBy.FILE, GroupBy.TRACEBACK)
_SIZE, _CHANGE, _COUNT = 10, 11, 10
_NUMBERS = _SIZE + _CHANGE + _COUNT + 5


@dataclass(frozen=True, slots=True)
class TableView:
    """How the user wants to see the table."""

    sort: Sort = "size"
    filter: str = ""

    def next_sort(self) -> TableView:
        """The same view in the next order."""
        return replace(self, sort=SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)])


@dataclass(frozen=True, slots=True)
class TableRow:
    """One group: its frames say which, ``line`` how it reads."""

    frames: tuple[Frame, ...]
    line: Line


def title(state: State, view: TableView, width: int, shown: tuple[int, int, int] | None = None) -> Line:
    """What the table covers, and how it is sorted and filtered."""
    found = state.allocations
    tracing = state.tracing
    name = line(" ", Span(f"allocations by {state.group_by.value}", "title"))
    if tracing is None or not tracing.on or found is None:
        return fit((*name, Span(f"  {_off_word(state)}", "dim")), width)
    order = [Span("sort ", "dim"), Span(view.sort)]
    if view.filter:
        order += [Span("  filter ", "dim"), Span(f"“{cut_end(clean(view.filter), 16)}”", "warn")]
    if shown and shown[2]:
        order.append(Span(f"  {shown[0]}–{shown[1]} of {shown[2]}", "dim"))
    right = line(*order, " ")
    parts = [name, line(f"{format_bytes(found.total_bytes)} alive"), *_covers(state, tracing, width)]
    return spread(join_fitting(parts, width - width_of(right) - 2), right, width)


def _covers(state: State, tracing: Tracing, width: int) -> list[Line]:
    parts = []
    if tracing.since_seconds is not None:
        ago = format_seconds(max(0.0, state.now_seconds - tracing.since_seconds))
        parts.append(f"traced since {ago} ago" if width >= 100 else f"traced {ago}")
    parts.append("1 frame" if tracing.frames == 1 else f"{tracing.frames} frames")
    if tracing.slowdown_percent is not None:
        parts.append(f"costs {tracing.slowdown_percent:+.0f} % CPU")
    if tracing.overhead_bytes is not None:
        parts.append(f"{format_bytes(tracing.overhead_bytes)} for traces")
    return [line(Span(part, "dim")) for part in parts]


def header(state: State, width: int) -> Line:
    """Names of the columns."""
    place, source = _flexible(width)
    texts = [pad("size", _SIZE, "right"), pad("change", _CHANGE, "right"), pad("blocks", _COUNT, "right")]
    where = {GroupBy.FILE: "file", GroupBy.LINE: "line", GroupBy.TRACEBACK: "newest frame"}[state.group_by]
    return line(Span(" ".join(texts) + "  " + pad(where, place) + ("  source" if source else ""), "dim"))


def rows(state: State, view: TableView, width: int) -> tuple[TableRow, ...]:
    """The rows that pass the filter, in the order wanted."""
    found = state.allocations
    if found is None:
        return ()
    known = known_changes(state)
    wanted = view.filter.casefold()
    picked = [(row, known.get(row.frames, UNKNOWN)) for row in found.rows if _matches(row, wanted)]
    picked.sort(key=_order(view.sort))
    return tuple(TableRow(row.frames, _row(row, change, width)) for row, change in picked)


def known_changes(state: State) -> dict[tuple[Frame, ...], Change]:
    """Changes against the baseline; none while the table is older than the baseline."""
    now, baseline = state.allocations, state.baseline
    if now is None or baseline is None or now.at_seconds < baseline.at_seconds:
        return {}
    return changes(now, baseline)


def empty(state: State, view: TableView, width: int) -> tuple[Line, ...]:
    """What stands in the place of rows when there are none."""
    if state.allocations is not None and state.tracing is not None and state.tracing.on:
        text = (
            f"No allocation matches “{clean(view.filter)}”; esc clears the filter." if view.filter else "Nothing yet."
        )
        return _paragraph(text, width)
    if state.ending:
        return _paragraph("Tracing was off when the process ended.", width)
    if state.tracing is not None and state.tracing.on:
        return _paragraph("Tracing has begun; the first look comes with the next tick.", width)
    agent = "" if state.rung in (Rung.AGENT, Rung.TRACER) else " This puts the agent into the process first."
    return (
        *_paragraph("Tracing is off. t starts tracemalloc in the process: from then on this table shows which lines"
                    " allocated the memory that is still alive." + agent, width),
        *_paragraph("Cost: code that allocates much runs 2 to 13 times slower, and each live block"
                    " needs some 60 bytes more. The real cost is measured and shown here; t again stops it.", width),
    )  # fmt: skip


def place_text(row: Allocation) -> str:
    """``file:line`` of a group, or its file alone."""
    return f"{clean(row.place.file)}:{row.place.line}" if row.place.line else clean(row.place.file)


def change_span(change: Change) -> Span:
    """The change in bytes with its sign; a dash when unknown, blank when nothing changed."""
    size = change.size_diff_bytes
    if size is None:
        return Span(pad("–", _CHANGE, "right"), "dim")
    if size == 0:
        return Span(pad("0 B", _CHANGE, "right"), "dim")
    return Span(pad(format_bytes(size, sign=True), _CHANGE, "right"), "grow" if size > 0 else "shrink")


def _row(row: Allocation, change: Change, width: int) -> Line:
    place_width, source_width = _flexible(width)
    place = place_text(row)
    more = f" +{len(row.frames) - 1}" if len(row.frames) > 1 else ""
    place = short_path(place, place_width - len(more)) + more
    source = f"  {cut_end(clean(row.source or '').strip(), source_width)}" if source_width else ""
    return line(
        pad(format_bytes(row.size_bytes), _SIZE, "right") + " ",
        change_span(change),
        " " + pad(format_count(row.count), _COUNT, "right") + "  " + pad(place, place_width),
        Span(source, "dim"),
    )


def _flexible(width: int) -> tuple[int, int]:
    """Cells for the place and for the source line; no source in a narrow table."""
    room = max(8, width - _NUMBERS)
    if room < 48:
        return room, 0
    place = min(48, room * 2 // 5)
    return place, room - place - 2


def _order(sort: Sort) -> Callable[[tuple[Allocation, Change]], Any]:
    if sort == "size":
        return lambda pair: (-pair[0].size_bytes, place_text(pair[0]))
    if sort == "change":
        return lambda pair: (pair[1].size_diff_bytes is None, -abs(pair[1].size_diff_bytes or 0), place_text(pair[0]))
    if sort == "count":
        return lambda pair: (-pair[0].count, place_text(pair[0]))
    return lambda pair: (pair[0].place.file, pair[0].place.line)


def _matches(row: Allocation, wanted: str) -> bool:
    if not wanted:
        return True
    texts = [f"{frame.file}:{frame.line}" for frame in row.frames] + [row.source or ""]
    return any(wanted in text.casefold() for text in texts)


def _off_word(state: State) -> str:
    return "tracing is off" if state.tracing is None or not state.tracing.on else "waiting for the first look"


def _paragraph(text: str, width: int) -> tuple[Line, ...]:
    return ((), *(line(" ", Span(part, "dim")) for part in wrap(text, max(10, width - 3))))
