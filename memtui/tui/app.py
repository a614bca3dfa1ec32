"""The dashboard application: themes, keys, screens, and what the keys ask of the session."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.notifications import SeverityLevel
from textual.screen import Screen

from memtui.analysis.diagnosis.diagnose import Diagnosis
from memtui.errors import EXIT_INTERRUPTED, MemtuiError, WriteError
from memtui.model.alert import Alert
from memtui.model.allocation import Snapshot
from memtui.model.command import (
    ClimbToAgent,
    CollectGarbage,
    Command,
    StartRecording,
    StartTracing,
    StopRecording,
    StopTracing,
    TakeSnapshot,
)
from memtui.model.state import EVENT_BOUND, Event, EventKind, State
from memtui.model.suspect import Suspect
from memtui.paths import default_file
from memtui.session.expected import load_expected, save_expected
from memtui.session.interface import Session
from memtui.tui.actions import Scope, bindings, shown_actions
from memtui.tui.books import Shelf
from memtui.tui.bridge import Bridge, StateChanged
from memtui.tui.encoding import replace_what_cannot_be_encoded
from memtui.tui.native_key import NativeKey
from memtui.tui.presenters import requests
from memtui.tui.presenters.leaks import DiagnosisMemo, name_of
from memtui.tui.presenters.text import clean, to_ascii
from memtui.tui.screens.base import StateScreen
from memtui.tui.screens.dashboard import DashboardScreen
from memtui.tui.settings import Settings
from memtui.tui.themes import VARIABLE_DEFAULTS

TRACEBACK_FRAMES = 10
_ALERTS_AT_ONCE = 3
"""A leap in a recording may pass many."""
_NO_PROCESS = "A file is open; there is no process behind it."
Exporter = Callable[[State], Path]


def open_heap() -> Screen[None]:
    """The heap screen, loaded when it is needed."""
    from memtui.tui.screens.heap import HeapScreen

    return HeapScreen()


class MemtuiApp(App[None]):
    """Shows a session. It reads States and sends requests; it starts, stops and touches nothing else.

    ``shelf`` opens heap pictures; it is closed with the application.
    """

    files: ClassVar[bool] = False
    """Whether the session has pictures of files, and no process."""

    TITLE = "memtui"
    ENABLE_COMMAND_PALETTE = False
    MODES = {"dashboard": DashboardScreen, "files": open_heap}
    DEFAULT_MODE = "dashboard"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("app"),
        Binding("ctrl+c", "interrupt", "Quit", show=False, priority=True),
    ]

    def __init__(
        self,
        session: Session,
        *,
        exporter: Exporter,
        settings: Settings,
        shelf: Shelf | None = None,
    ) -> None:
        theme = settings.themes.get(settings.theme)
        # Textual picks its colour filters while it is built, when no theme of ours is known to it yet.
        super().__init__(ansi_color=True if theme is not None and theme.ansi else None)
        self.use_command_palette = True
        self.session = session
        self.settings = settings
        self._exporter = exporter
        self._bridge = Bridge(session, self)
        self.shelf = shelf or Shelf()
        self._memo = DiagnosisMemo()
        self.expected = load_expected()
        self._announced: set[str] = set()
        self._asked = 0
        self._native = NativeKey(self)
        self.local_events: list[Event] = []
        self._alerted: set[Alert] = set()
        for one in settings.themes.values():
            self.register_theme(one)
        if theme is not None:
            self.theme = theme.name
            for name in self.available_themes.keys() - settings.themes.keys():
                self.unregister_theme(name)
        self.set_class(settings.ascii, "-ascii")
        self.set_keymap(dict(settings.keys))

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Values of our own variables for themes that do not set them."""
        return dict(VARIABLE_DEFAULTS)

    @property
    def hidden(self) -> list[str]:
        """Actions that mean nothing here."""
        without = ["snapshot", "trace", "collect", "export", "record", "attach", "leaks", "native"]
        return without if self.files else []

    def on_mount(self) -> None:
        """Look at the session from now on."""
        self.ansi_color = None
        self._alerted = _raised(self.session.state)
        self._bridge.open()
        if self.files and len(self.session.state.snapshots) > 1:
            self.action_diff()
        if self.settings.problems:
            at = self.session.state.now_seconds
            self.local_events += [Event(at, EventKind.WARNING, problem) for problem in self.settings.problems]
            self.notify("\n".join(self.settings.problems), title="Settings", severity="warning", timeout=15)

    def on_unmount(self) -> None:
        """Look no more; the session belongs to the caller."""
        self._bridge.close()
        self.shelf.close()

    def on_state_changed(self, _: StateChanged) -> None:
        """Show the newest State on the screen that is on top."""
        self._tell_news()
        if isinstance(self.screen, StateScreen):
            self.screen.refresh_view()

    def _tell_news(self) -> None:
        """Show what wants to be seen at once, on whatever screen."""
        question = self.session.state.question
        if question is not None and question.number > self._asked:
            self._asked = question.number
            self._confirm(question.text, question.command)
        self._native.look(self.session.state)
        self._tell_alerts()

    def _tell_alerts(self) -> None:
        """Show alerts that are new for a while, and ring the bell if the user wants it."""
        raised = _raised(self.session.state)
        fresh, self._alerted = sorted(raised - self._alerted, key=lambda one: one.at_seconds), raised
        for alert in fresh[-_ALERTS_AT_ONCE:]:
            severity: SeverityLevel = "error" if alert.level == "critical" else "warning"
            self.notify(alert.text, title=alert.level.capitalize(), severity=severity, timeout=10)
        if any(one.level in self.settings.bell for one in fresh):
            self.bell()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """A notification, never read as markup: paths and commands contain brackets."""
        text = "\n".join(clean(line) for line in message.splitlines())
        if self.settings.ascii:
            text = to_ascii(text)
        super().notify(text, title=title, severity=severity, timeout=timeout, markup=markup)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Our actions that work on ``screen``, and the choice of a theme."""
        scopes: list[Scope] = ["app", "dashboard"] if isinstance(screen, DashboardScreen) else ["app"]
        for one in shown_actions(scopes):
            if one.id != "palette" and one.id not in self.hidden:
                target = screen if one.scope == "dashboard" else self
                yield SystemCommand(one.label, one.tooltip, getattr(target, f"action_{one.method}"))
        many = partial(self._ask_of_session, StartTracing(TRACEBACK_FRAMES))
        yield SystemCommand(f"Trace with {TRACEBACK_FRAMES} frames", "Shows callers too; costs more", many)
        yield SystemCommand("Theme", "Choose other colours", self.action_change_theme)

    def action_interrupt(self) -> None:
        """Quit as Ctrl-C does: the return code tells the caller."""
        self.exit(return_code=EXIT_INTERRUPTED)

    def action_attach(self) -> None:
        """Put the agent in."""
        if requests.needs_agent(self.session.state):
            self._ask_of_session(ClimbToAgent())
        else:
            self.notify("The agent is in the process already.")

    def action_trace(self) -> None:
        """Start or stop tracing."""
        tracing = self.session.state.tracing
        self._ask_of_session(StopTracing() if tracing is not None and tracing.on else StartTracing())

    def action_snapshot(self) -> None:
        """Take a snapshot; the session asks back when it would stop the process for long."""
        self._ask_of_session(TakeSnapshot())

    def action_record(self) -> None:
        """Begin or end a recording; also of a process that has ended, for what there is of it."""
        state = self.session.state
        if self.files or state.playback is not None:
            self.notify(_NO_PROCESS)
        elif state.recording is not None:
            self.session.request(StopRecording())
        else:
            path = default_file(state.target.pid, state.started_at + state.now_seconds, ".memtui")
            self.session.request(StartRecording(str(path)))

    def action_collect(self) -> None:
        """Collect garbage, with a question first when it would stop the process for long."""
        self._confirm(requests.collection_question(self.session.state), CollectGarbage())

    def action_diff(self) -> None:
        """Compare snapshots."""
        from memtui.tui.screens.diff import DiffScreen

        if not isinstance(self.screen, DiffScreen):
            self.push_screen(DiffScreen())

    def action_heap(self) -> None:
        """Leaf through heap pictures."""
        from memtui.tui.screens.heap import HeapScreen

        if not isinstance(self.screen, HeapScreen):
            self.push_screen(HeapScreen())

    def action_leaks(self) -> None:
        """The verdict and its suspects."""
        from memtui.tui.screens.leaks import LeaksScreen

        if not isinstance(self.screen, LeaksScreen):
            self.push_screen(LeaksScreen())

    def diagnosis(self, state: State) -> Diagnosis:
        """The diagnosis of a State; the last one while there is nothing new to judge."""
        return self._memo.of(state, self.expected)

    def expect(self, suspect: Suspect) -> None:
        """Call a suspect expected, in every run, or take that back."""
        if suspect.signature in self.expected:
            del self.expected[suspect.signature]
        else:
            self.expected[suspect.signature] = f"{name_of(suspect)} {suspect.holder or ''}".strip()
        try:
            save_expected(self.expected)
        except WriteError as error:
            self.log_locally(EventKind.ERROR, str(error))

    def comparable(self, snapshot: Snapshot) -> Snapshot:
        """A snapshot with what can be compared of it now."""
        return snapshot

    def ask(self, command: Command) -> None:
        """Ask something of the session, for a screen."""
        self._ask_of_session(command)

    def action_native(self) -> None:
        """Begin a native recording, stop it, or show what it said."""
        self._native.press()

    def action_help(self) -> None:
        """All keys."""
        from memtui.tui.screens.help import HelpScreen

        self.push_screen(HelpScreen(dict(self.settings.keys)))

    def action_palette(self) -> None:
        """Every command by name."""
        self.action_command_palette()

    def action_export(self) -> None:
        """Write the report and say where it is."""
        if self.files:
            self.notify(_NO_PROCESS)
            return
        try:
            path = self._exporter(self.session.state)
        except (MemtuiError, OSError) as error:
            self.log_locally(EventKind.ERROR, f"Export failed: {error}")
        else:
            self.log_locally(EventKind.INFO, f"Report written to {path}")

    def _confirm(self, question: str, command: Command) -> None:
        if not question:
            self._ask_of_session(command)
            return
        from memtui.tui.screens.ask import AskScreen

        def answered(yes: bool | None) -> None:
            if yes:
                self._ask_of_session(command)

        self.push_screen(AskScreen(question), answered)

    def _ask_of_session(self, command: Command) -> None:
        state = self.session.state
        if self.files:
            self.notify(_NO_PROCESS)
            return
        if state.ending is not None:
            self.notify("The process has ended; what was gathered can still be looked at and exported.")
            return
        notice = requests.notice(state, command)
        if notice and notice not in self._announced:
            self._announced.add(notice)
            self.log_locally(EventKind.INFO, notice)
        self.session.request(command)

    def log_locally(self, kind: EventKind, text: str) -> None:
        """Put a line into the event log that the session does not know, and show it for a while."""
        self.local_events.append(Event(self.session.state.now_seconds, kind, text))
        del self.local_events[:-EVENT_BOUND]
        self.notify(text, severity="error" if kind is EventKind.ERROR else "information", timeout=8)
        self.on_state_changed(StateChanged())


def _raised(state: State) -> set[Alert]:
    """The alerts as they were raised, whether they stand or not."""
    return {replace(one, until_seconds=None) for one in state.alerts}


class FilesApp(MemtuiApp):
    """Shows pictures of files: there is no dashboard, and what needs a process is not offered."""

    DEFAULT_MODE = "files"
    files: ClassVar[bool] = True


def _application(session: Session, files: bool) -> type[MemtuiApp]:
    if session.state.playback is None:
        return FilesApp if files else MemtuiApp
    from memtui.tui.replaying import ReplayApp

    return ReplayApp


def run_dashboard(session: Session, settings: Settings, exporter: Exporter, *, files: bool = False) -> int:
    """Show ``session`` until the user quits; returns 0, or 130 after Ctrl-C. The caller starts and closes it."""
    if settings.ascii:
        replace_what_cannot_be_encoded()
    app = _application(session, files)(session, exporter=exporter, settings=settings)
    app.run()
    # Without a code nobody asked it to leave: its main task was cancelled, as asyncio does on SIGINT.
    return EXIT_INTERRUPTED if app.return_code is None else app.return_code
