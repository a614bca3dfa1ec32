"""A table with a cursor, drawn row by row."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from memtui.tui.presenters.line import EMPTY, Line, Span
from memtui.tui.widgets.lines import Lines

_MARGIN = 2
"""Rows that stay in sight beyond the cursor."""


class Row(NamedTuple):
    """A row: ``key`` says what it is about, so that the cursor stays on it when the order changes."""

    key: Hashable
    line: Line


class LineTable(Lines, can_focus=True):
    """A header and rows of which one is under the cursor. Shows ``empty`` when there are no rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First", show=False),
        Binding("end", "move(1000000)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]
    DEFAULT_CSS = "LineTable { height: 1fr; }"

    class Chosen(Message):
        """Enter or a second click on a row."""

        def __init__(self, table: LineTable, key: Hashable) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> LineTable:
            """The table, for ``@on`` selectors."""
            return self.table

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._header: Line = EMPTY
        self._rows: tuple[Row, ...] = ()
        self._empty: tuple[Line, ...] = ()
        self._cursor = 0
        self._top = 0

    @property
    def cursor_key(self) -> Hashable | None:
        """Key of the row under the cursor."""
        return self._rows[self._cursor].key if self._rows else None

    @property
    def shown(self) -> tuple[int, int, int]:
        """First and last row on the screen (from 1), and how many there are."""
        last = min(len(self._rows), self._top + self._room)
        return (min(self._top + 1, last), last, len(self._rows))

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 1)

    def show_rows(self, header: Line, rows: Sequence[Row], empty: Sequence[Line] = ()) -> None:
        """Show other rows; the cursor stays on its row, or on its place when that is gone."""
        key = self.cursor_key
        self._header, self._rows, self._empty = header, tuple(rows), tuple(empty)
        if self._top or self._cursor:
            found = next((index for index, row in enumerate(rows) if row.key == key), self._cursor)
            self._cursor = max(0, min(found, len(rows) - 1))
        self._draw()

    def go_to(self, key: Hashable | None) -> None:
        """Put the cursor on the row with ``key``, on the first one when there is none."""
        self._cursor = next((index for index, row in enumerate(self._rows) if row.key == key), 0)
        self._top = 0
        self._draw()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        super().on_resize()
        self._draw()

    def on_focus(self) -> None:
        """The cursor looks different with the focus."""
        self.redraw([self._cursor_row])

    def on_blur(self) -> None:
        """The cursor looks different without the focus."""
        self.redraw([self._cursor_row])

    def line_at(self, row: int) -> tuple[Line, str]:
        """A row, with the cursor under it where it is."""
        found, _ = super().line_at(row)
        if not self._rows or row != self._cursor_row:
            return found, ""
        return found, "cursor" if self.has_focus else "cursor-blurred"

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        if self._rows:
            before = self._cursor_row
            self._cursor = max(0, min(len(self._rows) - 1, self._cursor + by))
            self._draw()
            self.redraw([before, self._cursor_row])

    def action_page(self, by: int) -> None:
        """Move the cursor by a screen of rows."""
        self.action_move(by * self._room)

    def action_choose(self) -> None:
        """Say which row was chosen."""
        if self._rows:
            self.post_message(self.Chosen(self, self._rows[self._cursor].key))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a second one opens the row."""
        index = self._top + event.get_content_offset_capture(self).y - 1
        if self._top <= index < len(self._rows):
            if index == self._cursor:
                self.action_choose()
            else:
                self.action_move(index - self._cursor)

    def on_mouse_scroll_down(self) -> None:
        """Three rows down."""
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        """Three rows up."""
        self.action_move(-3)

    @property
    def _cursor_row(self) -> int:
        return self._cursor - self._top + 1

    def _draw(self) -> None:
        room = self._room
        self._cursor = max(0, min(self._cursor, len(self._rows) - 1))
        margin = min(_MARGIN, (room - 1) // 2)
        self._top = max(min(self._top, self._cursor - margin), self._cursor - room + 1 + margin)
        self._top = max(0, min(self._top, len(self._rows) - room))
        if not self._rows:
            self.show((self._header, *self._empty))
            return
        body = []
        for index, row in enumerate(self._rows[self._top : self._top + room], self._top):
            mark = "▸" if index == self._cursor else " "
            body.append((Span(mark, "key"), *row.line))
        self.show(((Span(" "), *self._header), *body))
