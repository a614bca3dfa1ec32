"""What tracemalloc and type counts tell of growth: lines and types, without a holder or a category."""

from __future__ import annotations

import hashlib
from typing import Any

from memtui.analysis.growth import LineGrowth, TypeGrowth, line_growth, type_growth
from memtui.model.state import State
from memtui.model.units import format_bytes, format_count, format_seconds

MIN_LINE_BYTES = 32 * 1024
MIN_TYPE_OBJECTS = 100
"""Smaller growth is everyday life of a running program."""
_UNKNOWN = {
    "share": None,
    "lasting": None,
    "bounded": None,
    "seconds_until_full": None,
    "expected": False,
    "offer": None,
}
"""What only heap pictures tell."""


def traced_suspects(state: State) -> list[dict[str, Any]]:
    """Lines that grew since the baseline, then types that grew since the first snapshot; each the fastest first."""
    lines = [one for one in line_growth(state) if one.size_diff_bytes >= MIN_LINE_BYTES]
    types = [one for one in type_growth(state) if one.count_diff >= MIN_TYPE_OBJECTS]
    return [_line(state, one) for one in lines] + [_type(state, one) for one in types]


def _line(state: State, line: LineGrowth) -> dict[str, Any]:
    place = f"{line.place.file}:{line.place.line}" if line.place.line else line.place.file
    change = f"{format_bytes(line.size_diff_bytes, sign=True)} in {format_count(line.count_diff, sign=True)} blocks"
    seconds = _seconds_since_baseline(state)
    return {
        "kind": "python",
        "type": None,
        "category": "unknown",
        "growth_objects_per_second": round(line.count_diff / seconds, 3) if seconds else None,
        "growth_bytes_per_second": _rounded(line.bytes_per_second),
        "retained_bytes": None,
        "allocated_at": [
            {
                "file": line.place.file,
                "line": line.place.line or None,
                "function": None,
                "size_bytes": line.size_bytes,
                "count": line.count,
            }
        ],
        "holder": None,
        "evidence": [f"Traced memory allocated at {place}: {change} within {format_seconds(seconds)}."],
        "advice": "See who keeps what this line allocates: a cache without a bound or a list that is never emptied?",
        "signature": _signature("line", place),
        **_UNKNOWN,
    }


def _type(state: State, growth: TypeGrowth) -> dict[str, Any]:
    first, last = state.snapshots[0], state.snapshots[-1]
    numbers = f"snapshots {first.number} and {last.number}"
    seconds = format_seconds(last.at_seconds - first.at_seconds)
    return {
        "kind": "python",
        "type": growth.type,
        "category": "unknown",
        "growth_objects_per_second": _rounded(growth.objects_per_second),
        "growth_bytes_per_second": None,
        "retained_bytes": None,
        "allocated_at": [],
        "holder": None,
        "evidence": [
            f"{format_count(growth.count_diff, sign=True)} instances between {numbers}, {seconds} apart "
            f"(now {format_count(growth.count)})."
        ],
        "advice": "Force a collection (g) and take another snapshot: what still grows is held by something.",
        "signature": _signature("type", growth.type),
        **_UNKNOWN,
    }


def _seconds_since_baseline(state: State) -> float | None:
    if state.allocations is None or state.baseline is None:
        return None
    return state.allocations.at_seconds - state.baseline.at_seconds


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _signature(kind: str, name: str) -> str:
    """The same for the same line or type in every run."""
    return hashlib.sha256(f"{kind}:{name}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
