"""What the workload writes, following its end."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from memtui.model.state import Output
from memtui.tui.presenters.log import output_lines
from memtui.tui.widgets.lines import Lines


class OutputView(Lines, can_focus=True):
    """The tail of the output; page up looks back, end follows again."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "back(1)", "Back", show=False),
        Binding("down", "back(-1)", "Forward", show=False),
        Binding("pageup", "page(1)", "Page back", show=False),
        Binding("pagedown", "page(-1)", "Page forward", show=False),
        Binding("home", "back(1000000)", "First line", show=False),
        Binding("end", "back(-1000000)", "Follow", show=False),
    ]
    DEFAULT_CSS = "OutputView { height: 1fr; }"
    _output: Output | None = None
    _back = 0

    def show_output(self, output: Output | None) -> None:
        """Show the end of ``output``, or what the user looked back to."""
        if self._back and output is not None and self._output is not None:
            self._back += max(0, output.total_lines - self._output.total_lines)
        self._output = output
        self._draw()

    def on_resize(self) -> None:
        """Break the lines anew."""
        super().on_resize()
        self._draw()

    def action_back(self, rows: int) -> None:
        """Look back (or forward, with a negative number) by rows."""
        self._back = max(0, self._back + rows)
        self._draw()

    def action_page(self, pages: int) -> None:
        """Look back or forward by screens."""
        self.action_back(pages * max(1, self.size.height - 1))

    def on_mouse_scroll_up(self) -> None:
        """Three rows back."""
        self.action_back(3)

    def on_mouse_scroll_down(self) -> None:
        """Three rows forward."""
        self.action_back(-3)

    def _draw(self) -> None:
        width, height = self.size
        if not self.display or not width or not height:
            return
        lines = output_lines(self._output, width, last=height + self._back)
        self._back = max(0, min(self._back, len(lines) - height))
        end = len(lines) - self._back
        self.show(lines[max(0, end - height) : end])
