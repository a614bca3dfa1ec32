"""What `s` does: a heap picture where one can be taken, type counts where not, and why not."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from memtui.errors import MemtuiError, StopTooLongError, TargetDiedError
from memtui.model.allocation import Allocations, Snapshot
from memtui.model.command import TakeSnapshot
from memtui.model.state import PICTURE_BOUND, EventKind, Picturing, State
from memtui.model.target import Rung
from memtui.model.units import format_bytes
from memtui.session import messages as m
from memtui.session.agent_port import AgentPort
from memtui.session.gathering import EvidenceOver, Gatherer
from memtui.session.pictures import PictureFolder
from memtui.session.picturing import Photographer, Pictured, PictureOver, PictureStep, traced_groups
from memtui.session.scanning import Scanner, ScanOver
from memtui.session.snapshotting import scanned_snapshot

COUNTED_INSIDE = 3_000_000
"""With more objects than this the agent would keep the GIL for too long to count them: they are scanned instead."""
_NOTES = 3
_BEGINNING = Picturing("waiting for a good moment", 0.0)
Arrived = ScanOver | PictureStep | PictureOver | EvidenceOver


class SnapshotDesk:
    """One snapshot at a time. Belongs to the session's thread.

    ``deliver`` may be called from any thread; what it is given comes back by :meth:`arrived`. ``state`` is the newest
    State, ``rss_bytes`` reads the RSS now, ``pid`` is that of the target; ``busy_changed``: ``scanning`` is another.
    """

    def __init__(
        self,
        *,
        deliver: Callable[[Arrived], None],
        emit: Callable[[m.Message], None],
        clock: Callable[[], float],
        state: Callable[[], State],
        rss_bytes: Callable[[], int | None],
        pid: Callable[[], int],
        busy_changed: Callable[[], None],
        agent: AgentPort,
        observe_only: bool,
    ) -> None:
        self._emit, self._clock, self._state, self._rss_bytes, self._pid = emit, clock, state, rss_bytes, pid
        self._agent, self._busy_changed = agent, busy_changed
        self._observe_only = observe_only
        self._scanner = Scanner(deliver)
        self._photographer = Photographer(deliver)
        self._gatherer = Gatherer(deliver)
        self._folder = PictureFolder()
        self._picturing = False
        self._compares = True
        self._lines: Allocations | None = None
        self._tracebacks: Allocations | None = None
        self.scanning = False

    @property
    def busy(self) -> bool:
        """Whether a snapshot is under way."""
        return self.scanning or self._picturing

    def take(self, command: TakeSnapshot) -> None:
        """Begin a snapshot, unless one is under way. The target must be on a rung above PROCESS."""
        if self.busy:
            return
        if self._observe_only:
            self._scan()
            return
        self._picturing = True
        self._compares = command.compare
        self._lines = self._tracebacks = None
        self._emit(m.PictureProgressed(_BEGINNING))
        if not self._agent.ask_traced(lambda lines, tracebacks: self._have_traced(command, lines, tracebacks)):
            self._picture(command)

    def arrived(self, item: Arrived) -> None:
        """What was delivered."""
        if isinstance(item, ScanOver):
            self._scanned(item)
        elif isinstance(item, PictureOver):
            self._pictured(item)
        elif isinstance(item, EvidenceOver):
            self._compared(item)
        elif self._picturing and self._state().ending is None:
            self._emit(m.PictureProgressed(item.progress))

    def leave(self) -> None:
        """End what is under way, and delete the pictures."""
        self._photographer.stop()
        self._gatherer.stop()
        self._scanner.stop()
        self._folder.remove()

    def _have_traced(self, command: TakeSnapshot, lines: Allocations | None, tracebacks: Allocations | None) -> None:
        self._lines, self._tracebacks = lines, tracebacks
        self._picture(command)

    def _picture(self, command: TakeSnapshot) -> None:
        pid = self._pid()
        try:
            path = self._folder.new_path()
        except MemtuiError as error:
            self._pictured(PictureOver(pid, error))
            return
        extra = traced_groups(self._lines, self._tracebacks)
        self._photographer.start(pid, path, accept_stop=command.accept_stop, extra=extra)

    def _pictured(self, over: PictureOver) -> None:
        self._picturing = False
        self._emit(m.PictureProgressed(None))
        outcome = over.outcome
        if isinstance(outcome, Pictured):
            self._keep(over.pid, outcome)
        elif isinstance(outcome, TargetDiedError) or self._state().ending is not None:
            self._note(EventKind.ERROR, f"No snapshot: {outcome}")
        elif isinstance(outcome, StopTooLongError):
            question = f"{outcome.what} {outcome.why} Take the picture all the same?"
            self._emit(m.Asked(question, TakeSnapshot(accept_stop=True)))
        else:
            self._note(EventKind.WARNING, f"No heap picture: {outcome} Types are counted instead.")
            self._count()

    def _keep(self, pid: int, made: Pictured) -> None:
        if pid == self._pid():
            if made.facts.toll is not None:
                self._emit(m.PicturePaid(made.facts.toll))
            self._emit(m.SnapshotTaken(self._with_traces(self._snapshot_of(made))))
            self._agent.compare_with(self._lines)
            for note in made.facts.notes[:_NOTES]:
                self._note(EventKind.INFO, note)
        else:
            self._note(EventKind.WARNING, f"No snapshot: process {pid} is not the one watched any more.")
        self._drop_oldest()
        self._compare(pid)

    def _compare(self, pid: int) -> None:
        """What grew over the pictures that are kept; the quick ones do not say who holds what."""
        pictures = [one.picture for one in self._state().snapshots if one.picture is not None]
        files = [one.path for one in pictures if one.pid == pid and not one.quick]
        if len(files) >= 2 and self._compares:
            self._gatherer.start(pid, files)

    def _compared(self, over: EvidenceOver) -> None:
        if isinstance(over.outcome, MemtuiError):
            self._note(EventKind.WARNING, f"No diagnosis: {over.outcome}")
        elif over.pid == self._pid():
            self._emit(m.EvidenceFound(over.outcome))

    def _snapshot_of(self, made: Pictured) -> Snapshot:
        return Snapshot(
            number=0,  # the State it becomes part of numbers it
            at_seconds=self._clock(),
            taken_at=time.time(),
            rss_bytes=made.facts.rss_bytes or self._rss_bytes() or 0,
            traced_bytes=None,
            types=made.types,
            objects=made.facts.objects,
            allocations=None,
            tracebacks=None,
            took_seconds=made.seconds,
            picture=made.facts,
        )

    def _with_traces(self, snapshot: Snapshot) -> Snapshot:
        lines = self._lines
        traced_bytes = lines.total_bytes if lines else None
        return replace(snapshot, allocations=lines, tracebacks=self._tracebacks, traced_bytes=traced_bytes)

    def _drop_oldest(self) -> None:
        numbers = [one.number for one in self._state().snapshots if one.picture is not None]
        for number in numbers[:-PICTURE_BOUND]:
            self._emit(m.SnapshotDropped(number))
            self._note(EventKind.INFO, f"Snapshot {number} was dropped: {PICTURE_BOUND} heap pictures are kept")
        self._folder.keep_only(one.picture.path for one in self._state().snapshots if one.picture is not None)

    def _count(self) -> None:
        """Type counts: by the agent, if it is in and may count so many, else from outside."""
        gc = self._state().gc
        few = gc is None or gc.objects is None or gc.objects <= COUNTED_INSIDE
        if self._state().rung in (Rung.AGENT, Rung.TRACER) and few:
            self._agent.count_types()
        else:
            self._scan()

    def _scan(self) -> None:
        self.scanning = True
        self._scanner.start(self._pid())
        self._busy_changed()

    def _scanned(self, over: ScanOver) -> None:
        self.scanning = False
        self._busy_changed()
        outcome = over.outcome
        if isinstance(outcome, MemtuiError):
            self._note(EventKind.ERROR, f"No snapshot: {outcome}")
        elif over.pid != self._pid():
            self._note(EventKind.WARNING, f"No snapshot: process {over.pid} is not the one watched any more.")
        else:
            snapshot = scanned_snapshot(outcome, self._clock(), self._rss_bytes() or 0)
            self._emit(m.SnapshotTaken(self._with_traces(snapshot)))
            if outcome.swapped_bytes:
                text = f"Not counted: objects in {format_bytes(outcome.swapped_bytes)} that are swapped out"
                self._note(EventKind.WARNING, text)

    def _note(self, kind: EventKind, text: str) -> None:
        self._emit(m.Noted(kind, text))
