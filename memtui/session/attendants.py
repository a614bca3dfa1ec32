"""All that attends a session, as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from memtui.model.command import Command
from memtui.model.state import State
from memtui.session.interface import Attendant
from memtui.session.messages import Message


class Attendants:
    """Asks each attendant in turn; what they say goes to ``fold``, so that the next one sees it in the State."""

    def __init__(self, members: Sequence[Attendant], fold: Callable[[Message], None]) -> None:
        self._members, self._fold = tuple(members), fold

    def begin(self, request: Callable[[Command], None]) -> None:
        """The session begins."""
        for one in self._members:
            one.begin(request)

    def attend(self, state: Callable[[], State]) -> None:
        """There was a look."""
        for one in self._members:
            for message in one.attend(state()):
                self._fold(message)

    def end(self) -> None:
        """The session ends. May take a second or two."""
        for one in self._members:
            for message in one.end():
                self._fold(message)
