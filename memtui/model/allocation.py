"""What tracemalloc knows, and heap snapshots made of it and of type counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from memtui.model.heap import PictureFacts


class GroupBy(str, Enum):
    """How allocations are grouped."""

    LINE = "line"
    FILE = "file"
    TRACEBACK = "traceback"


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in source code."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """Live traced memory of one group. ``frames``: newest first; one frame when grouped by line or file (line 0)."""

    frames: tuple[Frame, ...]
    size_bytes: int
    count: int
    source: str | None = None

    @property
    def place(self) -> Frame:
        """The newest frame: where the allocation was made."""
        return self.frames[0]


@dataclass(frozen=True, slots=True)
class Allocations:
    """The largest groups of one look at tracemalloc. Covers only memory allocated since tracing began."""

    by: GroupBy
    rows: tuple[Allocation, ...]
    at_seconds: float
    total_bytes: int
    total_count: int
    groups: int
    """How many groups there were; ``rows`` may hold fewer."""
    took_seconds: float


@dataclass(frozen=True, slots=True)
class Tracing:
    """tracemalloc in the target. ``since_seconds``: session time at which tracing was seen to begin."""

    on: bool = False
    frames: int = 1
    since_seconds: float | None = None
    found_on: bool = False
    """True when the program had switched it on itself: memtui leaves it on."""
    traced_bytes: int | None = None
    peak_bytes: int | None = None
    overhead_bytes: int | None = None
    """Memory tracemalloc itself uses in the target."""
    slowdown_percent: float | None = None
    """Extra CPU the target used per second with tracing on, against before; None when it was not measurable."""


@dataclass(frozen=True, slots=True)
class TypeCount:
    """Instances of one type: among the objects the collector tracks, or, in a heap picture, among all there are.

    ``size_bytes``: what they take by themselves; None where nobody measured it.
    """

    type: str
    count: int
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What `s` kept: a heap picture (all objects), or else type counts of the gc-tracked objects only.

    ``allocations`` covers only memory traced since ``t``.
    """

    number: int
    at_seconds: float
    taken_at: float
    rss_bytes: int
    traced_bytes: int | None
    types: tuple[TypeCount, ...]
    objects: int
    allocations: Allocations | None
    tracebacks: Allocations | None
    took_seconds: float
    scanned: bool = False
    """True when it was taken by scanning the process from outside, without the agent: type counts only."""
    picture: PictureFacts | None = None
    """The heap picture, whose file is there as long as the snapshot; None where there are type counts only."""
