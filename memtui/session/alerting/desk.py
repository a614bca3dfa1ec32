"""The alerts of one session: raised look by look, told to whom it may concern, with a picture of the first."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from memtui.errors import MemtuiError
from memtui.model.alert import Alert, levels_from
from memtui.model.command import Command, TakeSnapshot
from memtui.model.state import EventKind, State
from memtui.session import messages as m
from memtui.session.alerting.courier import Courier, Send
from memtui.session.pictures import default_name, save_picture

LAST_SECONDS = 1.5
"""So long the end of a session waits for what is still to be delivered."""
_COPY_SECONDS = 10.0
_PROBLEMS = 5


@dataclass(frozen=True)
class AlertPlan:
    """``look`` tells which alerts a new State raises, and which (with an end) it ends; ``describe`` writes one.

    ``problems`` are put into the event log first: thresholds that make no sense. ``senders`` deliver what was
    described, by the name they have for people. ``snapshot_on``: the level from which on the first alert takes a heap
    picture, which is then copied to ``folder``. ``patience_seconds``: so long the end waits for deliveries.
    """

    look: Callable[[State], Sequence[Alert]]
    describe: Callable[[Alert, State], bytes]
    problems: tuple[str, ...] = ()
    senders: tuple[tuple[str, Send], ...] = ()
    snapshot_on: str | None = None
    folder: Path = Path()
    patience_seconds: float = LAST_SECONDS


class AlertDesk:
    """Implements :class:`memtui.session.interface.Attendant`. Made for one session."""

    def __init__(self, plan: AlertPlan) -> None:
        self._plan = plan
        self._told: deque[str] = deque(plan.problems)
        self._problems: deque[str] = deque(maxlen=_PROBLEMS)
        self._couriers = tuple(Courier(name, send, self._told.append) for name, send in plan.senders)
        self._request: Callable[[Command], None] = lambda _: None
        self._photograph_at = levels_from(plan.snapshot_on)
        self._newest_before: int | None = None
        self._copier: threading.Thread | None = None
        self._copied: deque[m.Noted] = deque()

    def begin(self, request: Callable[[Command], None]) -> None:
        """The session has begun; ``request`` asks something of it."""
        self._request = request

    def attend(self, state: State) -> Iterable[m.Message]:
        """What follows from the newest State. Returns at once: deliveries go on in threads of their own."""
        for alert in self._plan.look(state):
            if alert.until_seconds is not None:
                yield m.AlertOver(alert)
                continue
            yield m.AlertRaised(alert)
            body = self._plan.describe(alert, state)
            for courier in self._couriers:
                courier.put(body)
            if alert.level in self._photograph_at:
                self._photograph(state)
        self._collect_picture(state)
        yield from self._reports()

    def end(self) -> Iterable[m.Message]:
        """Wait a moment for what is being delivered, and say what was not."""
        until = time.monotonic() + self._plan.patience_seconds
        for courier in self._couriers:
            courier.drain(until - LAST_SECONDS)
        for courier in self._couriers:
            courier.close(until)
        if self._copier is not None:
            self._copier.join(_COPY_SECONDS)
        yield from self._reports()

    @property
    def problems(self) -> tuple[str, ...]:
        """The last sentences about what was not delivered or not kept, for a front end without an event log."""
        return tuple(self._problems)

    def _reports(self) -> Iterable[m.Message]:
        while self._told:
            self._problems.append(self._told.popleft())
            yield m.Noted(EventKind.ALERT, self._problems[-1])
        while self._copied:
            yield self._copied.popleft()

    def _photograph(self, state: State) -> None:
        self._photograph_at = ()
        self._newest_before = state.snapshots[-1].number if state.snapshots else 0
        # Nobody may be there to answer a question, and the user asked for this picture beforehand.
        self._request(TakeSnapshot(accept_stop=True, compare=False))

    def _collect_picture(self, state: State) -> None:
        """Copy the picture that was asked for, when it is there."""
        before, newest = self._newest_before, state.snapshots[-1] if state.snapshots else None
        if before is None or newest is None or newest.number <= before:
            return
        self._newest_before = None
        if newest.picture is None:
            self._told.append("The snapshot of the first alert has no heap picture; see the events before.")
            return
        try:
            # Open from now on, so that it can be copied when the session's own file is gone.
            source = open(newest.picture.path, "rb")  # noqa: SIM115 - the thread closes it
        except OSError as error:
            self._told.append(f"The picture of the first alert was not kept: {error.strerror}.")
            return
        name = default_name(state.target.pid, newest.taken_at)
        self._copier = threading.Thread(target=self._copy, args=(source, name), name="memtui-copy")
        self._copier.start()

    def _copy(self, source: BinaryIO, name: str) -> None:
        try:
            with source:
                path = save_picture(f"/proc/self/fd/{source.fileno()}", self._plan.folder, name)
        except MemtuiError as error:
            self._told.append(str(error))
        else:
            text = f"The heap at the first alert is in {path} (memtui open {path.name})"
            self._copied.append(m.Noted(EventKind.INFO, text))
