"""The one picture every front end shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from memtui.model.alert import Alert
from memtui.model.allocation import Allocations, GroupBy, Snapshot, Tracing
from memtui.model.cleanup import CleanupOutcome
from memtui.model.command import Command
from memtui.model.cycles import CycleCheck
from memtui.model.evidence import Evidence
from memtui.model.gc import GcPauses, GcState
from memtui.model.native import NativeProgress, NativeResult
from memtui.model.sample import Cost, Series
from memtui.model.target import Ending, ProcessFacts, Rung, Target

EVENT_BOUND = 200
ALERT_BOUND = 200
SNAPSHOT_BOUND = 20
PICTURE_BOUND = 8
"""Heap pictures that are kept: each is a file of some ten bytes an object."""
CLEANUP_BOUND = 20
OUTPUT_BOUND = 1000
LINE_BOUND = 2000
"""Characters that are kept of a line of output."""


class EventKind(str, Enum):
    """What an event in the log is about. GC, SNAPSHOT, TRACE_ON and TRACE_OFF are also marked on the chart."""

    INFO = "info"
    GC = "gc"
    SNAPSHOT = "snapshot"
    TRACE_ON = "trace-on"
    TRACE_OFF = "trace-off"
    ALERT = "alert"
    """A threshold was crossed or is kept again, or nobody could be told."""
    CRITICAL = "critical"
    """A critical threshold was crossed."""
    WARNING = "warning"
    ERROR = "error"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the event log."""

    at_seconds: float
    kind: EventKind
    text: str


@dataclass(frozen=True, slots=True)
class Output:
    """The tail of what the workload wrote to stdout and stderr. ``total_lines`` counts all of them."""

    lines: tuple[str, ...] = ()
    total_lines: int = 0


@dataclass(frozen=True, slots=True)
class Picturing:
    """A heap picture in the making: what is being done, and how far the whole is (0 to 1)."""

    step: str
    fraction: float


@dataclass(frozen=True, slots=True)
class Question:
    """What the session wants to be told before it goes on: ``command`` is to be requested when the answer is yes.

    ``number`` counts up, so that each is asked once.
    """

    number: int
    text: str
    command: Command


@dataclass(frozen=True, slots=True)
class Recording:
    """The file that the session is recorded into, since this session time."""

    path: str
    since_seconds: float


@dataclass(frozen=True, slots=True)
class Playback:
    """Where the playing of a recording is. All times are those of the session that was recorded.

    ``speed``: seconds of it in a second. ``marks``: when something was logged.
    """

    path: str
    begin_seconds: float
    end_seconds: float
    at_seconds: float
    playing: bool
    speed: float
    marks: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """Everything memtui knows at one tick. Immutable and bounded.

    ``note`` says why the next rung is not reached (empty when it can be climbed). ``busy`` names requests under way,
    in words (``"taking a snapshot"``).
    """

    target: Target
    started_at: float
    """Wall clock of the start of the observation, seconds since the epoch."""
    now_seconds: float = 0.0
    """Session time of this tick."""
    rung: Rung = Rung.PROCESS
    note: str = ""
    entry_cost: str = ""
    """What the way in that was chosen does to the process; empty for the usual one."""
    series: Series = field(default_factory=Series)
    gc: GcState | None = None
    first_gc: GcState | None = None
    """The collector at the first look."""
    pauses: GcPauses | None = None
    tracing: Tracing | None = None
    """None: no agent, so nothing is known about tracemalloc."""
    group_by: GroupBy = GroupBy.LINE
    allocations: Allocations | None = None
    baseline: Allocations | None = None
    """What ``allocations`` is compared with: the last snapshot's, or the first look after tracing began."""
    snapshots: tuple[Snapshot, ...] = ()
    events: tuple[Event, ...] = ()
    alerts: tuple[Alert, ...] = ()
    """Thresholds that were crossed, the newest last; those without an end stand."""
    cleanups: tuple[CleanupOutcome, ...] = ()
    """Clean-ups that memtui made in the target, the newest last."""
    output: Output | None = None
    """None when memtui did not start the target."""
    cost: Cost = field(default_factory=Cost)
    busy: tuple[str, ...] = ()
    threads: int | None = None
    cpu_share: float | None = None
    """Of a core, that the target used over the last half minute; None before two looks."""
    memory_limit_bytes: int | None = None
    """The smallest cgroup limit over the target, if any."""
    ending: Ending | None = None
    processes: tuple[ProcessFacts, ...] = ()
    """The target and its descendants, looked at every few seconds; bounded."""
    picturing: Picturing | None = None
    evidence: Evidence | None = None
    """What grew over the heap pictures; None before there are two."""
    native_progress: NativeProgress | None = None
    """A native recording under way."""
    native: NativeResult | None = None
    """The last native recording that was read."""
    cycles: CycleCheck | None = None
    """The last checked collection."""
    question: Question | None = None
    """The last question; it stays after it was answered."""
    recording: Recording | None = field(default=None, compare=False)
    """Concerns who looks, not the process: States that differ in this only are equal."""
    playback: Playback | None = field(default=None, compare=False)
    """None: this is no recording that is played. As ``recording``, no part of what States are compared by."""
