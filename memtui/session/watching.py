"""A watch without a screen: a session for some time, with pictures of the heap on the way."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from memtui.model.command import CheckCycles, CollectGarbage, Command, StartTracing, TakeSnapshot
from memtui.model.heap import PictureFacts
from memtui.model.state import Event, EventKind, State
from memtui.model.units import format_seconds
from memtui.session.interface import Session
from memtui.session.settling import ModuleCounter
from memtui.session.silence import SILENCE

_POLL_SECONDS = 0.1
_SETTLED_SECONDS = 3.0
_SETTLING_SHARE = 0.25
_LAST_LOOK_SECONDS = 2.0
"""So long before its end the last picture of a watch is taken."""
_SPACING = (0.0, 0.29, 0.63, 1.0)
"""Uneven, so that a rhythm of the program does not look the same at each look."""
_PROMPT_SECONDS = 1.0
"""A picture that takes less holds no watch up."""
_MOST_LOOKS = 8
_SECONDS_A_LOOK = 75.0
_QUESTIONS_A_LOOK, _QUESTION_SECONDS = 10, 5.0
_PATIENCE_SECONDS = 180.0
_LEAST_PATIENCE_SECONDS = 60.0
"""So long a picture is waited for also by a watch that is shorter; else as long as the watch is meant to last."""
_LAST_EVIDENCE_SECONDS = 15.0
_TRACING_SECONDS = 15.0
_QUESTION = re.compile(r" [^.?]* all the same\?$")
"""The end of a question that is not asked here."""

Tell = Callable[[str, float], None]
"""Told what is being done, and how much of the watch is over (0 to 1)."""


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """``accept_stop``: take pictures also when they stop the process for longer than the budget.

    ``pictures``: false when there are to be none. ``warm_up_seconds``: no picture before then. ``patient``: after a
    picture that could not be taken the next one is tried all the same. ``wanted``: asked every now and then;
    pictures are taken only while the answer is yes. ``collect_seconds``: so often a full collection is forced, which
    puts the agent in; None for never. ``check_cycles``: at the end, when nothing can be disturbed any more, a checked
    collection.
    ``trace_frames``: allocations are traced, with so many frames each, as soon as the program has imported what it
    needs; what it used of the processor before tells then what that costs.
    """

    seconds: float
    accept_stop: bool = False
    pictures: bool = True
    warm_up_seconds: float = 0.0
    patient: bool = False
    wanted: Callable[[], bool] | None = None
    collect_seconds: float | None = None
    check_cycles: bool = False
    trace_frames: int | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """The end of a watch. ``obstacle``: why there are no (more) pictures; empty when there was no reason."""

    state: State
    obstacle: str
    looks: int
    unchecked: str = ""
    """Why cycles were not checked, although they should have been."""


def _is_trouble(event: Event) -> bool:
    return event.kind in (EventKind.WARNING, EventKind.ERROR) and not event.text.startswith(SILENCE)


class HeadlessWatch:
    """Watches for as long as planned; ``stop`` ends it early, from another thread or a signal handler."""

    def __init__(self, session: Session, plan: WatchPlan, tell: Tell) -> None:
        self._session, self._plan, self._tell = session, plan, tell
        self._began = time.monotonic()
        self._stopped = False
        self._obstacle = ""
        self._taken = 0
        self._unchecked = ""
        self._collect_at = plan.collect_seconds

    def run(self) -> Watched:
        """Wait until the watch is over, its pictures are compared, or the target has ended."""
        if self._plan.pictures or self._plan.trace_frames is not None:
            self._settle()
        self._start_tracing()
        if self._plan.pictures:
            self._take_pictures()
        self._wait_until(self._plan.seconds)
        self._await_evidence()
        if self._plan.check_cycles:
            self._unchecked = self._check_cycles()
        return self.watched

    @property
    def watched(self) -> Watched:
        """What there is now."""
        return Watched(self._session.state, self._obstacle, self._taken, self._unchecked)

    def last_picture(self, patience_seconds: float) -> str | None:
        """After the watch was stopped: one more picture, whatever it costs; the path of its file if it succeeded."""
        self._stopped = False
        if self._over():
            return None
        before = _last_picture(self._session.state)
        self._look(self._taken, accept_stop=True, patience_seconds=patience_seconds)
        after = _last_picture(self._session.state)
        if after is None or after == before:
            return None
        self._await_evidence(_LAST_EVIDENCE_SECONDS)
        return after.path

    def stop(self) -> None:
        """End it as soon as possible."""
        self._stopped = True

    def _take_pictures(self) -> None:
        self._wait_until(min(self._plan.warm_up_seconds, self._plan.seconds))
        begin = self._passed()
        end = max(begin, self._plan.seconds - _LAST_LOOK_SECONDS)
        if self._plan.wanted is not None:
            self._take_wanted(self._plan.wanted, begin, end)
            return
        took = 0.0
        times = look_times(begin, end)
        for number, at in enumerate(times):
            if 0 < number < len(times) - 1 and took > _PROMPT_SECONDS and self._passed() + took > end:
                continue  # a large heap: the last picture, in time, tells more than one in between
            self._wait_until(at)
            if self._over() or self._gave_up():
                break
            asked = self._passed()
            patience = min(_PATIENCE_SECONDS, max(_LEAST_PATIENCE_SECONDS, self._plan.seconds))
            self._look(self._taken, accept_stop=self._plan.accept_stop, patience_seconds=patience)
            took = self._passed() - asked

    def _take_wanted(self, wanted: Callable[[], bool], begin: float, end: float) -> None:
        """The first when it is wanted, then as far apart as where all are taken; one at the end."""
        apart = (end - begin) / (_MOST_LOOKS - 1)
        latest = -apart
        while self._passed() < end and not self._over() and not self._gave_up():
            if self._passed() >= latest + apart and wanted():
                latest = self._passed()
                self._look(self._taken, accept_stop=self._plan.accept_stop)
            self._wait_until(min(end, self._passed() + min(apart / _QUESTIONS_A_LOOK, _QUESTION_SECONDS)))
        if not self._over() and not self._gave_up() and wanted():
            self._look(self._taken, accept_stop=self._plan.accept_stop)

    def _gave_up(self) -> bool:
        return bool(self._obstacle) and not self._plan.patient

    def _settle(self) -> None:
        """Wait until no modules were imported for some seconds, but not for long."""
        counter = ModuleCounter(self._session.state.target.pid)
        latest = self._plan.seconds * _SETTLING_SHARE
        count, since = counter.count(), self._passed()
        quiet = min(_SETTLED_SECONDS, latest)
        while not self._over() and self._passed() < latest and self._passed() - since < quiet:
            self._say("waiting until the program has imported what it needs")
            time.sleep(_POLL_SECONDS)
            now = counter.count()
            if now != count:
                count, since = now, self._passed()

    def _start_tracing(self) -> None:
        """The first picture comes when it is on: only so are there lines to compare."""
        if self._plan.trace_frames is None or self._over():
            return

        def is_on(state: State) -> bool:
            self._say("starting to trace")
            return state.tracing is not None and state.tracing.on

        self._carried_out(StartTracing(self._plan.trace_frames), is_on, _TRACING_SECONDS)

    def _look(self, number: int, *, accept_stop: bool, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        before = self._session.state

        def is_taken(state: State) -> bool:
            self._say(f"picture {number + 1}: {state.picturing.step}" if state.picturing else "watching")
            return _last_picture(state) != _last_picture(before)

        # Compared from the second on: the target may end before the last one.
        command = TakeSnapshot(accept_stop=accept_stop, compare=number > 0)
        done, obstacle = self._carried_out(command, is_taken, patience_seconds)
        if obstacle and self._session.state.question is not before.question:
            obstacle += " (--accept-stop accepts that.)"
        if not done and not obstacle and not self._over():
            obstacle = (
                f"picture {number + 1} of it was not ready after {format_seconds(patience_seconds)}: "
                "the heap is large, or the machine busy. A longer watch waits for longer: --for 10m."
            )
        self._taken += done
        self._obstacle = obstacle or self._obstacle

    def _check_cycles(self) -> str:
        """Have a checked collection run; why there was none, empty when there was one."""
        before = self._session.state

        def is_checked(state: State) -> bool:
            self._say("checking for cycles")
            return state.cycles is not None and state.cycles is not before.cycles

        if self._over():
            return "the process ended, or the watch, before it could be run."
        done, obstacle = self._carried_out(
            CheckCycles(accept_stop=self._plan.accept_stop), is_checked, _PATIENCE_SECONDS
        )
        if obstacle and self._session.state.question is not before.question:
            obstacle += " (--accept-stop accepts that.)"
        return "" if done else obstacle or "the process did not get to it in time, or ended."

    def _carried_out(
        self, command: Command, is_done: Callable[[State], bool], patience_seconds: float
    ) -> tuple[bool, str]:
        """Request ``command`` and wait until the State shows that it is done; else why not, if that is known."""
        before = self._session.state
        known = set(map(id, before.events))
        self._session.request(command)
        end = time.monotonic() + patience_seconds
        while time.monotonic() < end and not self._over():
            state = self._session.state
            if is_done(state):
                return True, ""
            if state.question is not None and state.question != before.question:
                return False, _QUESTION.sub("", state.question.text)
            failed = next((one for one in state.events if id(one) not in known and _is_trouble(one)), None)
            if failed is not None:
                return False, failed.text
            time.sleep(_POLL_SECONDS)
        return False, ""

    def _await_evidence(self, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        """The pictures are compared a little after the last one."""
        if self._taken < 2:
            return
        end = time.monotonic() + patience_seconds
        while time.monotonic() < end and not self._stopped:
            state = self._session.state
            if state.evidence is not None and len(state.evidence.looks) >= min(self._taken, _MOST_LOOKS):
                return
            if any(one.text.startswith("No diagnosis") for one in state.events):
                return
            self._tell("comparing the pictures", 1.0)
            time.sleep(_POLL_SECONDS)

    def _wait_until(self, seconds: float) -> None:
        while self._passed() < seconds and not self._over():
            self._collect_if_due()
            self._say("watching")
            time.sleep(min(_POLL_SECONDS, max(0.0, seconds - self._passed())))

    def _collect_if_due(self) -> None:
        if self._collect_at is None or self._passed() < self._collect_at:
            return
        assert self._plan.collect_seconds is not None
        self._collect_at = self._passed() + self._plan.collect_seconds
        self._session.request(CollectGarbage())

    def _over(self) -> bool:
        return self._stopped or self._session.state.ending is not None

    def _passed(self) -> float:
        return time.monotonic() - self._began

    def _say(self, what: str) -> None:
        self._tell(what, min(1.0, self._passed() / self._plan.seconds))


def look_times(begin: float, end: float) -> tuple[float, ...]:
    """When pictures are taken between two moments of a watch (seconds): four, and more of a long one."""
    span = end - begin
    count = min(_MOST_LOOKS, max(len(_SPACING), int(span / _SECONDS_A_LOOK)))
    if count == len(_SPACING):
        return tuple(begin + share * span for share in _SPACING)
    return tuple(begin + span * number / (count - 1) for number in range(count))


def _last_picture(state: State) -> PictureFacts | None:
    return next((one.picture for one in reversed(state.snapshots) if one.picture is not None), None)
