"""What happens to a session; each is folded into the State by :mod:`memtui.session.reducer`."""

from __future__ import annotations

from dataclasses import dataclass

from memtui.model.alert import Alert
from memtui.model.allocation import Allocations, GroupBy, Snapshot, Tracing
from memtui.model.cleanup import CleanupOutcome
from memtui.model.command import Command
from memtui.model.cycles import CycleCheck
from memtui.model.evidence import Evidence
from memtui.model.gc import GcPauses, GcState
from memtui.model.heap import PictureToll
from memtui.model.native import NativeProgress, NativeResult
from memtui.model.sample import Sample
from memtui.model.state import EventKind, Picturing, Recording
from memtui.model.target import Ending, ProcessFacts, Rung, Target


@dataclass(frozen=True, slots=True)
class Looked:
    """One look from outside."""

    sample: Sample
    gc: GcState | None
    threads: int | None
    tool_cpu_seconds: float
    cpu_share: float | None = None
    """Of a core, that the target used of late."""


@dataclass(frozen=True, slots=True)
class TargetChanged:
    """Another process or program is watched now (exec; the Python below a launched command was found)."""

    target: Target
    memory_limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class FamilySeen:
    """The target and its descendants."""

    processes: tuple[ProcessFacts, ...]


@dataclass(frozen=True, slots=True)
class Climbed:
    """The rung changed; ``note`` says why the next one is not reached."""

    rung: Rung
    note: str = ""


@dataclass(frozen=True, slots=True)
class AgentReported:
    """The agent's regular report."""

    pauses: GcPauses
    tracing: Tracing
    cpu_seconds: float
    longest_pause_seconds: float
    held_bytes: int | None


@dataclass(frozen=True, slots=True)
class Paused:
    """memtui stopped a thread of the target for so long (the attach)."""

    seconds: float


@dataclass(frozen=True, slots=True)
class PicturePaid:
    """What a heap picture cost the target."""

    toll: PictureToll


@dataclass(frozen=True, slots=True)
class ToolPaid:
    """What memtui itself has cost until the end of the session."""

    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class AllocationsSeen:
    """A look at the traced allocations."""

    allocations: Allocations


@dataclass(frozen=True, slots=True)
class BaselineSet:
    """What the allocations are compared with from now on."""

    baseline: Allocations | None


@dataclass(frozen=True, slots=True)
class Grouped:
    """Allocations are grouped otherwise from now on."""

    by: GroupBy


@dataclass(frozen=True, slots=True)
class SnapshotTaken:
    """A snapshot is complete."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class SnapshotDropped:
    """A snapshot is kept no longer, and its picture is gone."""

    number: int


@dataclass(frozen=True, slots=True)
class PictureProgressed:
    """A heap picture is that far; None: there is none in the making any more."""

    progress: Picturing | None


@dataclass(frozen=True, slots=True)
class NativeProgressed:
    """A native recording is that far; None: there is none under way any more."""

    progress: NativeProgress | None


@dataclass(frozen=True, slots=True)
class NativeRecorded:
    """A native recording was read."""

    result: NativeResult


@dataclass(frozen=True, slots=True)
class Asked:
    """The session wants to know before it carries out ``command``."""

    text: str
    command: Command


@dataclass(frozen=True, slots=True)
class OutputArrived:
    """The workload wrote lines. ``continues``: the first one continues the last line shown.

    ``dropped``: so many lines came before them and are not kept.
    """

    lines: tuple[str, ...]
    continues: bool
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Busy:
    """Requests under way, in words."""

    what: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """A line for the event log."""

    kind: EventKind
    text: str


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """The pictures were compared."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class CleanedUp:
    """Memory was freed in the target, or what could be was tried."""

    outcome: CleanupOutcome


@dataclass(frozen=True, slots=True)
class AlertRaised:
    """A threshold was crossed."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class AlertOver:
    """The threshold of an alert is kept again; ``alert`` is the one that was raised, with its end."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class CyclesChecked:
    """A checked collection is over."""

    check: CycleCheck


@dataclass(frozen=True, slots=True)
class Ended:
    """The target is gone."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class RecordingChanged:
    """A recording began, or ended (None). The only message that no recording holds."""

    recording: Recording | None


Message = (
    Looked
    | TargetChanged
    | FamilySeen
    | Climbed
    | AgentReported
    | Paused
    | PicturePaid
    | ToolPaid
    | AllocationsSeen
    | BaselineSet
    | Grouped
    | SnapshotTaken
    | SnapshotDropped
    | PictureProgressed
    | EvidenceFound
    | NativeProgressed
    | NativeRecorded
    | CyclesChecked
    | Asked
    | OutputArrived
    | Busy
    | Noted
    | CleanedUp
    | AlertRaised
    | AlertOver
    | RecordingChanged
    | Ended
)
