"""Two snapshots compared."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from memtui.analysis.diff import Diff, DiffBy, diff_snapshots
from memtui.model.allocation import Snapshot
from memtui.model.state import State
from memtui.tui.actions import bindings
from memtui.tui.presenters import keys, process, requests, snapshots
from memtui.tui.screens.base import StateScreen
from memtui.tui.widgets.lines import Lines
from memtui.tui.widgets.table import LineTable, Row


class DiffScreen(StateScreen[None]):
    """The list of snapshots, of which two are marked, over the difference of these two."""

    CSS_PATH = "diff.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("diff"), Binding("d", "close", "Back", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self.by: DiffBy = "line"
        self._first: int | None = None
        self._second: int | None = None
        self._diff: tuple[tuple[int, int, DiffBy], Diff] | None = None

    def compose(self) -> ComposeResult:
        """List, note, table, keys."""
        yield Lines(id="identity")
        with Vertical(id="snapshots-panel", classes="panel") as panel:
            panel.border_title = " snapshots "
            yield LineTable(id="snapshots")
        with Vertical(id="diff-panel", classes="panel") as panel:
            panel.border_title = " difference "
            yield Lines(id="note")
            yield LineTable(id="rows")
        yield Lines(id="keys")

    def on_mount(self) -> None:
        """Mark the last two snapshots."""
        taken = self.state.snapshots
        if len(taken) >= 2:
            self._first, self._second = taken[-2].number, taken[-1].number
            if any(one.scanned for one in taken[-2:]):
                self.by = "type"  # a scan from outside knows no lines
        self.query_one("#snapshots").focus()
        self.call_after_refresh(self.begin)

    @on(Lines.Resized)
    def _lines_resized(self) -> None:
        self.refresh_view()

    def on_screen_resume(self) -> None:
        """Catch up with what happened under another screen."""
        self.refresh_view()

    def show_state(self, state: State) -> None:
        """The list may have grown; the difference changes only with the marks."""
        self._mark_missing(state.snapshots)
        width = self.size.width
        self.query_one("#identity", Lines).show([process.identity(state, width)])
        hidden = ["diff"] if requests.needs_agent(state) else ["diff", "attach"]
        self.query_one("#keys", Lines).show([keys.footer("diff", self.settings.keys, width, hidden=hidden)])
        rows = [Row(one.number, snapshots.list_row(one, self._mark(one.number))) for one in state.snapshots]
        table = self.query_one("#snapshots", LineTable)
        table.show_rows(snapshots.list_header() if rows else (), rows, snapshots.too_few(len(rows)))
        table.styles.height = max(3, len(rows) + 1)
        self._show_difference(state.snapshots)

    def action_diff_from(self) -> None:
        """The snapshot under the cursor is what is compared from."""
        self._first = self._under_cursor() or self._first
        self.refresh_view()

    def action_diff_to(self) -> None:
        """The snapshot under the cursor is what is compared to."""
        self._second = self._under_cursor() or self._second
        self.refresh_view()

    def action_diff_by(self) -> None:
        """The next of line, file and type."""
        self.by = snapshots.next_by(self.by)
        self.refresh_view()

    def action_close(self) -> None:
        """Back to the dashboard."""
        self.dismiss(None)

    @on(LineTable.Chosen, "#snapshots")
    def _chosen(self) -> None:
        self.action_diff_to()

    def _under_cursor(self) -> int | None:
        key = self.query_one("#snapshots", LineTable).cursor_key
        return key if isinstance(key, int) else None

    def _mark_missing(self, taken: tuple[Snapshot, ...]) -> None:
        numbers = [one.number for one in taken]
        if self._first not in numbers or self._second not in numbers:
            self._first, self._second = (numbers[-2], numbers[-1]) if len(numbers) >= 2 else (None, None)

    def _mark(self, number: int) -> str:
        return "from" if number == self._first else "to" if number == self._second else ""

    def _show_difference(self, taken: tuple[Snapshot, ...]) -> None:
        note, table = self.query_one("#note", Lines), self.query_one("#rows", LineTable)
        pair = {one.number: one for one in taken}
        first, second = pair.get(self._first or 0), pair.get(self._second or 0)
        if first is None or second is None:
            note.show(snapshots.too_few(len(taken)) if taken else [])
            table.show_rows((), ())
            return
        diff = self._difference(first, second)
        width = table.size.width - 1
        note.show(snapshots.diff_note(diff, note.size.width))
        rows = [Row(row.label, snapshots.diff_row(row, self.by, width)) for row in diff.rows]
        table.show_rows(snapshots.diff_header(self.by, width) if rows else (), rows)

    def _difference(self, first: Snapshot, second: Snapshot) -> Diff:
        wanted = (first.number, second.number, self.by)
        if self._diff is None or self._diff[0] != wanted:
            diff = diff_snapshots(first, second, self.by)
            self._diff = (wanted, snapshots.with_sources(diff, self.state.allocations))
        return self._diff[1]
