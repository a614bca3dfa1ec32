"""The one place where the session's thread meets Textual."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message
from textual.message_pump import MessagePump

from memtui.model.state import State
from memtui.session.interface import Session


class StateChanged(Message):
    """Look now: the session has a new State. It carries none, so that a queue of them is never old news."""

    def can_replace(self, message: Message) -> bool:
        """One look answers all that are waiting."""
        return isinstance(message, StateChanged)


class Bridge:
    """Posts ``StateChanged`` to ``receiver`` for each State of the session, from whatever thread it comes."""

    def __init__(self, session: Session, receiver: MessagePump) -> None:
        self._session = session
        self._receiver = receiver
        self._end: Callable[[], None] | None = None

    def open(self) -> None:
        """Begin posting; the State that is already there counts as new."""
        self._end = self._session.subscribe(self._on_state)
        self._receiver.post_message(StateChanged())

    def close(self) -> None:
        """Post no more."""
        if self._end is not None:
            self._end()
            self._end = None

    def _on_state(self, _: State) -> None:
        if self._end is not None:
            self._receiver.post_message(StateChanged())
