"""The parts of the report that come from inside the target: allocations, types, snapshots."""

from __future__ import annotations

from typing import Any

from memtui.analysis.compare import UNKNOWN, changes
from memtui.analysis.growth import type_changes
from memtui.model.allocation import Allocation, Allocations
from memtui.model.state import State
from memtui.report.times import iso

ROW_BOUND = 500


def allocations(state: State) -> list[dict[str, Any]]:
    """The largest traced groups and their change since the baseline; of the last snapshot when none are live."""
    shown = state.allocations or _last_snapshot_allocations(state)
    if shown is None:
        return []
    known = changes(state.allocations, state.baseline)
    rows = []
    for row in shown.rows[:ROW_BOUND]:
        change = known.get(row.frames, UNKNOWN)
        rows.append(
            {
                "file": row.place.file,
                "line": row.place.line or None,
                "function": None,
                "size_bytes": row.size_bytes,
                "count": row.count,
                "size_diff_bytes": change.size_diff_bytes,
                "count_diff": change.count_diff,
                "source": row.source,
                "traceback": _traceback(row),
            }
        )
    return rows


def types(state: State) -> list[dict[str, Any]]:
    """Type counts of the last snapshot; growth per second when an earlier snapshot tells it."""
    if not state.snapshots:
        return []
    last = state.snapshots[-1]
    rates = {one.type: one.objects_per_second for one in type_changes(state)}
    return [
        {
            "type": one.type,
            "count": one.count,
            "size_bytes": one.size_bytes,
            "growth_per_second": rates.get(one.type),
        }
        for one in last.types[:ROW_BOUND]
    ]


def snapshots(state: State) -> list[dict[str, Any]]:
    """Every snapshot that is kept, oldest first."""
    return [
        {
            "number": one.number,
            "at_seconds": round(one.at_seconds, 3),
            "taken_at": iso(one.taken_at),
            "rss_bytes": one.rss_bytes,
            "traced_bytes": one.traced_bytes,
            "objects": one.objects,
        }
        for one in state.snapshots
    ]


def _last_snapshot_allocations(state: State) -> Allocations | None:
    return state.snapshots[-1].allocations if state.snapshots else None


def _traceback(row: Allocation) -> list[dict[str, Any]] | None:
    if len(row.frames) < 2:
        return None
    return [{"file": frame.file, "line": frame.line} for frame in row.frames]
