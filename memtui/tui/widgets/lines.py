"""A widget that shows lines and redraws only those that changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from memtui.tui.presenters.changes import changed_runs
from memtui.tui.presenters.line import EMPTY, ROLES, Line, Span
from memtui.tui.presenters.text import to_ascii

_PREFIX = "line--"


class Lines(Widget):
    """Rows of text. ``show`` compares with what is on the screen: an unchanged row costs nothing."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {_PREFIX + role for role in (*ROLES, "cursor", "cursor-blurred")}
    DEFAULT_CSS = """
    Lines {
        height: auto;
        & > .line--dim { color: $mem-dim; }
        & > .line--strong { color: $mem-strong; text-style: bold; }
        & > .line--title { color: $mem-title; text-style: bold; }
        & > .line--key { color: $mem-key; text-style: bold; }
        & > .line--accent { color: $mem-chart; }
        & > .line--good { color: $mem-good; }
        & > .line--warn { color: $mem-warn; text-style: bold; }
        & > .line--bad { color: $mem-bad; text-style: bold; }
        & > .line--grow { color: $mem-grow; }
        & > .line--shrink { color: $mem-shrink; }
        & > .line--busy { color: $mem-strong; text-style: bold reverse; }
        & > .line--cursor { background: $mem-cursor; text-style: $mem-cursor-style; }
        & > .line--cursor-blurred { background: $mem-cursor-blurred; }
    }
    """

    class Resized(Message):
        """The widget has another size now: its lines must be made anew."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        """What is shown, top down."""
        return self._lines

    def show(self, lines: Iterable[Line]) -> None:
        """Show ``lines`` from the top."""
        new, old = tuple(lines), self._lines
        if new == old:
            return
        self._lines = new
        width, height = self.size
        regions = [
            Region(start, row, length, 1)
            for row in range(min(height, max(len(new), len(old))))
            for start, length in changed_runs(_at(old, row), _at(new, row), width)
        ]
        if regions:
            self.refresh(*regions)
        if len(new) != len(old) and self.styles.height is not None and self.styles.height.is_auto:
            self.refresh(layout=True)

    def redraw(self, rows: Iterable[int]) -> None:
        """Draw these rows of the widget again."""
        width, height = self.size
        regions = [Region(0, row, width, 1) for row in rows if 0 <= row < height]
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        """Ask for lines that fit."""
        self.post_message(self.Resized())

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """As many rows as there are lines."""
        return max(1, len(self._lines))

    def line_at(self, row: int) -> tuple[Line, str]:
        """The line drawn in a row, and the role under the whole of it."""
        return _at(self._lines, row), ""

    def render_line(self, y: int) -> Strip:
        """One row as few segments."""
        spans, under = self.line_at(y)
        base = self.rich_style
        if under:
            base += self.get_component_rich_style(_PREFIX + under, partial=True)
        ascii_only = self.app.has_class("-ascii")
        segments = [
            Segment(to_ascii(span.text) if ascii_only else span.text, self._style(span, base))
            for span in merge(spans)
        ]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _style(self, span: Span, base: Style) -> Style:
        style = base
        if span.role:
            style = base + self.get_component_rich_style(_PREFIX + span.role, partial=True)
        return style + Style.from_meta({"@click": span.action}) if span.action else style


def merge(spans: Line) -> list[Span]:
    """Neighbours of the same role as one span: each span costs an escape sequence on the wire."""
    merged: list[Span] = []
    for span in spans:
        if merged and merged[-1].role == span.role and merged[-1].action == span.action:
            merged[-1] = merged[-1]._replace(text=merged[-1].text + span.text)
        else:
            merged.append(span)
    return merged


def _at(lines: tuple[Line, ...], row: int) -> Line:
    return lines[row] if 0 <= row < len(lines) else EMPTY
