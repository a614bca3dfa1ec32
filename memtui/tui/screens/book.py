"""Screens that ask heap pictures: each question in a thread, so that the screen never waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from textual import on
from textual.message import Message

from memtui.errors import MemtuiError
from memtui.model.allocation import Snapshot
from memtui.tui.books import Book
from memtui.tui.screens.base import Result, StateScreen

Answer = TypeVar("Answer")


class Answered(Message):
    """A question has an answer, or the error that came instead."""

    def __init__(self, slot: str, number: int, answer: Any) -> None:
        super().__init__()
        self.slot, self.number, self.answer = slot, number, answer


@dataclass(frozen=True, slots=True)
class _Asked:
    number: int
    then: Callable[[Any], None]
    refused: Callable[[str], None]


class BookScreen(StateScreen[Result], Generic[Result]):
    """Asks, and is told later. A newer question of the same ``slot`` makes the answer to an older one void."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[str, _Asked] = {}
        self._questions = 0

    def ask(
        self,
        slot: str,
        path: str,
        question: Callable[[Book], Answer],
        then: Callable[[Answer], None],
        refused: Callable[[str], None],
    ) -> None:
        """Put ``question`` to the picture in ``path``; ``then`` gets the answer, ``refused`` the sentence why not."""
        self._questions += 1
        number = self._questions
        self._asked[slot] = _Asked(number, then, refused)

        def work() -> None:
            answer: Any
            try:
                answer = question(self.memtui.shelf.book(path))
            except MemtuiError as error:
                self.memtui.shelf.failed(path, error)
                answer = error
            except OSError as error:
                answer = MemtuiError(f"The picture {path} cannot be opened.", why=f"{error}.")
            self.post_message(Answered(slot, number, answer))

        self.run_worker(work, thread=True, group=slot, exit_on_error=False)

    def waits(self, slot: str) -> bool:
        """Whether a question of this slot has no answer yet."""
        return slot in self._asked

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        asked = self._asked.get(message.slot)
        if asked is None or asked.number != message.number:
            return
        del self._asked[message.slot]
        if isinstance(message.answer, MemtuiError):
            asked.refused(str(message.answer))
        else:
            asked.then(message.answer)

    def name_of(self, snapshot: Snapshot) -> str:
        """What a snapshot is called on the screen: its number, or the name of its file."""
        if self.memtui.files and snapshot.picture is not None:
            return Path(snapshot.picture.path).name
        return f"snapshot {snapshot.number}"
