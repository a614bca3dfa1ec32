"""What tracing takes in the process by itself: it must not be taken for a leak of the program."""

from __future__ import annotations

from collections.abc import Sequence

from memtui.analysis.predict import OVERHEAD_BYTES_PER_TRACE
from memtui.model.state import State
from memtui.model.suspect import Suspect

READING_BYTES_PER_TRACE = 186
"""For a moment, at each reading of the traces (a list of tuples); allocators keep the room."""


def tracing_bytes(state: State) -> int:
    """What tracemalloc and reading it take at most; 0 when tracing is off or nothing is known."""
    tracing = state.tracing
    if tracing is None or not tracing.on or not tracing.overhead_bytes:
        return 0
    return round(tracing.overhead_bytes * (1 + READING_BYTES_PER_TRACE / OVERHEAD_BYTES_PER_TRACE))


def without_own(suspects: Sequence[Suspect], state: State) -> tuple[Suspect, ...]:
    """The suspects; not those of memory that is no object, where tracing explains all of their growth."""
    own = tracing_bytes(state)
    return tuple(one for one in suspects if one.kind == "python" or _grown(one) > own)


def _grown(one: Suspect) -> float:
    return (one.growth_bytes_per_second or 0.0) * one.seconds
