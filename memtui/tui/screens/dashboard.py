"""The dashboard itself: panels over one State."""

from __future__ import annotations

from typing import ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import Input

from memtui.model.allocation import Frame
from memtui.model.command import GroupAllocations, SendInput
from memtui.model.state import Event, State
from memtui.tui.actions import bindings, key_of, shown_actions
from memtui.tui.layout import PANELS, Layout, height_class, layout_for
from memtui.tui.presenters import allocations, collector, growth, keys, log, memory, process, requests, small
from memtui.tui.presenters.line import Line
from memtui.tui.screens.base import StateScreen
from memtui.tui.widgets.chart import RssChart
from memtui.tui.widgets.lines import Lines
from memtui.tui.widgets.output import OutputView
from memtui.tui.widgets.table import LineTable, Row

_OUTPUT_MODES = ("", "half", "full")


class DashboardScreen(StateScreen[None]):
    """Everything about one process, in as many panels as fit."""

    CSS_PATH = "dashboard.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("dashboard"),
        Binding("escape", "dismiss_filter", "Clear the filter", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.view = allocations.TableView()
        self.fit_to = Layout.FULL
        self._panel = 0
        self._output_mode = ""
        self._ending_shown = False
        self._held: State | None = None

    @property
    def paused(self) -> bool:
        """Whether the picture is held still."""
        return self._held is not None

    def compose(self) -> ComposeResult:
        """All panels; the style sheet decides which of them show."""
        for name in ("identity", "status", "playback"):
            yield Lines(id=name)
        yield Input(placeholder="go to 50%, 12:30, 90s or +5m; enter goes, esc stays", id="moment", compact=True)
        for name in ("figures", "spark", "gc-line", "growth-line"):
            yield Lines(id=name)
        with Container(id="middle"):
            yield _panel("chart-panel", "memory over time", RssChart(id="chart"))
            with Vertical(id="side"):
                yield _panel("gc-panel", "garbage collector", Lines(id="gc"))
                yield _panel("growth-panel", "what grows", Lines(id="growth"))
        with Vertical(id="body"):
            table = LineTable(id="allocations")
            filter_input = Input(placeholder="filter by place or source; enter keeps it, esc clears it", id="filter")
            yield _panel("allocations-panel", "", Lines(id="allocations-title"), filter_input, table)
            yield _panel("output-panel", "output", OutputView(id="output"), *self._workload_input())
        yield _panel("log-panel", "events", Lines(id="log"))
        yield Lines(id="tiny")
        yield Lines(id="keys")

    def _workload_input(self) -> list[Input]:
        if not self.settings.workload_stdin:
            return []
        return [Input(placeholder="a line for the workload; enter sends it", id="workload-input", compact=True)]

    def on_mount(self) -> None:
        """Begin with the table under the cursor keys."""
        self.query_one("#allocations").focus()
        self.call_after_refresh(self.begin)

    def on_resize(self, event: Resize) -> None:  # type: ignore[override]
        """Choose the layout that fits. (The handler of the base class is called as well.)"""
        self._fit(event.size)
        self.call_after_refresh(self.refresh_view)

    def settle(self) -> None:
        """Choose it again: several changes of the size may have come at once."""
        self._fit(self.size)
        super().settle()

    def _fit(self, size: Size) -> None:
        self.fit_to = layout_for(*size)
        self._lay_out()

    def show_state(self, state: State) -> None:
        """Give every panel that shows its lines."""
        if state.ending and not self._ending_shown:
            self._ending_shown = True
            self._show_ending(state)
        shown = self._held or state
        if not self.size.width:
            return
        if self.fit_to is Layout.TINY:
            self._show_tiny(shown)
            return
        self._show_head(shown)
        self._show_panels(shown)
        self._show_allocations(shown)
        self.query_one(OutputView).show_output(shown.output)

    def _show_ending(self, state: State) -> None:
        """Let go of a held picture, and open the output: a traceback may be at its end."""
        self._held = None
        if state.ending is not None:
            self.app.notify(state.ending.text, title="The process has ended", severity="warning")
        if state.output is not None:
            self._output_mode = self._output_mode or "half"
            self._lay_out()

    def _show_tiny(self, state: State) -> None:
        quit_action = next(one for one in shown_actions(["app"]) if one.id == "quit")
        width, height = self.size
        lines = small.summary(state, width, height, key_of(quit_action, self.settings.keys))
        self._lines("tiny").show(lines)

    def _show_head(self, state: State) -> None:
        width = self.size.width
        self._lines("identity").show([process.identity(state, width)])
        self._lines("status").show([process.status(state, width, paused=self.paused)])
        self._lines("figures").show([memory.figures(state, width)])
        self._lines("spark").show([memory.sparkline(state, width)])
        self._lines("keys").show([self._footer(state, width)])

    def _footer(self, state: State, width: int) -> Line:
        one_panel = self.fit_to is Layout.SINGLE
        hidden = [] if one_panel else ["view"]
        hidden += ["output"] if state.output is None else []
        hidden += [] if requests.needs_agent(state) else ["attach"]
        first = ["view"] if one_panel else []
        return keys.footer("dashboard", self.settings.keys, width, hidden=hidden, first=first)

    def _show_panels(self, state: State) -> None:
        width = self.size.width
        if self.fit_to is Layout.COMPACT:
            self._lines("gc-line").show([collector.gc_line(state, width)])
            self._lines("growth-line").show([growth.growth_line(state, self.memtui.diagnosis(state), width)])
        else:
            self.query_one(RssChart).show_state(state)
            gc, grows = self._lines("gc"), self._lines("growth")
            gc.show(collector.gc_lines(state, gc.size.width))
            grows.show(growth.growth_lines(state, self.memtui.diagnosis(state), grows.size.width, grows.size.height))
        events = self._lines("log")
        events.show(log.event_lines(self._events(state), events.size.width, events.size.height))

    def _show_allocations(self, state: State) -> None:
        table = self.query_one("#allocations", LineTable)
        width = table.size.width - 1
        rows = allocations.rows(state, self.view, width)
        tracing = state.tracing is not None and state.tracing.on
        kept = [Row(row.frames, row.line) for row in rows] if tracing or state.ending else []
        header = allocations.header(state, width) if kept else ()
        table.show_rows(header, kept, allocations.empty(state, self.view, width))
        self._lines("allocations-title").show([allocations.title(state, self.view, width + 1, table.shown)])

    def action_pause(self) -> None:
        """Hold the picture, or let it go on."""
        self._held = None if self.paused else self.state
        self.refresh_view()

    def action_sort(self) -> None:
        """The next order of the table."""
        self.view = self.view.next_sort()
        self.refresh_view()

    def action_group(self) -> None:
        """Group allocations by the next of line, file and traceback."""
        groups = allocations.GROUPS
        self.memtui.session.request(GroupAllocations(groups[(groups.index(self.state.group_by) + 1) % len(groups)]))

    def action_filter(self) -> None:
        """Open the line for the filter."""
        if self.fit_to is Layout.SINGLE:
            self._panel = 0
            self._lay_out()
        entry = self.query_one("#filter", Input)
        entry.add_class("-open")
        entry.focus()

    def action_dismiss_filter(self) -> None:
        """Clear the filter and close its line."""
        self.query_one("#filter", Input).value = ""
        self._close_filter()

    def action_output(self) -> None:
        """Show the output on half of the screen, on all of it, not at all."""
        modes = _OUTPUT_MODES if self.fit_to is Layout.FULL else ("", "full")
        at = modes.index(self._output_mode) if self._output_mode in modes else 1
        self._output_mode = modes[(at + 1) % len(modes)]
        self._lay_out()
        focus = "#output" if self._output_mode else "#allocations"
        if self._output_mode and self.settings.workload_stdin:
            focus = "#workload-input"
        self.query_one(focus).focus()

    def action_view(self) -> None:
        """The next panel, where only one fits."""
        self._panel = (self._panel + 1) % len(PANELS)
        self._lay_out()

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.view = allocations.TableView(self.view.sort, event.value.strip())
        self.refresh_view()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        self.query_one("#filter").remove_class("-open")
        self.query_one("#allocations").focus()

    @on(Input.Submitted, "#workload-input")
    def _send_input(self, event: Input.Submitted) -> None:
        self.memtui.session.request(SendInput(event.value))
        event.input.clear()

    @on(LineTable.Chosen, "#allocations")
    def _open_row(self, event: LineTable.Chosen) -> None:
        from memtui.tui.screens.detail import DetailScreen

        frames = cast("tuple[Frame, ...]", event.key)
        self.app.push_screen(DetailScreen(self._held or self.state, frames))

    def _events(self, state: State) -> list[Event]:
        ours = [event for event in self.memtui.local_events if event.at_seconds <= state.now_seconds]
        return sorted([*state.events, *ours], key=lambda event: event.at_seconds)

    def _lines(self, name: str) -> Lines:
        return self.query_one(f"#{name}", Lines)

    def _lay_out(self) -> None:
        classes = {f"-{self.fit_to.value}", f"-panel-{PANELS[self._panel]}", f"-{height_class(self.size.height)}"}
        if self._output_mode:
            classes.add(f"-output-{self._output_mode}")
        self.set_classes(classes)
        self.call_after_refresh(self.refresh_view)


def _panel(name: str, title: str, *content: Lines | Input) -> Vertical:
    panel = Vertical(*content, id=name, classes="panel")
    panel.border_title = title and f" {title} "
    return panel
