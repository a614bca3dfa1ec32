"""The memory of this process at one moment."""

from __future__ import annotations

import gc
import os
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memtui.agent.heap import count_types, type_name, types_of_objects
from memtui.agent.pace import TooBusy
from memtui.agent.pauses import Held
from memtui.agent.tracing import Tracing
from memtui.api.locks import TRACING
from memtui.api.process import OwnProcess, collector_state
from memtui.model.allocation import Allocation, Frame, TypeCount
from memtui.model.gc import GcState
from memtui.model.units import format_bytes, format_count
from memtui.paths import PACKAGE

MOST_TYPES = 3000
OWN_FILES = ("<memtui-agent", str(PACKAGE) + os.sep)
_OWN_TYPES = "memtui."


@dataclass(frozen=True, slots=True)
class ObjectGrowth:
    """How many more (or, negative, fewer) objects of one type there are."""

    type: str
    before: int
    after: int
    per_second: float | None = None

    @property
    def change(self) -> int:
        """``after`` less ``before``."""
        return self.after - self.before

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "type": self.type,
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "per_second": self.per_second,
        }


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """What a process held. None: not known, never 0.

    ``type_counts`` counts the objects that the collector tracks: no strings, bytes or numbers, and no containers of
    nothing but those. ``allocations`` are the largest lines of code by live memory, while tracemalloc is on, and
    cover what was allocated since it is. ``taken_at`` is in seconds since the epoch.
    """

    label: str | None
    taken_at: float
    at_seconds: float
    """On a clock that only goes forwards."""
    rss_bytes: int
    uss_bytes: int | None
    pss_bytes: int | None
    swap_bytes: int | None
    objects: int | None
    gc: GcState
    allocated_blocks: int
    traced_bytes: int | None = None
    traced_peak_bytes: int | None = None
    type_counts: Mapping[str, int] = field(default_factory=dict)
    allocations: tuple[Allocation, ...] = ()
    took_seconds: float = 0.0

    def __str__(self) -> str:
        objects = "" if self.objects is None else f", {format_count(self.objects)} objects"
        return f"{self.label or 'snapshot'}: RSS {format_bytes(self.rss_bytes)}{objects}"

    @staticmethod
    def take(label: str | None = None, *, types: bool = True, collect: bool = False, top: int = 25) -> MemorySnapshot:
        """Look at this process now. Raises MemtuiError where /proc may not be read.

        ``types=False`` does not count objects, which takes 0.2 s for each million; ``collect`` runs a full
        collection before; ``top`` lines of code are kept while tracemalloc is on.

        >>> snapshot = MemorySnapshot.take("before")
        >>> snapshot.label, snapshot.rss_bytes > 1_000_000, snapshot.type_counts["dict"] > 0
        ('before', True, True)
        """
        return take(label, types=types, collect=collect, top=top)

    def top_types(self, limit: int = 10) -> tuple[TypeCount, ...]:
        """The types with most objects."""
        rows = sorted(self.type_counts.items(), key=lambda one: (-one[1], one[0]))
        return tuple(TypeCount(name, count) for name, count in rows[:limit])

    def growth_since(self, earlier: MemorySnapshot) -> tuple[ObjectGrowth, ...]:
        """The types whose counts changed since ``earlier``, those with most new objects first."""
        return growth_between(earlier.type_counts, self.type_counts, self.at_seconds - earlier.at_seconds)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "label": self.label,
            "taken_at": self.taken_at,
            "rss_bytes": self.rss_bytes,
            "uss_bytes": self.uss_bytes,
            "pss_bytes": self.pss_bytes,
            "swap_bytes": self.swap_bytes,
            "objects": self.objects,
            "gc": {"enabled": self.gc.enabled, "counts": [one.count for one in self.gc.generations]},
            "allocated_blocks": self.allocated_blocks,
            "traced_bytes": self.traced_bytes,
            "traced_peak_bytes": self.traced_peak_bytes,
            "types": [{"type": one.type, "count": one.count} for one in self.top_types(50)],
            "allocations": [allocation_as_dict(one) for one in self.allocations],
            "took_seconds": self.took_seconds,
        }


def take(label: str | None = None, *, types: bool = True, collect: bool = False, top: int = 25) -> MemorySnapshot:
    """A snapshot, see :meth:`MemorySnapshot.take`."""
    began = time.monotonic()
    if collect:
        gc.collect()
    counts, objects = count_objects() if types else ({}, None)
    seen = OwnProcess().look(time.monotonic())
    tracing = tracemalloc.is_tracing()
    traced, peak = tracemalloc.get_traced_memory() if tracing else (None, None)
    return MemorySnapshot(
        label=label,
        taken_at=time.time(),
        at_seconds=seen.at_seconds,
        rss_bytes=seen.rss_bytes,
        uss_bytes=seen.uss_bytes,
        pss_bytes=seen.pss_bytes,
        swap_bytes=seen.swap_bytes,
        objects=objects,
        gc=collector_state(),
        allocated_blocks=sys.getallocatedblocks(),
        traced_bytes=traced,
        traced_peak_bytes=peak,
        type_counts=counts,
        allocations=top_allocations(top) if tracing and top else (),
        took_seconds=time.monotonic() - began,
    )


def count_objects() -> tuple[dict[str, int], int]:
    """The objects that the collector tracks by type (the most frequent types), and their number in all."""
    try:
        answer = count_types(*types_of_objects(), MOST_TYPES)
    except TooBusy:
        answer = {"types": _count_at_once(), "objects": len(gc.get_objects())}
    counts = {
        name.removeprefix("builtins."): count for name, count in answer["types"] if not name.startswith(_OWN_TYPES)
    }
    return counts, answer["objects"]


def _count_at_once() -> list[tuple[str, int]]:
    """Where C code keeps the GIL for seconds, all is counted the next time that this thread has it."""
    kinds = list(map(type, gc.get_objects()))
    known = {id(kind): kind for kind in kinds}  # not by the type itself: a metaclass may have a hash of its own
    names: Counter[str] = Counter()
    for key, count in Counter(map(id, kinds)).items():
        names[type_name(known[key])] += count
    return names.most_common(MOST_TYPES)


def top_allocations(limit: int) -> tuple[Allocation, ...]:
    """The lines that hold most traced memory, without memtui's own.

    Empty while tracemalloc is off, and where C code keeps the GIL for seconds.
    """
    if not tracemalloc.is_tracing():
        return ()
    try:
        with TRACING:
            tracing = Tracing(Held(), OWN_FILES)
        table = tracing.allocations("line", limit)
    except TooBusy:
        return ()
    files = table["files"]
    return tuple(
        Allocation(tuple(Frame(files[index], line) for index, line in frames), size, count)
        for size, count, frames in table["groups"]
    )


def allocation_as_dict(one: Allocation) -> dict[str, Any]:
    """For JSON."""
    return {"file": one.place.file, "line": one.place.line, "size_bytes": one.size_bytes, "count": one.count}


def growth_between(before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> tuple[ObjectGrowth, ...]:
    """What changed from one count of types to another, ``seconds`` later; most new objects first."""
    rows = [
        ObjectGrowth(name, before.get(name, 0), after.get(name, 0), _rate(name, before, after, seconds))
        for name in before.keys() | after.keys()
        if before.get(name, 0) != after.get(name, 0)
    ]
    return tuple(sorted(rows, key=lambda one: (-one.change, one.type)))


def _rate(name: str, before: Mapping[str, int], after: Mapping[str, int], seconds: float) -> float | None:
    return (after.get(name, 0) - before.get(name, 0)) / seconds if seconds > 0 else None
