"""The rows of the diff screen, whichever kind of difference they come from, sorted and filtered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

from memtui.analysis.diff import Diff
from memtui.model.allocation import Snapshot
from memtui.model.heap import HeapDiff, HeapDiffBy, HeapDiffRow
from memtui.model.units import format_bytes, format_count
from memtui.tui.presenters import snapshots
from memtui.tui.presenters.line import Line, Span, line
from memtui.tui.presenters.text import clean, cut_middle, pad, short_path

By = Literal["holder", "type", "line", "traceback", "file"]
SORTS = ("growth", "objects", "name")
_SIZE, _COUNT = 11, 10
_COLUMNS: dict[HeapDiffBy, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "holder": (("retained",), ("elements", "objects")),
    "type": (("retained", "size"), ("objects", "now")),
    "line": (("size",), ("blocks", "now")),
    "traceback": (("size",), ("blocks", "now")),
}
"""Names of the columns with sizes, and of those with counts."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One row: how it reads, and what sorting, filtering and opening it need."""

    label: str
    line: Line
    count: int
    source: HeapDiffRow | None = None


def groupings(first: Snapshot, second: Snapshot) -> tuple[By, ...]:
    """How two snapshots can be compared, the most telling way first. Quick pictures know of no holders."""
    traced = first.allocations is not None and second.allocations is not None
    if first.picture is not None and second.picture is not None:
        quick = first.picture.quick or second.picture.quick
        ways: tuple[By, ...] = ("type", "line", "traceback") if quick else ("holder", "type", "line", "traceback")
        return (*ways, "file") if traced else ways
    outside = any(one.scanned or one.picture is not None for one in (first, second))
    return ("type", "line", "file") if outside and not traced else ("line", "file", "type")


def asks_pictures(first: Snapshot, second: Snapshot, by: By) -> HeapDiffBy | None:
    """The grouping to ask two pictures for; None where the snapshots themselves know more (source lines, files)."""
    if first.picture is None or second.picture is None or by == "file":
        return None
    traced = first.allocations is not None and second.allocations is not None
    return None if by == "line" and traced else by


def heap_header(by: HeapDiffBy, width: int) -> Line:
    """Names of the columns of a difference of pictures."""
    sizes, counts = _COLUMNS[by]
    cells = [*(pad(name, _SIZE, "right") for name in sizes), *(pad(name, _COUNT, "right") for name in counts)]
    return line(Span(f"{''.join(cells)}  {by}", "dim"))


def heap_lines(diff: HeapDiff, width: int) -> list[DiffLine]:
    """The rows of a difference of pictures."""
    return [DiffLine(row.label, _heap_line(row, diff.by, width), row.count_change, row) for row in diff.rows]


def snapshot_lines(diff: Diff, width: int) -> list[DiffLine]:
    """The rows of a difference of type counts or traced lines."""
    return [DiffLine(row.label, snapshots.diff_row(row, diff.by, width), row.count_diff) for row in diff.rows]


def arrange(rows: Sequence[DiffLine], sort: str, wanted: str) -> list[DiffLine]:
    """Those that contain ``wanted``, in the order asked for; by growth is the order they came in."""
    found = [row for row in rows if wanted.casefold() in row.label.casefold()]
    if sort == "objects":
        found.sort(key=lambda row: (-row.count, row.label))
    elif sort == "name":
        found.sort(key=lambda row: row.label)
    return found


def frames_of(label: str) -> list[str]:
    """The places of a traceback's label, the newest first."""
    return [part.strip() for part in label.split(" ← ") if part.strip()]


def _heap_line(row: HeapDiffRow, by: HeapDiffBy, width: int) -> Line:
    sizes, counts = _figures(row, by)
    room = max(8, width - _SIZE * len(sizes) - _COUNT * len(counts) - 2)
    new = " new" if row.new else ""
    kind = f" {clean(row.type)}" if by == "holder" and row.type else ""
    short = short_path if by in ("line", "traceback") else cut_middle
    shown = short(clean(row.label), max(8, room - len(new) - min(cell_len(kind), room // 4)))
    lead = next((size for size in sizes if size), 0)
    return line(
        Span("".join(pad(format_bytes(size, sign=True), _SIZE, "right") for size in sizes), _role(lead)),
        "".join(pad(format_count(count, sign=signed), _COUNT, "right") for count, signed in counts),
        f"  {shown}",
        Span(cut_middle(kind, max(0, room - len(new) - cell_len(shown))), "dim"),
        Span(new, "warn"),
    )


def _figures(row: HeapDiffRow, by: HeapDiffBy) -> tuple[list[int | None], list[tuple[int | None, bool]]]:
    """Sizes, and counts each with whether it has a sign; as many as there are columns."""
    size, count, retained = row.size_change_bytes, (row.count_change, True), _retained(row)
    if by == "holder":
        return [size if retained is None else retained], [(_elements(row), True), count]
    if by == "type":
        return [retained, size], [count, (row.count_after, False)]
    return [size], [count, (row.count_after, False)]


def _role(size: int) -> str:
    return "grow" if size > 0 else "shrink" if size < 0 else "dim"


def _retained(row: HeapDiffRow) -> int | None:
    if row.retained_after_bytes is None:
        return None
    if row.retained_before_bytes is None:
        return row.retained_after_bytes if row.new else None
    return row.retained_after_bytes - row.retained_before_bytes


def _elements(row: HeapDiffRow) -> int | None:
    return None if row.elements_after is None else row.elements_after - (row.elements_before or 0)
