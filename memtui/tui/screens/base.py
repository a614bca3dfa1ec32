"""What every screen of memtui can do: show a State, again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

from textual import on
from textual.screen import Screen
from textual.timer import Timer

from memtui.model.state import State
from memtui.tui.settings import Settings
from memtui.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from memtui.tui.app import MemtuiApp

_SETTLED_SECONDS = 0.25

Result = TypeVar("Result")


class StateScreen(Screen[Result], Generic[Result]):
    """A screen that is given each new State while it is on top."""

    AUTO_FOCUS = ""
    _begun = False
    _settling: Timer | None = None

    def begin(self) -> None:
        """Show States from now on: to be called once the widgets are there and have their sizes."""
        self._begun = True
        self.refresh_view()

    def refresh_view(self) -> None:
        """Show the current State again."""
        if self._begun:
            self.show_state(self.state)

    @on(Lines.Resized)
    def _lines_resized(self) -> None:
        self.refresh_view()

    def on_resize(self) -> None:
        """Draw all once more when the size stays: a terminal that is resized fast loses what is drawn meanwhile."""
        if self._settling is not None:
            self._settling.stop()
        if self._begun:
            self._settling = self.set_timer(_SETTLED_SECONDS, self.settle)

    def settle(self) -> None:
        """The size has not changed for a moment."""
        self.refresh(layout=True)
        self.call_after_refresh(self.refresh_view)

    def on_screen_resume(self) -> None:
        """Catch up with what happened under another screen."""
        self.refresh_view()

    @property
    def memtui(self) -> MemtuiApp:
        """The application, with its own type."""
        return cast("MemtuiApp", self.app)

    @property
    def settings(self) -> Settings:
        """What the user chose."""
        return self.memtui.settings

    @property
    def state(self) -> State:
        """The newest State."""
        return self.memtui.session.state

    def show_state(self, state: State) -> None:
        """Show ``state``."""
        raise NotImplementedError
