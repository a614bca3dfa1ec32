"""All keys, and what the words on the screen mean."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from memtui.tui.presenters.help import help_lines
from memtui.tui.widgets.lines import Lines


class HelpScreen(ModalScreen[None]):
    """The keys with what they do, then a glossary."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss(None)", "Back", show=False)]

    def __init__(self, keys: dict[str, str]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        """A box that scrolls."""
        with VerticalScroll(id="dialog") as box:
            box.border_title = "keys and words"
            box.border_subtitle = "esc closes"
            yield Lines(id="text")

    def on_lines_resized(self) -> None:
        """Break the lines to the width there is."""
        text = self.query_one("#text", Lines)
        text.show(help_lines(self._keys, text.size.width))
