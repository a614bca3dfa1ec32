"""What the key of native recordings does: it begins one, ends it early, or shows what the last one said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from memtui.model.command import StartNative, StopNative
from memtui.model.native import NativeResult
from memtui.model.state import State
from memtui.tui.screens.dashboard import DashboardScreen

if TYPE_CHECKING:
    from memtui.tui.app import MemtuiApp


class NativeKey:
    """Of one application. The session asks back before it begins."""

    def __init__(self, app: MemtuiApp) -> None:
        self._app = app
        self._seen: NativeResult | None = None

    def press(self) -> None:
        """The key was pressed."""
        from memtui.tui.screens.native import NativeScreen

        state = self._app.session.state
        if state.native_progress is not None:
            self._app.ask(StopNative())
        elif state.native is None or isinstance(self._app.screen, NativeScreen):
            self._app.ask(StartNative())
        else:
            self._app.push_screen(NativeScreen())

    def look(self, state: State) -> None:
        """Show a recording that has just been read, when nothing else is being done on the screen."""
        if state.native is None or state.native is self._seen:
            return
        self._seen = state.native
        from memtui.tui.screens.native import NativeScreen

        screen = self._app.screen
        if isinstance(screen, DashboardScreen) and not isinstance(screen.focused, Input):
            self._app.push_screen(NativeScreen())
        elif not isinstance(screen, NativeScreen):
            self._app.notify("The native recording was read: n shows it.")
