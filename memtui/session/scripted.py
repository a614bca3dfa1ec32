"""A session that plays States it was given: for tests, for screenshots, and to see a dashboard without a target."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from memtui.model.command import Command
from memtui.model.state import State
from memtui.session.interface import Listener
from memtui.session.listeners import Listeners


class ScriptedSession:
    """Plays ``states`` one by one: with :meth:`step`, or by itself every ``interval_seconds`` once started.

    It stays on the last one. ``requests`` keeps what was asked for; ``answer`` may make a new State of the current
    one for a request.
    """

    def __init__(
        self,
        states: Sequence[State],
        *,
        interval_seconds: float | None = None,
        answer: Callable[[State, Command], State] | None = None,
    ) -> None:
        self._states = tuple(states)
        self._state = self._states[0]
        self._position = 0
        self._interval_seconds = interval_seconds
        self._answer = answer
        self._listeners = Listeners()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.requests: list[Command] = []

    @property
    def state(self) -> State:
        """The State played last."""
        return self._state

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each State played from now on."""
        return self._listeners.add(listener)

    def request(self, command: Command) -> None:
        """Keep the command; play the answer to it, if there is one."""
        self.requests.append(command)
        if self._answer is not None:
            self.play(self._answer(self._state, command))

    def step(self) -> bool:
        """Play the next State; False when there is none."""
        if self._position + 1 >= len(self._states):
            return False
        self._position += 1
        self.play(self._states[self._position])
        return True

    def play(self, state: State) -> None:
        """Make ``state`` the current one and tell everybody."""
        self._state = state
        self._listeners.tell(state)

    def start(self) -> None:
        """Play by itself, if an interval was given."""
        if self._interval_seconds is not None and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="memtui-scripted", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop playing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_seconds) and self.step():
            pass
