"""What changed between pictures: by type, by holder, by line and traceback; and what was born and is still alive."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from memtui.errors import UsageError
from memtui.heap.graph.forest import group_sums
from memtui.heap.growth import Growth
from memtui.heap.matching import moved, same_paths
from memtui.heap.picture import IntColumn
from memtui.heap.shelf import Shelf
from memtui.model.heap import HeapDiff, HeapDiffBy, HeapDiffRow

_BY_TYPE = "Objects of each type, and what they keep alive."
_BY_HOLDER = (
    "Holders that keep more than before: containers that grew, and paths on which more objects hang. "
    "No object is called new because of its address."
)
_BORN = "Objects by holder path and type: as many as are more than in A both in B and in C."
_NOTHING = (0, 0, 0)
_TRACED = "Memory allocated since tracing began, as far as it was still alive."
_NOT_TRACED = "No lines: tracemalloc was not on in {which}. Take pictures while tracing: memtui attach --trace PID."


def compare(before: Shelf, after: Shelf, by: HeapDiffBy, limit: int) -> HeapDiff:
    """What ``after`` has more than ``before``, most growth first. Raises :class:`UsageError`: no such grouping."""
    if by == "type":
        rows, note = _by_type(before, after), _BY_TYPE
    elif by == "holder":
        rows, note = Growth(before, after).rows(limit), _BY_HOLDER
    elif by in ("line", "traceback"):
        rows, note = _by_place(before, after, by)
    else:
        raise UsageError(f"Pictures cannot be compared by {by}.", next_step="Say type, holder, line or traceback.")
    if before.facts.pid != after.facts.pid:
        note += " The two pictures are of different processes."
    return HeapDiff(by, tuple(rows[:limit]), seconds_between(before, after), note)


def born_and_alive(a: Shelf, b: Shelf, c: Shelf, limit: int) -> HeapDiff:
    """What was born between A and B and is still alive in C, by holder path and type.

    As many objects as B and C both have more than A. Sizes are C's, in proportion.
    """
    count = len(c.paths.tree.parents)
    from_a, from_b = same_paths(a, c), same_paths(b, c)
    first = moved(a.path_sums.counts, from_a, count)
    sums = c.path_sums
    born = np.minimum(moved(b.path_sums.counts, from_b, count), sums.counts) - first
    paths = np.flatnonzero(born > 0)
    size = sums.sizes[paths] * born[paths] // sums.counts[paths]
    first_size = moved(a.path_sums.sizes, from_a, count)
    rows = [
        HeapDiffRow(
            label=c.paths.text(path),
            count_before=int(first[path]),
            count_after=int(first[path] + born[path]),
            size_before_bytes=int(first_size[path]),
            size_after_bytes=int(first_size[path]) + more,
            new=bool(first[path] == 0),
            node=int(sums.examples[path]),
            type=c.type_names[c.paths.tree.types[path]],
        )
        for path, more in _most(paths, size, limit)
    ]
    return HeapDiff("holder", tuple(rows), seconds_between(a, c), _BORN)


def seconds_between(before: Shelf, after: Shelf) -> float | None:
    """Time between two pictures; None when one does not say when it was taken."""
    try:
        first, last = (datetime.fromisoformat(one.facts.taken_at.replace("Z", "+00:00")) for one in (before, after))
        return (last - first).total_seconds()
    except (ValueError, TypeError):
        return None


def _most(rows: IntColumn, sizes: IntColumn, limit: int) -> list[tuple[int, int]]:
    order = np.argsort(-sizes, kind="stable")[:limit]
    return list(zip(rows[order].tolist(), sizes[order].tolist(), strict=True))


def _by_type(before: Shelf, after: Shelf) -> list[HeapDiffRow]:
    """All types of both pictures whose figures changed. Retained sizes are unknown when one picture is quick."""
    old, new = _type_figures(before), _type_figures(after)
    quick = before.picture.is_quick or after.picture.is_quick
    rows = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name, _NOTHING), new.get(name, _NOTHING)
        if was != now:
            row = HeapDiffRow(name, was[0], now[0], was[1], now[1], new=not was[0], type=name)
            rows.append(row if quick else replace(row, retained_before_bytes=was[2], retained_after_bytes=now[2]))
    rows.sort(key=_most_growth_first)
    return rows


def _type_figures(shelf: Shelf) -> dict[str, tuple[int, int, int]]:
    """Count, bytes and retained bytes by type; the last are 0 in a quick picture."""
    count = len(shelf.type_names)
    counts = np.bincount(shelf.named_types, minlength=count).tolist()
    sizes = group_sums(shelf.named_types, shelf.picture.nodes.sizes, count).tolist()
    retained = [0] * count if shelf.retained_by_type is None else shelf.retained_by_type.tolist()
    return {
        name: row
        for name, row in zip(shelf.type_names, zip(counts, sizes, retained, strict=True), strict=True)
        if row[0]
    }


def _most_growth_first(row: HeapDiffRow) -> tuple[int, int, str]:
    return -row.size_change_bytes, -row.count_change, row.label


def _by_place(before: Shelf, after: Shelf, by: HeapDiffBy) -> tuple[list[HeapDiffRow], str]:
    old, new = _places(before, by), _places(after, by)
    if old is None or new is None:
        which = (
            "the earlier picture" if new is not None else "the later picture" if old is not None else "both pictures"
        )
        return [], _NOT_TRACED.format(which=which)
    nothing = (0, 0)
    rows = [
        HeapDiffRow(
            place,
            old.get(place, nothing)[0],
            new.get(place, nothing)[0],
            old.get(place, nothing)[1],
            new.get(place, nothing)[1],
            new=place not in old,
        )
        for place in old.keys() | new.keys()
        if old.get(place) != new.get(place)
    ]
    rows.sort(key=_most_growth_first)
    return rows, _TRACED


def _places(shelf: Shelf, by: HeapDiffBy) -> dict[str, tuple[int, int]] | None:
    """Count and bytes by place; None when the picture knows of none. Frames are newest first."""
    groups: Any = shelf.picture.extra.get("tracebacks")
    if by == "line":
        groups = shelf.picture.extra.get("allocations") or groups
    if not groups:
        return None
    places: dict[str, tuple[int, int]] = {}
    for group in groups:
        frames = group["frames"][:1] if by == "line" else group["frames"]
        place = " ← ".join(f"{file}:{line}" for file, line in frames)
        count, size = places.get(place, (0, 0))
        places[place] = count + int(group["count"]), size + int(group["size_bytes"])
    return places
