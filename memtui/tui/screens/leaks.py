"""Is it leaking, what, and who holds it: the verdict over its suspects."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from memtui.model.command import CheckCycles, CheckForLeaks
from memtui.model.cycles import CycleCheck
from memtui.model.state import State
from memtui.model.suspect import Suspect
from memtui.tui.actions import bindings
from memtui.tui.presenters import cycles, keys, leaks, process
from memtui.tui.presenters.line import Line, Span, line
from memtui.tui.presenters.text import clean, wrap
from memtui.tui.screens.base import StateScreen
from memtui.tui.screens.detail import TextScreen
from memtui.tui.widgets.lines import Lines
from memtui.tui.widgets.table import LineTable, Row

_ELSEWHERE = ("record", "trace", "collect", "attach", "leaks", "heap", "diff", "export")
"""Keys that work here too, and are left out of the last row to make room for those of this screen."""


class LeaksScreen(StateScreen[None]):
    """The verdict with its reasons, and the suspects; Enter shows all there is about one."""

    CSS_PATH = "leaks.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("leaks"), Binding("l", "leak_back", "Back", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._shown_check: CycleCheck | None = None

    def compose(self) -> ComposeResult:
        """Verdict, suspects, keys."""
        yield Lines(id="identity")
        with Vertical(id="verdict-panel", classes="panel") as panel:
            panel.border_title = " verdict "
            yield Lines(id="verdict")
        with Vertical(id="suspects-panel", classes="panel") as panel:
            panel.border_title = " suspects "
            yield LineTable(id="suspects")
        yield Lines(id="keys")

    def on_mount(self) -> None:
        """Show it; begin to look when nothing was looked at yet."""
        self._shown_check = self.state.cycles
        self.query_one("#suspects").focus()
        self.call_after_refresh(self.begin)

    def show_state(self, state: State) -> None:
        """The verdict may have changed."""
        width = self.size.width
        self.query_one("#identity", Lines).show([process.identity(state, width)])
        self.query_one("#keys", Lines).show(
            [keys.footer("leaks", self.settings.keys, width, hidden=[*_ELSEWHERE, *self.memtui.hidden])]
        )
        diagnosis = self.memtui.diagnosis(state)
        verdict = self.query_one("#verdict", Lines)
        reasons = [part for told in diagnosis.verdict.reasons for part in wrap(clean(told), verdict.size.width - 2)]
        offer = wrap(leaks.first_offer(diagnosis, self.settings.keys), verdict.size.width - 2)
        offer = offer if offer != [""] else []
        told = [line("  ", Span(one, "dim")) for one in reasons[: max(2, 6 - len(offer))]]
        verdict.show([leaks.headline(diagnosis), *told, *(line("  ", Span(one)) for one in offer)])
        table = self.query_one("#suspects", LineTable)
        rows = [Row(one.signature, leaks.suspect_line(one, table.size.width - 1)) for one in diagnosis.suspects]
        if state.cycles is not None:
            rows.append(Row(cycles.ROW_KEY, cycles.cycle_row(state.cycles, table.size.width - 1)))
        table.show_rows((), rows, self._nothing(state, table.size.width - 1))
        if state.cycles is not None and state.cycles is not self._shown_check:
            self._shown_check = state.cycles
            self._show_cycles(state.cycles)

    def action_leak_check(self) -> None:
        """Take a few pictures over a minute."""
        self.memtui.ask(CheckForLeaks())

    def action_leak_expect(self) -> None:
        """The suspect under the cursor is expected, or is not any more."""
        one = self._under_cursor()
        if one is not None:
            self.memtui.expect(one)
            self.refresh_view()

    def action_leak_cycles(self) -> None:
        """Run a checked collection; what it found is shown when it is there."""
        self.memtui.ask(CheckCycles())

    def action_leak_back(self) -> None:
        """Back to the dashboard."""
        self.dismiss(None)

    @on(LineTable.Chosen, "#suspects")
    def _chosen(self) -> None:
        check = self.state.cycles
        if check is not None and self.query_one("#suspects", LineTable).cursor_key == cycles.ROW_KEY:
            self._show_cycles(check)
            return
        one = self._under_cursor()
        if one is not None:
            lines = leaks.evidence_lines(self.state, one, self._text_width(), self.settings.keys)
            self.app.push_screen(TextScreen("evidence", lines))

    def _show_cycles(self, check: CycleCheck) -> None:
        lines = cycles.cycle_lines(check, self._text_width())
        self.app.push_screen(TextScreen("cycles", lines))

    def _text_width(self) -> int:
        return max(30, min(100, self.size.width) - 12)

    def _under_cursor(self) -> Suspect | None:
        key = self.query_one("#suspects", LineTable).cursor_key
        found = self.memtui.diagnosis(self.state).suspects
        return next((one for one in found if one.signature == key), None)

    def _nothing(self, state: State, width: int) -> list[Line]:
        if state.evidence is not None:
            text = "Nothing in the heap grew that matters between the first picture and the last."
        else:
            text = "c takes four heap pictures over a minute and compares them; s takes one picture at a time."
        return [line(Span(part, "dim")) for part in wrap(text, max(width, 20))]
