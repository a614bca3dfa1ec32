"""The application on a recording: what needs a process is not offered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from memtui.errors import UsageError
from memtui.heap.book import HeapBook
from memtui.model.allocation import Snapshot
from memtui.model.command import Command
from memtui.session.replay import REFUSAL
from memtui.tui.app import MemtuiApp, open_heap
from memtui.tui.books import Book, Shelf
from memtui.tui.screens.replay import ReplayScreen


class ReplayApp(MemtuiApp):
    """Shows a session that plays a recording."""

    MODES = {"dashboard": ReplayScreen, "files": open_heap}
    DEFAULT_MODE = "dashboard"

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **{"shelf": Shelf(open_book), **keywords})

    @property
    def hidden(self) -> list[str]:
        """Actions that mean nothing here."""
        return ["snapshot", "trace", "collect", "attach", "record", "leak-check", "native"]

    def comparable(self, snapshot: Snapshot) -> Snapshot:
        """Without its picture, types and lines are compared as the recording holds them."""
        gone = snapshot.picture is not None and not Path(snapshot.picture.path).is_file()
        return replace(snapshot, picture=None) if gone else snapshot

    def _tell_news(self) -> None:
        """It is no news: what was asked was answered, and the log tells the rest."""

    def _ask_of_session(self, command: Command) -> None:
        self.notify(REFUSAL)
        self.session.request(command)


def open_book(path: str) -> Book:
    """A picture that was taken in the recorded session, where its file is still there. Raises UsageError."""
    if not Path(path).is_file():
        raise UsageError(
            "This heap picture is not part of the recording.",
            why="It was a file of its own, which was deleted with its session.",
            next_step="To keep one: memtui snapshot PID, or w in the heap screen.",
        )
    return HeapBook(path)
