"""What a front end may ask of a session. Requests walk back along this one path."""

from __future__ import annotations

from dataclasses import dataclass

from memtui.model.allocation import GroupBy
from memtui.model.cleanup import CleanupLevel
from memtui.model.native import NATIVE_SECONDS


@dataclass(frozen=True, slots=True)
class ClimbToAgent:
    """Put the agent into the target (no effect when it is there)."""


@dataclass(frozen=True, slots=True)
class StartTracing:
    """Start tracemalloc with ``frames`` frames a trace; climbs to the agent first."""

    frames: int = 1


@dataclass(frozen=True, slots=True)
class StopTracing:
    """Stop tracemalloc, unless the program had it on before memtui came."""


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Take a heap picture, with the traced allocations when tracing is on.

    Where none can be taken, types are counted: by the agent when it is in, else by scanning from outside. When the
    process would stand still for longer than usual, the session asks first, unless ``accept_stop``. ``compare``:
    afterwards all pictures of the session are compared.
    """

    accept_stop: bool = False
    compare: bool = True


@dataclass(frozen=True, slots=True)
class CheckForLeaks:
    """Take a few heap pictures over ``seconds`` and compare them."""

    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class CollectGarbage:
    """Run a full collection in the target; climbs to the agent first."""


@dataclass(frozen=True, slots=True)
class StartNative:
    """Have memray record native allocations in the target for ``seconds``; climbs to the agent first.

    The session asks first, unless ``accepted``. ``keep``: memray's file stays, in the current directory.
    """

    seconds: float = NATIVE_SECONDS
    accepted: bool = False
    keep: bool = True


@dataclass(frozen=True, slots=True)
class StopNative:
    """End a native recording before its time; what was recorded is read."""


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Free memory in the target: its hooks, a full collection, a trim; climbs to the agent first.

    The session does not count cooldowns: whoever asks does.
    """

    level: CleanupLevel = "critical"


@dataclass(frozen=True, slots=True)
class CheckCycles:
    """Run a checked collection: what is garbage, by type, and in which cycles; climbs to the agent first.

    Finalizers of the garbage run, and then it is freed, as in any collection. When the process would stand still for
    longer than usual, the session asks first, unless ``accept_stop``.
    """

    accept_stop: bool = False


@dataclass(frozen=True, slots=True)
class GroupAllocations:
    """Group the live allocation table otherwise."""

    by: GroupBy


@dataclass(frozen=True, slots=True)
class SendInput:
    """Type a line to the workload (only when it was started with ``--stdin``)."""

    text: str


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Record the session into the file ``path``."""

    path: str


@dataclass(frozen=True, slots=True)
class StopRecording:
    """End the recording."""


@dataclass(frozen=True, slots=True)
class Play:
    """Let a recording run, or hold it still. At its end it begins again."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetSpeed:
    """Play so many seconds of a recording in a second."""

    speed: float


@dataclass(frozen=True, slots=True)
class SeekTo:
    """Go to a moment of a recording, in session time; to its begin or end when that lies outside."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SeekBy:
    """Go so many seconds on in a recording; back when they are negative."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SeekEvent:
    """Go to the next event of a recording, or to the one before."""

    forward: bool


PlaybackCommand = Play | SetSpeed | SeekTo | SeekBy | SeekEvent
"""What only a session that plays a recording does."""

Command = (
    ClimbToAgent
    | StartTracing
    | StopTracing
    | TakeSnapshot
    | CheckForLeaks
    | CollectGarbage
    | StartNative
    | StopNative
    | Cleanup
    | CheckCycles
    | GroupAllocations
    | SendInput
    | StartRecording
    | StopRecording
    | PlaybackCommand
)
