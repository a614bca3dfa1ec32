"""What changed between two heap snapshots, by line, by file or by type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memtui.analysis.compare import merge, smallest_listed_bytes, smallest_listed_count
from memtui.model.allocation import Allocation, Allocations, Frame, GroupBy, Snapshot
from memtui.model.units import format_bytes, format_seconds

DiffBy = Literal["line", "file", "type"]

TYPES_COVER = "Counts the objects that the collector tracks: no strings, bytes or numbers, and no sizes."
TRACED_COVER = "Covers memory allocated since tracing began, as far as it is still alive."


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One line, file or type. Sizes are None for types, whose sizes a snapshot does not know."""

    label: str
    size_diff_bytes: int | None
    count_diff: int
    size_bytes: int | None
    count: int
    source: str | None


@dataclass(frozen=True, slots=True)
class Diff:
    """Rows by absolute change, largest first. ``note``: what they cover, or why there are none."""

    by: DiffBy
    rows: tuple[DiffRow, ...]
    note: str


def diff_snapshots(a: Snapshot, b: Snapshot, by: DiffBy) -> Diff:
    """What ``b`` has more (or, negative, less) than ``a``. Rows that did not change are left out."""
    return _diff_types(a, b) if by == "type" else _diff_places(a, b, by)


def _diff_types(a: Snapshot, b: Snapshot) -> Diff:
    if (a.picture is None) != (b.picture is None):
        one, other = (a.number, b.number) if a.picture is not None else (b.number, a.number)
        why = f"Snapshot {one} counts all objects, snapshot {other} only those that the collector tracks"
        return Diff("type", (), f"{why}: they cannot be compared by type.")
    before = {one.type: one.count for one in a.types}
    after = {one.type: one.count for one in b.types}
    if not before or not after:
        number = b.number if before else a.number
        return Diff("type", (), f"Snapshot {number} holds no type counts.")
    rows = [
        DiffRow(name, None, count - before.get(name, 0), None, count, None)
        for name, count in ((name, after.get(name, 0)) for name in before.keys() | after.keys())
        if count != before.get(name, 0)
    ]
    rows.sort(key=lambda row: (-abs(row.count_diff), row.label))
    floor = max(smallest_listed_count(a), smallest_listed_count(b))
    notes = [_heading(a, b, bool(rows)), TYPES_COVER]
    if floor:
        notes.append(f"Types with fewer than {floor} instances may not have been listed and then count as 0.")
    return Diff("type", tuple(rows), " ".join(notes))


def _diff_places(a: Snapshot, b: Snapshot, by: DiffBy) -> Diff:
    before, after = _places(a, by), _places(b, by)
    if before is None or after is None:
        return Diff(by, (), _why_no_places(a, b, by))
    rows = []
    for place in before.keys() | after.keys():
        old, new = before.get(place), after.get(place)
        row = _place_row(place, old, new)
        if row.size_diff_bytes or row.count_diff:
            rows.append(row)
    rows.sort(key=lambda row: (-abs(row.size_diff_bytes or 0), -abs(row.count_diff), row.label))
    floor = max(smallest_listed_bytes(one) for one in (_traced(a), _traced(b)) if one)
    notes = [_heading(a, b, bool(rows)), TRACED_COVER]
    if floor:
        notes.append(f"Groups below {format_bytes(floor)} may not have been listed and then count as 0.")
    return Diff(by, tuple(rows), " ".join(notes))


def _place_row(place: Frame, old: Allocation | None, new: Allocation | None) -> DiffRow:
    old_size, old_count = (old.size_bytes, old.count) if old else (0, 0)
    size, count = (new.size_bytes, new.count) if new else (0, 0)
    source = next((row.source for row in (new, old) if row and row.source), None)
    label = f"{place.file}:{place.line}" if place.line else place.file
    return DiffRow(label, size - old_size, count - old_count, size, count, source)


def _places(snapshot: Snapshot, by: DiffBy) -> dict[Frame, Allocation] | None:
    """Groups by line or by file; None when the snapshot cannot tell."""
    traced = _traced(snapshot)
    if traced is None or (by == "line" and traced.by is GroupBy.FILE):
        return None
    return merge(traced.rows, [Frame(row.place.file, row.place.line if by == "line" else 0) for row in traced.rows])


def _traced(snapshot: Snapshot) -> Allocations | None:
    """The traced groups that tell most about places: any that know lines before those that know files only."""
    lists = [one for one in (snapshot.allocations, snapshot.tracebacks) if one is not None]
    return next((one for one in lists if one.by is not GroupBy.FILE), lists[0] if lists else None)


def _why_no_places(a: Snapshot, b: Snapshot, by: DiffBy) -> str:
    empty = [one for one in (a, b) if _traced(one) is None]
    if not empty:
        return f"One of the snapshots is grouped by file only, so there is no diff by {by}."
    where = " and ".join(str(one.number) for one in empty)
    plural = "snapshots" if len(empty) > 1 else "snapshot"
    if all(one.traced_bytes is None for one in empty):
        return f"Tracing was off in {plural} {where}: press t, then take two snapshots."
    return f"No traced allocations were kept in {plural} {where}: take two snapshots while tracing is on."


def _heading(a: Snapshot, b: Snapshot, changed: bool) -> str:
    apart = f"{format_seconds(abs(b.at_seconds - a.at_seconds))} apart"
    nothing = "" if changed else "Nothing changed: "
    return f"{nothing}{'S' if changed else 's'}napshots {a.number} and {b.number}, {apart}."
