"""Objects that only the collector frees, because they refer to each other in a circle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memtui.agent.cycles import NotNow, check
from memtui.agent.pauses import Held
from memtui.model.allocation import TypeCount


@dataclass(frozen=True, slots=True)
class ReferenceCycles:
    """What waited for the collector: garbage that is in circles, or hangs on one. Iterating gives the circles.

    ``cycles``: some circles, each a tuple of steps such as ``Parent.child``, ``Child.parent``, through the most
    frequent types. ``types``: all of the garbage, most objects first, with shallow sizes. ``complete``: False when
    only a part was looked at, because C code kept the GIL for seconds.
    """

    cycles: tuple[tuple[str, ...], ...]
    objects: int
    size_bytes: int
    types: tuple[TypeCount, ...]
    seconds: float
    complete: bool

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self.cycles)

    def __len__(self) -> int:
        return len(self.cycles)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "cycles": [list(one) for one in self.cycles],
            "objects": self.objects,
            "size_bytes": self.size_bytes,
            "types": [{"type": one.type, "count": one.count, "size_bytes": one.size_bytes} for one in self.types],
            "seconds": self.seconds,
            "complete": self.complete,
        }


def reference_cycles(limit: int) -> ReferenceCycles:
    """One checked collection, as the agent makes it; what it finds is freed on the way."""
    try:
        told = check(Held(), limit)
    except NotNow as error:
        raise RuntimeError(str(error)) from error
    return ReferenceCycles(
        cycles=tuple(tuple(one) for one in told["cycles"]),
        objects=told["objects"],
        size_bytes=told["bytes"],
        types=tuple(TypeCount(name, count, size) for name, count, size in told["types"]),
        seconds=told["seconds"],
        complete=told["complete"],
    )
