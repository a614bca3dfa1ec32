"""What changed between two lists of groups, of which each may hold the largest groups only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memtui.model.allocation import Allocation, Allocations, Frame, Snapshot

Frames = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one group; None when the group was too small to be listed before, so nobody knows.

    A group that was not listed before, and is larger now than the smallest one that was, has grown by at least
    the difference: that lower bound is given.
    """

    size_diff_bytes: int | None
    count_diff: int | None


UNKNOWN = Change(None, None)


def changes(now: Allocations | None, baseline: Allocations | None) -> dict[Frames, Change]:
    """The change of each group of ``now`` against ``baseline``; empty when there is nothing comparable."""
    return {row.frames: change for row, change in changed_rows(now, baseline)}


def changed_rows(now: Allocations | None, baseline: Allocations | None) -> list[tuple[Allocation, Change]]:
    """Each group of ``now``, in its order, with its change; empty when there is nothing comparable."""
    if now is None or baseline is None or now.by != baseline.by:
        return []
    before = {row.frames: row for row in baseline.rows}
    floor_bytes = smallest_listed_bytes(baseline)
    return [(row, _change(row, before.get(row.frames), floor_bytes)) for row in now.rows]


def smallest_listed_bytes(allocations: Allocations) -> int:
    """Size of the smallest group in the list when it was cut; 0 when the list is complete."""
    if len(allocations.rows) >= allocations.groups:
        return 0
    return min((row.size_bytes for row in allocations.rows), default=0)


def smallest_listed_count(snapshot: Snapshot) -> int:
    """Instances of the rarest type in the list when it was cut; 0 when every type is listed."""
    counts = [one.count for one in snapshot.types]
    least = min(counts, default=0)
    return 0 if least == 1 or sum(counts) >= snapshot.objects else least


def merge(rows: Sequence[Allocation], places: Sequence[Frame]) -> dict[Frame, Allocation]:
    """Rows summed up by the place given for each of them (its line, or its file with line 0)."""
    merged: dict[Frame, Allocation] = {}
    for row, place in zip(rows, places, strict=True):
        known = merged.get(place)
        size, count = (known.size_bytes, known.count) if known else (0, 0)
        source = row.source if place.line else None
        merged[place] = Allocation((place,), size + row.size_bytes, count + row.count, source)
    return merged


def _change(row: Allocation, before: Allocation | None, floor_bytes: int) -> Change:
    if before is not None:
        return Change(row.size_bytes - before.size_bytes, row.count - before.count)
    if floor_bytes == 0:
        return Change(row.size_bytes, row.count)
    grown = row.size_bytes - floor_bytes
    if grown <= 0:
        return UNKNOWN
    return Change(grown, row.count * grown // row.size_bytes)
