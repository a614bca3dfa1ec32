"""Clean-ups by themselves: a collection while a warning stands, everything while a critical alert does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from memtui.model.cleanup import CleanupLevel
from memtui.model.command import Cleanup, Command
from memtui.model.state import State
from memtui.session.cooldown import cooldown_of
from memtui.session.messages import Message


class AutoCleanup:
    """Implements :class:`memtui.session.interface.Attendant`: asks for a clean-up when an alert stands.

    Never oftener than the cooldown of the process. Other memtui count: a process that somebody cleaned up by hand has
    its cooldown, too.
    """

    def __init__(self, cooldown_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._cooldown_seconds, self._clock = cooldown_seconds, clock
        self._request: Callable[[Command], None] = lambda _: None
        self._due = 0.0

    def begin(self, request: Callable[[Command], None]) -> None:
        """The session has begun; ``request`` asks something of it."""
        self._request = request

    def attend(self, state: State) -> Iterable[Message]:
        """Ask for a clean-up, if it is time to."""
        level = wanted_level(state)
        if level is None or state.ending is not None or self._clock() < self._due:
            return ()
        cooldown = cooldown_of(state.target.pid, self._cooldown_seconds)
        if cooldown is None:
            return ()
        waiting = cooldown.remaining_seconds()
        self._due = self._clock() + (waiting or self._cooldown_seconds)
        if not waiting:
            cooldown.claim()
            self._request(Cleanup(level))
        return ()

    def end(self) -> Iterable[Message]:
        """Nothing is left to say."""
        return ()


def wanted_level(state: State) -> CleanupLevel | None:
    """The level of the worst alert that stands; None without one."""
    standing = {one.level for one in state.alerts if one.until_seconds is None}
    return "critical" if "critical" in standing else "warning" if "warning" in standing else None
