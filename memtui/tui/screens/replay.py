"""The dashboard on a recording: the same panels, and keys to move in time."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Input

from memtui.model.command import Play, SeekBy, SeekEvent, SeekTo, SetSpeed
from memtui.model.state import Playback, State
from memtui.session.moments import moment
from memtui.session.replay import SPEEDS
from memtui.tui.actions import bindings, shown_actions
from memtui.tui.presenters import keys
from memtui.tui.presenters.line import Line
from memtui.tui.presenters.playback import playback_line
from memtui.tui.screens.dashboard import DashboardScreen

_STEP_SECONDS, _LEAP_SECONDS = 10.0, 60.0


class ReplayScreen(DashboardScreen):
    """Everything about one process, as it was then."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("replay"),
        Binding("equals_sign", "faster", "Faster without shift", show=False),
        *(Binding(str(tenth), f"seek_share({tenth / 10})", show=False) for tenth in range(10)),
    ]

    def show_state(self, state: State) -> None:
        """Also show where the playing is."""
        super().show_state(state)
        self._lines("playback").show([playback_line(self._playback, self.size.width)])

    def action_play(self) -> None:
        """Play, or hold."""
        self.memtui.session.request(Play(not self._playback.playing))

    def action_pause(self) -> None:
        """Here it is the playing that is held."""
        self.action_play()

    def action_faster(self) -> None:
        """The next higher speed."""
        speed = self._playback.speed
        self.memtui.session.request(SetSpeed(next((one for one in SPEEDS if one > speed), SPEEDS[-1])))

    def action_slower(self) -> None:
        """The next lower speed."""
        speed = self._playback.speed
        self.memtui.session.request(SetSpeed(next((one for one in reversed(SPEEDS) if one < speed), SPEEDS[0])))

    def action_step_back(self) -> None:
        """Some seconds back."""
        self._seek_by(-_STEP_SECONDS)

    def action_step_forward(self) -> None:
        """Some seconds on."""
        self._seek_by(_STEP_SECONDS)

    def action_leap_back(self) -> None:
        """A minute back."""
        self._seek_by(-_LEAP_SECONDS)

    def action_leap_forward(self) -> None:
        """A minute on."""
        self._seek_by(_LEAP_SECONDS)

    def action_event_back(self) -> None:
        """To the event before."""
        self.memtui.session.request(SeekEvent(forward=False))

    def action_event_forward(self) -> None:
        """To the next event."""
        self.memtui.session.request(SeekEvent(forward=True))

    def action_seek_share(self, share: float) -> None:
        """To a part (0 to 1) of the recording."""
        played = self._playback
        self.memtui.session.request(
            SeekTo(played.begin_seconds + share * (played.end_seconds - played.begin_seconds))
        )

    def action_go_to(self) -> None:
        """Ask for a moment."""
        entry = self.query_one("#moment", Input)
        entry.add_class("-open")
        entry.focus()

    def action_dismiss_filter(self) -> None:
        """Close the lines for the filter and for the moment."""
        self._close_moment()
        super().action_dismiss_filter()

    @on(Input.Submitted, "#moment")
    def _go(self, event: Input.Submitted) -> None:
        try:
            if event.value.strip():
                self.memtui.session.request(SeekTo(moment(event.value, self._playback)))
        except ValueError as error:
            self.app.notify(str(error), severity="warning")
            return
        self._close_moment()

    def _close_moment(self) -> None:
        entry = self.query_one("#moment", Input)
        entry.remove_class("-open")
        entry.value = ""
        self.query_one("#allocations").focus()

    def _seek_by(self, seconds: float) -> None:
        self.memtui.session.request(SeekBy(seconds))

    @property
    def _playback(self) -> Playback:
        playback = self.state.playback
        assert playback is not None
        return playback

    def _footer(self, state: State, width: int) -> Line:
        own = [one.id for one in shown_actions(["replay"])]
        hidden = ["pause", *self.memtui.hidden]
        return keys.footer("dashboard", self.settings.keys, width, hidden=hidden, first=own, also=("replay",))
