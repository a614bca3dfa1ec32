"""What grows, and how fast: resident memory, lines of code, types."""

from __future__ import annotations

from dataclasses import dataclass

from memtui.analysis.compare import changed_rows, smallest_listed_count
from memtui.analysis.rss_trend import Growth, Verdict, rss_growth
from memtui.model.allocation import Frame
from memtui.model.state import State

__all__ = [
    "Growth",
    "LineGrowth",
    "TypeGrowth",
    "Verdict",
    "line_growth",
    "rss_growth",
    "type_changes",
    "type_growth",
]

MIN_RATE_SECONDS = 1.0
"""Over less time than this no rate is given."""


@dataclass(frozen=True, slots=True)
class LineGrowth:
    """A place whose traced memory is larger than at the baseline. ``place.line`` is 0 when grouped by file."""

    place: Frame
    size_diff_bytes: int
    count_diff: int
    bytes_per_second: float | None
    size_bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class TypeGrowth:
    """The change of the instances of one type (that the collector tracks) since the first snapshot."""

    type: str
    count_diff: int
    objects_per_second: float | None
    count: int


def line_growth(state: State, limit: int = 5) -> tuple[LineGrowth, ...]:
    """Places that grew since the baseline, by bytes, largest first; empty without two comparable looks."""
    now, baseline = state.allocations, state.baseline
    if now is None or baseline is None:
        return ()
    seconds = now.at_seconds - baseline.at_seconds
    totals: dict[Frame, tuple[int, int, int, int]] = {}
    for row, change in changed_rows(now, baseline):
        if change.size_diff_bytes is None or change.count_diff is None:
            continue
        size_diff, count_diff, size, count = totals.get(row.place, (0, 0, 0, 0))
        totals[row.place] = (
            size_diff + change.size_diff_bytes,
            count_diff + change.count_diff,
            size + row.size_bytes,
            count + row.count,
        )
    growers = [(place, total) for place, total in totals.items() if total[0] > 0]
    growers.sort(key=lambda one: (-one[1][0], one[0].file, one[0].line))
    return tuple(
        LineGrowth(place, size_diff, count_diff, _rate(size_diff, seconds), size, count)
        for place, (size_diff, count_diff, size, count) in growers[:limit]
    )


def type_growth(state: State, limit: int = 5) -> tuple[TypeGrowth, ...]:
    """Types with more instances in the last snapshot than in the first, most first; empty below two snapshots."""
    growers = [one for one in type_changes(state) if one.count_diff > 0]
    growers.sort(key=lambda growth: (-growth.count_diff, growth.type))
    return tuple(growers[:limit])


def type_changes(state: State) -> tuple[TypeGrowth, ...]:
    """The types of the last snapshot against the first of its kind, also those that became fewer.

    Heap pictures count all objects, other snapshots only those that the collector tracks. A type that was too
    rare to be listed in the first snapshot is left out, unless it now exceeds the rarest that was: then it has grown
    by at least the difference.
    """
    alike = [one for one in state.snapshots if (one.picture is None) == (state.snapshots[-1].picture is None)]
    if len(alike) < 2:
        return ()
    first, last = alike[0], alike[-1]
    before = {one.type: one.count for one in first.types}
    seconds = last.at_seconds - first.at_seconds
    floor = smallest_listed_count(first)
    differences = ((one, one.count - before.get(one.type, floor)) for one in last.types)
    return tuple(
        TypeGrowth(one.type, difference, _rate(difference, seconds), one.count)
        for one, difference in differences
        if one.type in before or floor == 0 or difference > 0
    )


def _rate(difference: int, seconds: float) -> float | None:
    return difference / seconds if seconds >= MIN_RATE_SECONDS else None
