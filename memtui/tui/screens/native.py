"""What a native recording says: whose code allocated and did not free."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from memtui.model.state import State
from memtui.tui.actions import bindings
from memtui.tui.presenters import keys, native, process
from memtui.tui.screens.base import StateScreen
from memtui.tui.screens.detail import TextScreen
from memtui.tui.widgets.lines import Lines
from memtui.tui.widgets.table import LineTable, Row

_ELSEWHERE = ("trace", "collect", "attach", "heap", "diff", "export", "snapshot")


class NativeScreen(StateScreen[None]):
    """The last recording: what it comes to, where it is kept, and its call sites; Enter shows all about one."""

    CSS_PATH = "native.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("native")]

    def compose(self) -> ComposeResult:
        """Summary, call sites, keys."""
        yield Lines(id="identity")
        with Vertical(id="summary-panel", classes="panel") as panel:
            panel.border_title = " native allocations "
            yield Lines(id="summary")
        with Vertical(id="sites-panel", classes="panel") as panel:
            panel.border_title = " allocated and not freed, by call site "
            yield LineTable(id="sites")
        yield Lines(id="keys")

    def on_mount(self) -> None:
        """Begin with the table under the cursor keys."""
        self.query_one("#sites").focus()
        self.call_after_refresh(self.begin)

    def show_state(self, state: State) -> None:
        """There may be another recording, or one under way."""
        width = self.size.width
        self.query_one("#identity", Lines).show([process.identity(state, width, progress=True)])
        self.query_one("#keys", Lines).show([keys.footer("native", self.settings.keys, width, hidden=_ELSEWHERE)])
        result = state.native
        if result is None:
            return
        short = self.size.height < 30
        self.query_one("#summary", Lines).show(native.summary(result, width - 2, short=short))
        table = self.query_one("#sites", LineTable)
        room = table.size.width - 1
        rows = [
            Row(number, native.site_line(one, result.report, room)) for number, one in enumerate(result.report.sites)
        ]
        table.show_rows(native.site_header(room), rows, native.nothing(room))

    def action_native_back(self) -> None:
        """Back to where it was opened."""
        self.dismiss(None)

    @on(LineTable.Chosen, "#sites")
    def _chosen(self, event: LineTable.Chosen) -> None:
        result = self.state.native
        if result is not None and isinstance(event.key, int) and event.key < len(result.report.sites):
            width = max(30, min(100, self.size.width) - 8)
            self.app.push_screen(TextScreen("call site", native.site_lines(result.report.sites[event.key], width)))
