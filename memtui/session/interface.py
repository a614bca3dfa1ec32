"""What a front end may rely on, whichever session is underneath (live target, replay, test double)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from memtui.model.command import Command
from memtui.model.state import State
from memtui.session.messages import Message

Listener = Callable[[State], None]


class Session(Protocol):
    """A source of States that takes requests."""

    @property
    def state(self) -> State:
        """The newest picture; safe to read from any thread."""
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each new State, from the session's thread. Returns a function that ends it."""
        ...

    def request(self, command: Command) -> None:
        """Ask for something. Returns at once; the outcome shows in later States (``events``, ``busy`` and so on)."""
        ...

    def start(self) -> None:
        """Begin ticking."""
        ...

    def close(self) -> None:
        """Detach and stop; returns when the target is as it was found (bounded to a few seconds)."""
        ...


class Attendant(Protocol):
    """Sees every look of a live session, in the session's thread, and may add to what happens. It must not wait."""

    def begin(self, request: Callable[[Command], None]) -> None:
        """The session begins; ``request`` asks something of it."""
        ...

    def attend(self, state: State) -> Iterable[Message]:
        """What follows from the newest State, to be folded into it."""
        ...

    def end(self) -> Iterable[Message]:
        """The session ends: the last that there is to say. May take a second or two."""
        ...
