"""What `n` does: asks, has memray record native allocations in the target, and says what was not freed."""

from __future__ import annotations

from collections.abc import Callable

from memtui.errors import MemtuiError
from memtui.model.command import StartNative
from memtui.model.native import NATIVE_SLOWDOWN, NativeProgress, NativeResult
from memtui.model.state import EventKind, State
from memtui.model.target import Rung
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.native.outlook import look_out
from memtui.native.recording import ENDS, MOST_BYTES, check_own_memray
from memtui.paths import writable_directory
from memtui.session import messages as m
from memtui.session.native_job import NativeJob, NativeOver, NativeRead, NativeStep
from memtui.session.questions import AgentQuestion

NOT_RECORDED = "No native recording"
"""How an event begins that says why there is none."""
NativeArrived = NativeStep | NativeOver


class NativeDesk:
    """One native recording at a time. Belongs to the session's thread.

    ``deliver`` may be called from any thread; what it is given comes back by :meth:`arrived`, questions to the
    agent's port. ``state`` is the newest State, ``pid`` that of the target.
    """

    def __init__(
        self,
        *,
        deliver: Callable[[NativeArrived | AgentQuestion], None],
        emit: Callable[[m.Message], None],
        clock: Callable[[], float],
        state: Callable[[], State],
        pid: Callable[[], int],
        observe_only: bool,
    ) -> None:
        self._deliver, self._emit, self._clock, self._state, self._pid = deliver, emit, clock, state, pid
        self._observe_only = observe_only
        self._job: NativeJob | None = None

    def ask(self, command: StartNative) -> None:
        """Say what a recording needs and costs, and let the user decide; or why there can be none."""
        if self._job is not None:
            return
        if self._observe_only:
            self._refuse("--observe-only keeps the agent, and memray, out.")
            return
        try:
            check_own_memray()
            starting = self._state().target.launched and self._state().rung is Rung.PROCESS
            needed = "memray must be installed for the program's Python."
            found = needed if starting else look_out(self._pid())
        except MemtuiError as error:
            self._refuse(str(error))
            return
        kept = f"A copy of what is recorded is kept in {writable_directory()} ({format_bytes(MOST_BYTES)} at most)."
        text = (
            f"Record native allocations for {format_seconds(command.seconds)}? {found} Programs ran "
            f"{NATIVE_SLOWDOWN} while memray recorded. It stays imported, with a pipe; the tracker and the agent "
            f"do not stay. The same key ends it early. {kept if command.keep else ''}"
        )
        self._emit(m.Asked(" ".join(text.split()), StartNative(command.seconds, accepted=True, keep=command.keep)))

    def start(self, command: StartNative) -> None:
        """Begin: the agent is in."""
        if self._job is None:
            self._emit(m.NativeProgressed(NativeProgress("preparing a native recording")))
            self._job = NativeJob(self._pid(), command.seconds, command.keep, self._deliver)
            self._job.start()

    def stop(self) -> None:
        """End a recording under way; what there is will be read."""
        if self._job is not None:
            self._job.stop_early()

    def arrived(self, item: NativeArrived) -> None:
        """What was delivered."""
        if isinstance(item, NativeOver):
            self._job = None
            self._over(item)  # before the progress ends: who waits looks at what came of it then
            self._emit(m.NativeProgressed(None))
            self._rung(recording=False)
        else:
            self._rung(item.recording)
            self._emit(m.NativeProgressed(item.progress))

    def leave(self) -> None:
        """End what is under way; the agent, which leaves next, stops the tracker."""
        if self._job is not None:
            self._job.abandon()

    def _over(self, item: NativeOver) -> None:
        if isinstance(item.result, MemtuiError):
            self._refuse(str(item.result))
            return
        read = item.result
        file = None if read.file is None else str(read.file)
        took = read.outcome.start_seconds
        self._emit(m.NativeRecorded(NativeResult(read.report, file, read.outcome.ended, took, self._clock())))
        if read.outcome.ended in ENDS:
            self._note(EventKind.WARNING, ENDS[read.outcome.ended])
        if read.not_kept:
            self._note(EventKind.WARNING, read.not_kept)
        self._note(EventKind.INFO, _in_words(read))

    def _rung(self, recording: bool) -> None:
        """The tracer is the highest rung as long as it runs."""
        now, wanted = self._state().rung, Rung.TRACER if recording else Rung.AGENT
        if now is not wanted and now in (Rung.AGENT, Rung.TRACER) and self._state().ending is None:
            self._emit(m.Climbed(wanted))

    def _refuse(self, why: str) -> None:
        self._note(EventKind.ERROR, f"{NOT_RECORDED}: {why}")

    def _note(self, kind: EventKind, text: str) -> None:
        self._emit(m.Noted(kind, text))


def _in_words(read: NativeRead) -> str:
    report = read.report
    told = (
        f"Native recording: {format_bytes(report.size_bytes)} in {format_count(report.count)} allocations were not "
        f"freed; memray's start took {format_seconds(read.outcome.start_seconds)} in the process"
    )
    return told if read.file is None else f"{told}; kept in {read.file}"
