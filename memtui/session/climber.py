"""Putting the agent in without holding up the session: the attach runs in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from memtui.attach.inject import Attached, attach_agent
from memtui.attach.ways import Via
from memtui.errors import MemtuiError


class Climber:
    """At most one attach at a time. ``done`` is called in the climbing thread when it is over.

    ``via`` and ``experimental`` are those of :func:`memtui.attach.inject.attach_agent`.
    """

    def __init__(
        self, done: Callable[[Attached | MemtuiError], None], via: Via = "auto", experimental: bool = False
    ) -> None:
        self._done = done
        self._via, self._experimental = via, experimental
        self._thread: threading.Thread | None = None

    @property
    def climbing(self) -> bool:
        """Whether an attach is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, pid: int) -> None:
        """Begin to attach to ``pid``, unless an attach is under way."""
        if not self.climbing:
            self._thread = threading.Thread(target=self._run, args=(pid,), name="memtui-attach", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for an attach under way: the helper must not be left half-way."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, pid: int) -> None:
        try:
            outcome: Attached | MemtuiError = attach_agent(pid, self._via, self._experimental)
        except MemtuiError as error:
            outcome = error
        except OSError as error:
            outcome = MemtuiError(f"The attach to {pid} failed.", why=f"{error}.")
        self._done(outcome)
