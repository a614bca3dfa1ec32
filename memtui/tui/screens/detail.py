"""One allocation in full, over the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from memtui.model.allocation import Frame
from memtui.model.state import State
from memtui.tui.presenters.detail import detail_lines, find
from memtui.tui.presenters.line import line
from memtui.tui.presenters.text import clean, wrap
from memtui.tui.widgets.lines import Lines


class DetailScreen(ModalScreen[None]):
    """Figures, source line and every frame of the group with these ``frames``."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss(None)", "Back", show=False)]

    def __init__(self, state: State, frames: tuple[Frame, ...]) -> None:
        super().__init__()
        self._state = state
        self._frames = frames

    def compose(self) -> ComposeResult:
        """A box that scrolls."""
        with VerticalScroll(id="dialog") as box:
            box.border_title = "allocation"
            box.border_subtitle = "esc closes"
            yield Lines(id="text")

    def on_lines_resized(self) -> None:
        """Break the lines to the width there is."""
        text = self.query_one("#text", Lines)
        row = find(self._state, self._frames)
        text.show(detail_lines(self._state, row, text.size.width) if row else [line("No longer among the listed.")])


class TextScreen(ModalScreen[None]):
    """Lines under a title."""

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,left", "dismiss(None)", "Back", show=False)]

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._title = title
        self._texts = tuple(lines)

    def compose(self) -> ComposeResult:
        """A box that scrolls."""
        with VerticalScroll(id="dialog") as box:
            box.border_title = self._title
            box.border_subtitle = "esc closes"
            yield Lines(id="text")

    def on_lines_resized(self) -> None:
        """Break the lines to the width there is."""
        text = self.query_one("#text", Lines)
        width = max(10, text.size.width)
        # What fits stays as it is: columns are not to be closed up.
        cleaned = [clean(one) for one in self._texts]
        text.show([line(part) for one in cleaned for part in ([one] if len(one) <= width else wrap(one, width))])
