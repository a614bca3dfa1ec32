"""What a job of several requests needs of the conversation with the agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from memtui.protocol import Frame
from memtui.session.messages import Message


class Asking(Protocol):
    """Asks the agent, says what came of it, and knows the session's time."""

    emit: Callable[[Message], None]
    clock: Callable[[], float]

    def ask(
        self,
        busy: str,
        do: str,
        answered: Callable[[Frame], None],
        refused: Callable[[], None] = lambda: None,
        **arguments: Any,
    ) -> None:
        """Send a request; ``busy`` says in words what is going on until the answer is there."""
        ...
