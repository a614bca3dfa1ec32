"""How long the target will stand still for what the user is about to ask.

The constants are medians measured on heaps of one and five million objects; they are meant for a warning, not for
a promise.
"""

from __future__ import annotations

from memtui.model.gc import GcState
from memtui.model.state import State
from memtui.model.units import format_bytes

COLLECTION_SECONDS_PER_OBJECT = 500e-9
LISTING_SECONDS_PER_OBJECT = 65e-9
"""``gc.get_objects``, in one stretch that holds the GIL."""
SECONDS_PER_TRACE = 0.42e-6
"""Reading the live traces of tracemalloc, in one stretch that holds the GIL."""
OVERHEAD_BYTES_PER_TRACE = 59
OLDEST_GENERATION = 2
TRACING_SLOWDOWN = (2, 13)
"""CPU time with tracemalloc and one frame over that without: of ten workloads on 3.11, the least and the most."""


def collection_pause_seconds(state: State) -> float | None:
    """Seconds a full collection would stop the target; None when nothing is known of its objects.

    When the agent timed a full collection, that time and the objects that are new since then; otherwise a figure
    for each known object.
    """
    if state.gc is None:
        return None
    new_seconds = _new_objects(state.gc) * COLLECTION_SECONDS_PER_OBJECT
    pauses = state.pauses
    if pauses is not None and pauses.last_generation == OLDEST_GENERATION and pauses.last_seconds is not None:
        return pauses.last_seconds + new_seconds
    if state.gc.objects is None:
        return None
    return state.gc.objects * COLLECTION_SECONDS_PER_OBJECT + new_seconds


def snapshot_pause_seconds(state: State) -> float | None:
    """Seconds a snapshot would hold the target's GIL at most; None when the size of its heap is not known."""
    if state.gc is None or state.gc.objects is None:
        return None
    seconds = (state.gc.objects + _new_objects(state.gc)) * LISTING_SECONDS_PER_OBJECT
    tracing = state.tracing
    if tracing is None or not tracing.on:
        return seconds
    if tracing.overhead_bytes is None:
        return None
    return seconds + tracing.overhead_bytes / OVERHEAD_BYTES_PER_TRACE * SECONDS_PER_TRACE


def tracing_cost(state: State, growth_objects_per_second: float | None) -> str:
    """What tracing would cost the target, in words: the share of a core it uses now, times what benchmarks lost.

    It cannot be measured without switching it on; afterwards :attr:`Tracing.slowdown_percent` says what it did cost.
    """
    least, most = TRACING_SLOWDOWN
    told = f"benchmarks ran {least} to {most} times slower"
    if state.cpu_share is not None:
        told = (
            f"the process uses {_share(state.cpu_share)} of a core now, and {told}: expect "
            f"{_share(least * state.cpu_share)} to {_share(most * state.cpu_share)}"
        )
    if growth_objects_per_second is not None and growth_objects_per_second > 0:
        memory = format_bytes(round(60 * growth_objects_per_second * OVERHEAD_BYTES_PER_TRACE))
        told += f", and {memory} a minute for the traces of what grows"
    return told


def _share(share: float) -> str:
    """Of a core, as a person says it; no process gets more from one thread."""
    if share < 0.001:
        return "less than 0.1 %"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}" if share < 1.0 else "a whole core"


def _new_objects(gc: GcState) -> int:
    """Allocations less deallocations since the youngest generation was last collected."""
    return max(0, gc.generations[0].count) if gc.generations else 0
