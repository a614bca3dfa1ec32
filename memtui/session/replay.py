"""A session that plays a recording: the States of then, as fast as one likes, and no process behind them."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from memtui.model.command import Command, Play, PlaybackCommand, SeekBy, SeekEvent, SeekTo, SetSpeed
from memtui.model.state import EVENT_BOUND, Event, EventKind, Playback, State
from memtui.model.units import format_seconds
from memtui.session.interface import Listener
from memtui.session.listeners import Listeners
from memtui.session.recording.player import Player, event_times
from memtui.session.recording.reader import RecordingFile

SPEEDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_TICK_SECONDS = 0.25
_LONGEST_SECONDS = 90.0
"""The first speed is the lowest with which the whole takes no longer than this."""
_MOST_MARKS = 2000
_SAME_MOMENT_SECONDS = 0.0005
REFUSAL = "This is a recording: there is no process any more of which that could be asked."


class ReplaySession:
    """Implements :class:`memtui.session.interface.Session` on a recording.

    It begins at ``at_seconds`` (session time; None: the begin) and plays, unless ``playing`` is False. Its States are
    those of the recorded session, with ``playback`` set. What would need a process is answered by an event.
    """

    def __init__(
        self,
        file: RecordingFile,
        *,
        at_seconds: float | None = None,
        speed: float | None = None,
        playing: bool = True,
    ) -> None:
        self._file = file
        self._player = Player(file)
        self._begin, self._end = file.begin_seconds, file.end_seconds
        self._at = self._within(self._begin if at_seconds is None else at_seconds)
        self._speed = speed or suitable_speed(self._end - self._begin)
        self._playing = playing
        self._marks: tuple[float, ...] = ()
        self._said: list[Event] = _damages(file)
        self._listeners = Listeners()
        self._commands: deque[Command] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="memtui-replay", daemon=True)
        self._marking = threading.Thread(target=self._find_marks, name="memtui-replay-marks", daemon=True)
        self._state = self._now()

    @property
    def state(self) -> State:
        """The State played last."""
        return self._state

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each State that is played."""
        return self._listeners.add(listener)

    def request(self, command: Command) -> None:
        """Hand a command to the session's thread."""
        with self._condition:
            self._commands.append(command)
            self._condition.notify_all()

    def start(self) -> None:
        """Begin to play."""
        self._thread.start()
        self._marking.start()

    def close(self) -> None:
        """Stop."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _find_marks(self) -> None:
        """In a thread of its own: of a long recording it takes seconds."""
        marks = event_times(self._file)[-_MOST_MARKS:]
        with self._condition:
            self._marks = marks
            self._condition.notify_all()

    # -- from here on: the session's thread ----------------------------------------------------------------------

    def _run(self) -> None:
        before = time.monotonic()
        while not self._closing:
            self._publish()
            with self._condition:
                if not self._commands and not self._closing:
                    self._condition.wait(_TICK_SECONDS if self._playing else None)
            now = time.monotonic()
            if self._playing:
                self._go_to(self._at + self._speed * (now - before))
                self._playing = self._at < self._end
            before = now
            while self._commands:
                self._command(self._commands.popleft())

    def _command(self, command: Command) -> None:
        if not isinstance(command, PlaybackCommand):
            self._said.append(Event(self._at, EventKind.INFO, REFUSAL))
            del self._said[:-EVENT_BOUND]
        elif isinstance(command, Play):
            if command.on and self._at >= self._end:
                self._go_to(self._begin)
            self._playing = command.on
        elif isinstance(command, SetSpeed):
            self._speed = min(max(command.speed, SPEEDS[0]), SPEEDS[-1])
        elif isinstance(command, SeekTo):
            self._go_to(command.seconds)
        elif isinstance(command, SeekBy):
            self._go_to(self._at + command.seconds)
        else:
            self._go_to(self._event(command))

    def _event(self, command: SeekEvent) -> float:
        """When the next event was, or the one before; where there is none, the end or the begin."""
        self._marking.join()
        if command.forward:
            place = bisect_right(self._marks, self._at + _SAME_MOMENT_SECONDS)
            return self._marks[place] if place < len(self._marks) else self._end
        place = bisect_left(self._marks, self._at - _SAME_MOMENT_SECONDS) - 1
        return self._marks[place] if place >= 0 else self._begin

    def _go_to(self, seconds: float) -> None:
        self._at = self._within(seconds)

    def _within(self, seconds: float) -> float:
        return min(max(seconds, self._begin), self._end)

    def _now(self) -> State:
        state = self._player.state_at(self._at)
        said = [one for one in self._said if one.at_seconds <= self._at]
        events = state.events
        if said:
            events = tuple(sorted([*events, *said], key=lambda one: one.at_seconds))[-EVENT_BOUND:]
        playback = Playback(
            str(self._file.path), self._begin, self._end, self._at, self._playing, self._speed, self._marks
        )
        return replace(state, events=events, playback=playback)

    def _publish(self) -> None:
        self._state = self._now()
        self._listeners.tell(self._state)


def suitable_speed(seconds: float) -> float:
    """The lowest speed with which a recording of this length is over soon."""
    return next((one for one in SPEEDS if seconds / one <= _LONGEST_SECONDS), SPEEDS[-1])


def _damages(file: RecordingFile) -> list[Event]:
    """What is missing in the file, where it is missing."""
    events = [
        Event(end, EventKind.WARNING, f"The recording is damaged: {format_seconds(end - begin)} before this are lost")
        for begin, end in file.gaps
    ]
    if not file.is_whole:
        text = "The recording was cut off here: memtui was killed, or is still writing it"
        events.append(Event(file.end_seconds, EventKind.WARNING, text))
    return events
