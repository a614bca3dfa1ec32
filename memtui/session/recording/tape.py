"""The recording of a live session: begun with it or later, ended by the user, by itself, or with it."""

from __future__ import annotations

from collections.abc import Callable

from memtui.errors import MemtuiError
from memtui.model.command import PlaybackCommand, StartRecording, StopRecording
from memtui.model.state import EventKind, Recording, State
from memtui.model.units import format_bytes
from memtui.session import messages as m
from memtui.session.recording.recorder import Recorder

TapeCommand = StartRecording | StopRecording | PlaybackCommand


class Tape:
    """At most one recording. Belongs to the session's thread. ``fold`` folds a message into its State."""

    def __init__(self, fold: Callable[[m.Message], None], recorder: Recorder | None) -> None:
        self._fold = fold
        self._recorder = recorder

    def begin(self, state: State) -> None:
        """The session begins with ``state``; so does the recording it was given."""
        if self._recorder is not None:
            self._recorder.begin(state)
            self._fold(m.RecordingChanged(Recording(str(self._recorder.path), state.now_seconds)))

    def add(self, message: m.Message, state: State) -> None:
        """``message`` was folded, and led to ``state``."""
        if self._recorder is not None:
            self._recorder.add(message, state)

    def obey(self, command: TapeCommand, state: Callable[[], State]) -> None:
        """Begin or end a recording; nothing when there is one, or none. Of a live session nothing is played."""
        if isinstance(command, StopRecording):
            self._stop()
        elif isinstance(command, StartRecording) and self._recorder is None:
            try:
                recorder = Recorder(command.path)
            except MemtuiError as error:
                self._fold(m.Noted(EventKind.ERROR, str(error)))
                return
            self._fold(m.Noted(EventKind.INFO, f"Recording into {recorder.path}"))
            self._recorder = recorder
            self.begin(state())

    def check(self) -> None:
        """Say so, once, when the recording ended because of an error."""
        if self._recorder is not None and self._recorder.error is not None:
            error, self._recorder = self._recorder.error, None
            self._fold(m.RecordingChanged(None))
            self._fold(m.Noted(EventKind.ERROR, str(error)))

    def close(self) -> None:
        """The session is over."""
        if self._recorder is not None:
            self._recorder.close()

    def _stop(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()
            size = format_bytes(recorder.written_bytes)
            ended = m.Noted(EventKind.INFO, f"The recording is in {recorder.path}: {size}")
            self._fold(m.RecordingChanged(None))
            self._fold(ended if recorder.error is None else m.Noted(EventKind.ERROR, str(recorder.error)))
