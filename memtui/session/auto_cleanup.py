"""Clean-ups by themselves: a collection while a warning stands, everything while a critical alert does."""

from __future__ import annotations

import time
from collections.abc import Callable

from memtui.model.cleanup import CleanupLevel
from memtui.model.command import Cleanup
from memtui.model.state import State
from memtui.session.cooldown import cooldown_of
from memtui.session.interface import Session


class AutoCleanup:
    """Asks ``session`` for a clean-up when an alert stands, never oftener than the cooldown of the process.

    Other memtui count: a process that somebody cleaned up by hand has its cooldown, too. It begins with the session's
    next State, and ends when :meth:`close` is called.
    """

    def __init__(
        self, session: Session, cooldown_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._session, self._cooldown_seconds, self._clock = session, cooldown_seconds, clock
        self._due = 0.0
        self.close = session.subscribe(self._see)

    def _see(self, state: State) -> None:
        """In the session's thread: each State."""
        level = wanted_level(state)
        if level is None or state.ending is not None or self._clock() < self._due:
            return
        cooldown = cooldown_of(state.target.pid, self._cooldown_seconds)
        if cooldown is None:
            return
        waiting = cooldown.remaining_seconds()
        self._due = self._clock() + (waiting or self._cooldown_seconds)
        if not waiting:
            cooldown.claim()
            self._session.request(Cleanup(level))


def wanted_level(state: State) -> CleanupLevel | None:
    """The level of the worst alert that stands; None without one."""
    standing = {one.level for one in state.alerts if one.until_seconds is None}
    return "critical" if "critical" in standing else "warning" if "warning" in standing else None
