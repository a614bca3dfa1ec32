"""Allocation records as a profile for speedscope, for a memray that does not write one itself.

The format: https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources, "sampled" profiles, whose stacks
are lists of frame numbers from the outermost to the innermost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memray import AllocationRecord

_SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope_profile(records: Iterable[AllocationRecord], name: str, native: bool) -> dict[str, Any]:
    """The profile as plain values; ``native``: with native frames between Python's."""
    numbers: dict[tuple[str, str, int], int] = {}
    sums: dict[tuple[int, ...], list[int]] = {}
    for record in records:
        places = record.hybrid_stack_trace() if native else record.stack_trace()
        stack = tuple(numbers.setdefault(place, len(numbers)) for place in reversed(places))
        if stack:
            row = sums.setdefault(stack, [0, 0])
            row[0] += record.size
            row[1] += record.n_allocations
    frames = [{"name": function, "file": file, "line": line} for function, file, line in numbers]
    return {
        "$schema": _SCHEMA,
        "shared": {"frames": [{key: value for key, value in one.items() if value} for one in frames]},
        "profiles": [_profile("Memory", "bytes", sums, 0), _profile("Allocations", "none", sums, 1)],
        "name": name,
        "activeProfileIndex": 0,
        "exporter": "memtui",
    }


def _profile(name: str, unit: str, sums: dict[tuple[int, ...], list[int]], column: int) -> dict[str, Any]:
    rows = [(list(stack), row[column]) for stack, row in sums.items() if row[column] > 0]
    return {
        "type": "sampled",
        "name": name,
        "unit": unit,
        "startValue": 0,
        "endValue": sum(weight for _, weight in rows),
        "samples": [stack for stack, _ in rows],
        "weights": [weight for _, weight in rows],
    }
