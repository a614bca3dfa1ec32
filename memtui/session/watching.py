"""A watch without a screen: a session for some time, with pictures of the heap on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from memtui.model.command import TakeSnapshot
from memtui.model.state import EventKind, State
from memtui.session.interface import Session
from memtui.session.settling import ModuleCounter

_POLL_SECONDS = 0.1
_SETTLED_SECONDS = 3.0
_SETTLING_SHARE = 0.25
_LAST_LOOK_SECONDS = 2.0
"""So long before its end the last picture of a watch is taken."""
_SPACING = (0.0, 0.29, 0.63, 1.0)
"""Uneven, so that a rhythm of the program does not look the same at each look."""
_MOST_LOOKS = 8
_SECONDS_A_LOOK = 75.0
_PATIENCE_SECONDS = 180.0

Tell = Callable[[str, float], None]
"""Told what is being done, and how much of the watch is over (0 to 1)."""


@dataclass(frozen=True, slots=True)
class WatchPlan:
    """``accept_stop``: take pictures also when they stop the process for longer than the budget."""

    seconds: float
    accept_stop: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """The end of a watch. ``obstacle``: why there are no (more) pictures; empty when there was no reason."""

    state: State
    obstacle: str
    looks: int


class HeadlessWatch:
    """Watches for as long as planned; ``stop`` ends it early, from another thread or a signal handler."""

    def __init__(self, session: Session, plan: WatchPlan, tell: Tell) -> None:
        self._session, self._plan, self._tell = session, plan, tell
        self._began = time.monotonic()
        self._stopped = False
        self._obstacle = ""
        self._taken = 0

    def run(self) -> Watched:
        """Wait until the watch is over, its pictures are compared, or the target has ended."""
        self._settle()
        begin = self._passed()
        end = max(begin, self._plan.seconds - _LAST_LOOK_SECONDS)
        times = look_times(begin, end)
        for number, at in enumerate(times):
            self._wait_until(at)
            if self._over() or self._obstacle:
                break
            self._look(number)
        self._wait_until(self._plan.seconds)
        self._await_evidence()
        return Watched(self._session.state, self._obstacle, self._taken)

    def stop(self) -> None:
        """End it as soon as possible."""
        self._stopped = True

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

    def _look(self, number: int) -> None:
        before = self._session.state
        events = len(before.events)
        # Compared from the second on: the target may end before the last one.
        self._session.request(TakeSnapshot(accept_stop=self._plan.accept_stop, compare=number > 0))
        end = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < end and not self._over():
            state = self._session.state
            self._say(f"picture {number + 1}: {state.picturing.step}" if state.picturing else "watching")
            if _last_picture(state) != _last_picture(before):
                self._taken += 1
                return
            if state.question is not None and state.question != before.question:
                self._obstacle = f"{state.question.text.removesuffix(' Take the picture all the same?')}"
                return
            failed = [one for one in state.events[events:] if one.kind in (EventKind.WARNING, EventKind.ERROR)]
            if failed:
                self._obstacle = failed[0].text
                return
            time.sleep(_POLL_SECONDS)

    def _await_evidence(self) -> None:
        """The pictures are compared a little after the last one."""
        if self._taken < 2:
            return
        end = time.monotonic() + _PATIENCE_SECONDS
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
            self._say("watching")
            time.sleep(min(_POLL_SECONDS, max(0.0, seconds - self._passed())))

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


def _last_picture(state: State) -> int | None:
    return next((one.number for one in reversed(state.snapshots) if one.picture is not None), None)
