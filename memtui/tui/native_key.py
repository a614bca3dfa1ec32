"""What the key of native recordings does: it begins one, ends it early, or shows what the last one said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from memtui.model.command import StartNative, StopNative
from memtui.model.native import NativeResult
from memtui.model.state import Event, State
from memtui.session.native_desk import NOT_RECORDED
from memtui.tui.screens.dashboard import DashboardScreen

_REFUSAL_SECONDS = 20.0

if TYPE_CHECKING:
    from memtui.tui.app import MemtuiApp


class NativeKey:
    """Of one application. The session asks back before it begins."""

    def __init__(self, app: MemtuiApp) -> None:
        self._app = app
        self._seen: NativeResult | None = None
        self._refused: Event | None = None
        self._pressed = False

    def press(self) -> None:
        """The key was pressed."""
        from memtui.tui.screens.native import NativeScreen

        self._pressed = True
        state = self._app.session.state
        if state.native_progress is not None:
            self._app.ask(StopNative())
        elif state.native is None or isinstance(self._app.screen, NativeScreen):
            self._app.ask(StartNative())
        else:
            self._app.push_screen(NativeScreen())

    def look(self, state: State) -> None:
        """Show a recording that has just been read, when nothing else is being done on the screen."""
        self._tell_refusal(state)
        if state.native is None or state.native is self._seen:
            return
        self._seen = state.native
        from memtui.tui.screens.native import NativeScreen

        screen = self._app.screen
        if isinstance(screen, DashboardScreen) and not isinstance(screen.focused, Input):
            self._app.push_screen(NativeScreen())
        elif not isinstance(screen, NativeScreen):
            self._app.notify("The native recording was read: n shows it.")

    def _tell_refusal(self, state: State) -> None:
        """Why there is no recording: what to do about it does not fit into the log of a small terminal."""
        told = next((one for one in reversed(state.events) if one.text.startswith(NOT_RECORDED)), None)
        if told is not None and told != self._refused:
            self._refused = told
            if self._pressed:
                self._app.notify(told.text, severity="error", timeout=_REFUSAL_SECONDS)
