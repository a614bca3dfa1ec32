"""A question with yes and no."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from memtui.tui.presenters.line import Line, Span, line
from memtui.tui.presenters.text import wrap
from memtui.tui.widgets.lines import Lines


class AskScreen(ModalScreen[bool]):
    """Asks ``question``; the result is whether the answer was yes."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", "Yes", show=False),
        Binding("n,escape,q", "answer(False)", "No", show=False),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question over its two keys."""
        with Vertical(id="dialog"):
            yield Lines(id="text")
            yield Lines(id="answers")

    def on_mount(self) -> None:
        """Say what there is to say."""
        self.query_one("#answers", Lines).show([_answers()])

    def on_lines_resized(self) -> None:
        """Break the question to the width there is."""
        text = self.query_one("#text", Lines)
        text.show([line(part) for part in [*wrap(self._question, max(10, text.size.width)), ""]])

    def action_answer(self, yes: bool) -> None:
        """Close with the answer."""
        self.dismiss(yes)


def _answers() -> Line:
    return line(
        Span("y", "key", "screen.answer(True)"), Span(" Yes", "", "screen.answer(True)"), "    ",
        Span("n", "key", "screen.answer(False)"), Span(" No", "", "screen.answer(False)"),
    )  # fmt: skip
