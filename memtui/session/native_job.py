"""Recording native allocations without holding up the session: the job waits in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from memtui.errors import MemtuiError, WriteError
from memtui.model.native import NativeProgress, NativeReport
from memtui.native.reader import Recorded
from memtui.native.recording import NativeRecording, Outcome, check_own_memray
from memtui.native.talk import ANSWER_SECONDS
from memtui.paths import writable_directory
from memtui.session.questions import AgentQuestion, SessionTalk

_SITES = 50
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class NativeStep:
    """A recording is that far; ``recording``: memray's tracker runs in the process."""

    progress: NativeProgress
    recording: bool


@dataclass(frozen=True, slots=True)
class NativeRead:
    """A recording that is over and was read; ``not_kept``: why there is no ``file``, where there should be one."""

    report: NativeReport
    outcome: Outcome
    file: Path | None
    not_kept: str


@dataclass(frozen=True, slots=True)
class NativeOver:
    """The end of a recording in process ``pid``."""

    pid: int
    result: NativeRead | MemtuiError


class NativeJob:
    """One recording for ``seconds`` in process ``pid``, in which the session's agent is.

    ``deliver`` is called from its thread. ``keep``: a copy of memray's file stays in the current directory.
    """

    def __init__(
        self,
        pid: int,
        seconds: float,
        keep: bool,
        deliver: Callable[[NativeStep | NativeOver | AgentQuestion], None],
    ) -> None:
        self._pid, self._seconds, self._keep, self._deliver = pid, seconds, keep, deliver
        self._talk = SessionTalk(pid, deliver, ANSWER_SECONDS)
        self._recording = NativeRecording(self._talk)
        self._recorded: Recorded | None = None
        self._told: float | None = None
        self._thread = threading.Thread(target=self._run, name="memtui-native", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop_early(self) -> None:
        """End the recording; what there is will be read."""
        self._recording.stop_early()

    def abandon(self) -> None:
        """End everything; the session's agent takes the tracker out of the process when it leaves."""
        self._talk.close()
        self._recording.stop_early()
        if self._recorded is not None:
            self._recorded.stop()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        result: NativeRead | MemtuiError
        try:
            result = self._record()
        except MemtuiError as error:
            result = error
        except OSError as error:
            result = MemtuiError(f"The native recording of process {self._pid} failed.", why=f"{error}.")
        self._deliver(NativeOver(self._pid, result))

    def _record(self) -> NativeRead:
        recording = self._recording
        try:
            check_own_memray()
            recording.requirement().check(self._pid)
            self._deliver(NativeStep(NativeProgress("starting memray"), recording=False))
            recording.start(self._seconds)
            outcome = recording.wait(self._tell)
            self._deliver(NativeStep(NativeProgress("reading the native recording"), recording=False))
            self._recorded = recording.recorded
            file, not_kept = self._kept() if self._keep else (None, "")
            return NativeRead(self._recorded.report(_SITES), outcome, file, not_kept)
        finally:
            recording.close()

    def _kept(self) -> tuple[Path | None, str]:
        name = time.strftime(f"memtui-native-{self._pid}-%Y%m%d-%H%M%S.bin")
        try:
            path = writable_directory() / name
            self._recording.keep(path)
        except WriteError as error:
            return None, str(error)
        return path, ""

    def _tell(self, what: str, fraction: float) -> None:
        """Once a second, how much is left."""
        left = round(self._seconds * (1.0 - fraction))
        if left != self._told:
            self._told = left
            progress = NativeProgress("recording native allocations", float(left))
            self._deliver(NativeStep(progress, recording=True))
