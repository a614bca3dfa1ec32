"""What the session asks of the agent, and what the replies mean."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from memtui.attach.inject import Attached
from memtui.errors import ChannelError
from memtui.model.allocation import Allocations, GroupBy, Tracing
from memtui.model.cleanup import CleanupLevel
from memtui.model.state import EventKind
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.protocol import Frame
from memtui.session import wire
from memtui.session.cleaning import CleanupInTheMaking
from memtui.session.messages import AllocationsSeen, BaselineSet, Busy, CyclesChecked, Message, Noted, Paused
from memtui.session.questions import AgentQuestion
from memtui.session.silence import Silence
from memtui.session.slowdown import Slowdown
from memtui.session.snapshotting import SnapshotInTheMaking, Traced, TracedInTheMaking

_TABLE_ROWS = 300
_REFRESH_SECONDS = 2.0
_LEAVE_SECONDS = 3.0
_GONE_SECONDS = 1.0
_SHARE_OF_CORE = 0.01
"""The live table may cost the target at most this share of a core."""

Emit = Callable[[Message], None]
Clock = Callable[[], float]
Answered = Callable[[Frame], None]
_Waiting = tuple[str, Answered, Callable[[], None]]


class Conversation:
    """The session's side of one agent. ``emit`` takes messages, ``clock`` gives session time, ``slowdown`` is told
    when tracing starts and stops.

    Every method may raise ChannelError: then the connection is over.
    """

    def __init__(
        self, attached: Attached, interval_seconds: float, emit: Emit, clock: Clock, slowdown: Slowdown
    ) -> None:
        self.link = attached.link
        self.emit, self.clock = emit, clock
        self._waiting: dict[int, _Waiting] = {}
        self._questions: dict[int, AgentQuestion] = {}
        self._traced_since: float | None = None
        self._by = GroupBy.LINE
        self._refresh_at = 0.0
        self._has_baseline = False
        self._slowdown = slowdown
        self._silence = Silence()
        self._thread = f"/proc/{attached.pid}/task/{attached.hello.get('thread')}"
        self._alone = attached.hello.get("viewers") == 1
        self.tracing = self._read_tracing(attached.hello.get("tracing"))
        self.ask("", "stream", lambda reply: None, interval=interval_seconds)

    def receive(self) -> None:
        """Take in what the agent has sent."""
        for frame in self.link.receive():
            self._silence.heard()
            kind = frame.get("t")
            if kind == "sample":
                self.tracing = self._read_tracing(frame.get("tracing"))
                self.emit(wire.agent_report(frame, self.tracing))
            elif kind == "reply":
                self._answered(frame)

    def tick(self) -> None:
        """Once a tick: refresh the table of allocations when it is due and affordable."""
        silent = self._silence.look(self.clock(), waiting=bool(self._waiting or self._questions))
        if silent:
            self.emit(Noted(EventKind.WARNING, silent))
        if self.tracing.on and self.clock() >= self._refresh_at:
            self._refresh_at = float("inf")  # until the reply says what it cost
            self.ask("", "allocations", self._table, by=self._by.value, limit=_TABLE_ROWS)

    def start_tracing(self, frames: int) -> None:
        """Start tracemalloc."""
        self._slowdown.tracing_starts()
        self.ask("starting to trace", "trace_start", self._tracing_started, frames=frames)

    def stop_tracing(self) -> None:
        """Stop tracemalloc, unless somebody else needs it."""
        self.ask("stopping the trace", "trace_stop", self._tracing_stopped)

    def group(self, by: GroupBy) -> None:
        """Group the live table otherwise."""
        self._by, self._has_baseline, self._refresh_at = by, False, 0.0

    def collect(self, rss_bytes: Callable[[], int | None]) -> None:
        """Force a full collection; ``rss_bytes`` reads the RSS before and after."""
        before = rss_bytes()

        def answered(reply: Frame) -> None:
            self._collected(reply, before, rss_bytes())

        self.ask("collecting garbage", "collect", answered)

    def clean_up(self, level: CleanupLevel, rss_bytes: Callable[[], int | None]) -> None:
        """Free memory by all that the level allows; ``rss_bytes`` reads the RSS between the steps."""
        CleanupInTheMaking(self, level, rss_bytes).begin()

    def check_cycles(self) -> None:
        """Run a checked collection."""

        def answered(reply: Frame) -> None:
            check = wire.cycle_check(reply, self.clock())
            self.emit(Paused(check.pause_seconds))
            self.emit(CyclesChecked(check))

        self.ask("checking for cycles", "cycles", answered)

    def snapshot(self, rss_bytes: int) -> None:
        """Take a snapshot: type counts, and the traced lines when tracing is on."""
        SnapshotInTheMaking(self, rss_bytes).begin()

    def traced(self, then: Traced) -> None:
        """Ask for the traced groups; ``then`` gets them, None for what did not come."""
        TracedInTheMaking(self, then).begin()

    def give_up(self) -> None:
        """No reply will come any more: tell those who wait."""
        waiting, self._waiting = self._waiting, {}
        for _, _, refused in waiting.values():
            refused()
        for question in self._questions.values():
            question.fail()
        self._questions.clear()

    def leave(self) -> None:
        """Tell the agent that this viewer goes, and wait shortly until its thread has (others may still need it)."""
        try:
            self._waiting.clear()
            self.link.request("detach")
            while True:
                self.link.wait_for(("reply",), _LEAVE_SECONDS)
        except ChannelError:
            pass
        finally:
            self.link.close()
        end = time.monotonic() + _GONE_SECONDS
        while self._alone and os.path.exists(self._thread) and time.monotonic() < end:
            time.sleep(0.005)

    def ask(
        self, busy: str, do: str, answered: Answered, refused: Callable[[], None] = lambda: None, **arguments: Any
    ) -> None:
        """Send a request; ``answered`` gets its reply, ``busy`` (may be empty) is shown until then.

        ``refused`` is called when it is not done.
        """
        number = self.link.request(do, **arguments)
        self._waiting[number] = busy, answered, refused
        self._tell_busy()

    def put(self, question: AgentQuestion) -> None:
        """Send a question of another thread; it gets the reply, whatever that is."""
        self._questions[self.link.request(question.do, **question.arguments)] = question

    def _answered(self, reply: Frame) -> None:
        question = self._questions.pop(reply["id"], None) if type(reply.get("id")) is int else None
        if question is not None:
            question.answer(reply)
            return
        nobody: _Waiting = ("", lambda reply: None, lambda: None)
        busy, answered, refused = nobody
        try:
            busy, answered, refused = self._waiting.pop(wire.integer(reply["id"]), nobody)
            if reply.get("ok"):
                answered(reply)
            else:
                self._refused(busy, str(reply.get("error")))
                refused()
        except wire.MISSHAPEN as error:
            refused()
            raise ChannelError("The agent sent a misshapen reply.", why=f"{error!r}.") from error
        except ChannelError:
            refused()
            raise
        self._tell_busy()

    def _refused(self, busy: str, why: str) -> None:
        if busy:
            self.emit(Noted(EventKind.ERROR, f"Not done: {busy}. {why}"))
        self._refresh_at = self.clock() + _REFRESH_SECONDS

    def _tell_busy(self) -> None:
        self.emit(Busy(tuple(dict.fromkeys(busy for busy, *_ in self._waiting.values() if busy))))

    def _read_tracing(self, raw: Any) -> Tracing:
        on = isinstance(raw, dict) and bool(raw.get("on"))
        if on and self._traced_since is None:
            self._traced_since = self.clock()
        elif not on:
            self._traced_since = None
        return wire.tracing(raw, self._traced_since, self._slowdown.percent)

    def _tracing_started(self, reply: Frame) -> None:
        frames = wire.integer(reply["frames"])
        if reply["started"]:
            self._traced_since = self.clock()
            text = f"Tracing on, {frames} frame{'s' if frames > 1 else ''} an allocation"
        else:
            text = f"Tracing was on already, {frames} frame{'s' if frames > 1 else ''} an allocation"
        self._has_baseline, self._refresh_at = False, self.clock() + 0.5
        self.emit(Noted(EventKind.TRACE_ON, text))

    def _tracing_stopped(self, reply: Frame) -> None:
        if reply["left_on"]:
            self.emit(Noted(EventKind.WARNING, f"Tracing was left on. {reply.get('why') or ''}".strip()))
            return
        self.emit(Noted(EventKind.TRACE_OFF, f"Tracing off; the table shows its last look{_cost(self.tracing)}"))
        self._slowdown.tracing_stops()

    def _table(self, reply: Frame) -> None:
        seen = wire.allocations(reply, self.clock())
        self._refresh_at = self.clock() + max(_REFRESH_SECONDS, seen.took_seconds / _SHARE_OF_CORE)
        if seen.by is not self._by:
            self._refresh_at = 0.0
            return
        if not self._has_baseline:
            self.set_baseline(seen)
        self.emit(AllocationsSeen(seen))

    def snapshot_taken(self, lines: Allocations | None) -> None:
        """Count the table's changes from the snapshot on."""
        self.set_baseline(lines if self._by is GroupBy.LINE else None)

    def set_baseline(self, seen: Allocations | None) -> None:
        """What the table's changes are counted from; None: from its next look."""
        self._has_baseline = seen is not None
        self.emit(BaselineSet(seen))
        if seen is None:
            self._refresh_at = 0.0

    def _collected(self, reply: Frame, before: int | None, after: int | None) -> None:
        parts = [f"freed {format_count(wire.integer(reply['collected']))} objects"]
        if wire.integer(reply["uncollectable"]):
            parts.append(f"{format_count(wire.integer(reply['uncollectable']))} uncollectable")
        parts.append(f"{format_count(-wire.integer(reply['blocks_freed']), sign=True)} memory blocks")
        if reply.get("traced_freed") is not None:
            parts.append(f"{format_bytes(-wire.integer(reply['traced_freed']), sign=True)} traced")
        if before is not None and after is not None:
            parts.append(f"RSS {format_bytes(after - before, sign=True)}")
        took = format_seconds(wire.seconds(reply["seconds"]))
        self.emit(Noted(EventKind.GC, f"Full collection in {took}: {', '.join(parts)}"))


def _cost(tracing: Tracing) -> str:
    """What tracing cost the target in the end, as measured; empty where nothing was."""
    parts = [f"{tracing.slowdown_percent:+.0f} % CPU"] if tracing.slowdown_percent is not None else []
    parts += [f"{format_bytes(tracing.overhead_bytes)} for traces"] if tracing.overhead_bytes else []
    return f". It cost {' and '.join(parts)}" if parts else ""
