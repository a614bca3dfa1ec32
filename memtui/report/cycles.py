"""A checked collection as a part of report.json, and as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from memtui.analysis.diagnosis.cycles import advice, findings
from memtui.model.cycles import CycleCheck, GarbageType
from memtui.model.state import State


def cycles(state: State) -> dict[str, Any] | None:
    """``cycles`` of the report; None when there was no checked collection."""
    check = state.cycles
    if check is None:
        return None
    return {
        "at_seconds": check.at_seconds,
        "objects": check.objects,
        "size_bytes": check.size_bytes,
        "types": _types(check.types),
        "type_count": check.type_count,
        "complete": check.is_complete,
        "sampled": check.is_sampled,
        "paths": [list(steps) for steps in check.cycles],
        "garbage": {"count": check.kept_objects, "types": _types(check.kept)},
        "not_freed": _types(check.not_freed),
        "freed": check.was_freed,
        "debug_flags": check.debug_flags,
        "gc_enabled": check.gc_enabled,
        "frozen": check.frozen_objects,
        "uncollectable": check.uncollectable,
        "pause_seconds": check.pause_seconds,
        "seconds": check.took_seconds,
        "advice": advice(check),
    }


def cycles_as_text(check: CycleCheck) -> Iterator[str]:
    """Its lines for people."""
    yield from findings(check)
    if told := advice(check):
        yield f"→ {told}"


def _types(types: tuple[GarbageType, ...]) -> list[dict[str, Any]]:
    return [{"type": one.type, "count": one.objects, "size_bytes": one.size_bytes} for one in types]
