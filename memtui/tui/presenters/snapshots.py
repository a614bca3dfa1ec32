"""The list of snapshots, and the difference of two of them."""

from __future__ import annotations

from dataclasses import replace

from memtui.analysis.diff import Diff, DiffBy, DiffRow
from memtui.model.allocation import Allocations, Snapshot
from memtui.model.state import State
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.tui.presenters.line import Line, Span, line
from memtui.tui.presenters.log import clock
from memtui.tui.presenters.text import clean, cut_end, pad, short_path, wrap

_SIZE, _COUNT = 12, 12


def list_header() -> Line:
    """Names of the columns of the list."""
    cells = [pad("", 6), pad("#", 3, "right"), pad("time", 9, "right"), pad("RSS", 11, "right")]
    return line(Span("".join([*cells, pad("traced", 12, "right"), pad("objects", 13, "right"), "   took"]), "dim"))


def list_row(snapshot: Snapshot, mark: str, name: str = "") -> Line:
    """One snapshot; ``mark`` is "from", "to" or empty, ``name`` that of its file, if it has one to be told."""
    traced = format_bytes(snapshot.traced_bytes) if snapshot.traced_bytes is not None else "–"
    return line(
        Span(pad(mark, 6), "warn" if mark else ""),
        pad(str(snapshot.number), 3, "right"),
        pad(clock(snapshot.at_seconds), 9, "right"),
        pad(format_bytes(snapshot.rss_bytes), 11, "right"),
        pad(traced, 12, "right"),
        pad(format_count(snapshot.objects), 13, "right"),
        Span(f"   {clean(name) or _how(snapshot)}", "dim"),
    )


def _how(snapshot: Snapshot) -> str:
    if snapshot.picture is None:
        return f"{format_seconds(snapshot.took_seconds)}{'  from outside' if snapshot.scanned else '  types only'}"
    return f"{format_seconds(snapshot.took_seconds)}, stop {format_seconds(snapshot.picture.stop_seconds)}"


def no_picture(state: State) -> str:
    """What stands in the place of heap pictures."""
    if state.picturing is not None:
        return f"The first heap picture is being taken: {state.picturing.step}."
    return "There is no heap picture: s takes one. Where none can be taken, the log says why."


def too_few(count: int) -> tuple[Line, ...]:
    """What to do when there are not two snapshots."""
    have = "There is no snapshot yet" if count == 0 else "There is one snapshot"
    return ((), line(" ", Span(f"{have}: s takes one. A diff needs two.", "dim")))


def diff_header(by: DiffBy, width: int) -> Line:
    """Names of the columns of the diff."""
    label, source = _flexible(by, width)
    cells = [] if by == "type" else [pad("change", _SIZE, "right")]
    cells += [pad("objects" if by == "type" else "blocks", _COUNT, "right")]
    cells += [] if by == "type" else [pad("size now", _SIZE, "right")]
    cells += [pad("now", _COUNT, "right"), "  ", pad(by, label), "  source" if source else ""]
    return line(Span("".join(cells), "dim"))


def diff_row(row: DiffRow, by: DiffBy, width: int) -> Line:
    """One line, file or type; the signs say which way it went."""
    label, source = _flexible(by, width)
    lead = row.count_diff if row.size_diff_bytes is None else row.size_diff_bytes
    role = "grow" if lead > 0 else "shrink"
    count = pad(format_count(row.count_diff, sign=True), _COUNT, "right")
    if by == "type":
        return line(
            Span(count, role), pad(format_count(row.count), _COUNT, "right"), "  ", pad(clean(row.label), label)
        )
    return line(
        Span(pad(format_bytes(row.size_diff_bytes, sign=True), _SIZE, "right"), role),
        Span(count),
        pad(format_bytes(row.size_bytes), _SIZE, "right"),
        pad(format_count(row.count), _COUNT, "right"),
        "  " + pad(short_path(clean(row.label), label), label),
        Span(f"  {cut_end(clean(row.source or '').strip(), source)}" if source else "", "dim"),
    )


def with_sources(diff: Diff, allocations: Allocations | None) -> Diff:
    """The diff with the source lines that the live table knows, where its snapshots have none."""
    rows = allocations.rows if allocations is not None and diff.by == "line" else ()
    known = {f"{row.place.file}:{row.place.line}": row.source for row in rows}
    return replace(diff, rows=tuple(replace(row, source=row.source or known.get(row.label)) for row in diff.rows))


def note_lines(note: str, width: int, height: int = 2) -> tuple[Line, ...]:
    """What the diff covers, in words."""
    return tuple(line(Span(part, "dim")) for part in wrap(clean(note), max(10, width))[:height])


def _flexible(by: DiffBy, width: int) -> tuple[int, int]:
    room = max(8, width - 2 * _COUNT - 2 - (0 if by == "type" else 2 * _SIZE))
    if by != "line" or room < 44:
        return room, 0
    label = min(48, room // 2)
    return label, room - label - 2
