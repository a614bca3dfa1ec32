"""The States of a recording at any moment: found quickly, because States are immutable and some of them are kept."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from memtui.model.state import State
from memtui.session.recording.reader import Chapter, RecordingFile
from memtui.session.recording.thinning import Timed
from memtui.session.reducer import reduce

_KEY_SECONDS = 60.0
"""Within a chapter a State is kept so often: a jump folds no more messages than come in that time."""


@dataclass(slots=True)
class _Open:
    """A chapter that was read. ``kept``: States, each with the number of messages that led to it, and its time."""

    chapter: Chapter
    messages: list[Timed]
    kept: list[tuple[float, int, State]] = field(default_factory=list)


class Player:
    """The States of a recording. Not for several threads at a time."""

    def __init__(self, file: RecordingFile) -> None:
        self.file = file
        self._begins = [one.begin_seconds for one in file.chapters]
        self._open: _Open | None = None
        self._position = 0
        self._state = self._enter(file.chapters[0])

    def state_at(self, seconds: float) -> State:
        """The State at a moment; the first or the last one for one before or behind the recording."""
        chapter = self.file.chapters[max(0, bisect_right(self._begins, seconds) - 1)]
        if self._open is None or self._open.chapter is not chapter:
            self._enter(chapter)
        assert self._open is not None
        self._jump(seconds)
        messages = self._open.messages
        while self._position < len(messages) and messages[self._position][0] <= seconds:
            now, message = messages[self._position]
            self._state = reduce(self._state, message, now)
            self._position += 1
            if now >= self._open.kept[-1][0] + _KEY_SECONDS:
                self._open.kept.append((now, self._position, self._state))
        return self._state

    def last_state(self) -> State:
        """The State at the end."""
        return self.state_at(float("inf"))

    def states(self) -> Iterator[tuple[Timed | None, State]]:
        """All States from the first to the last, each with the message that led to it (None: a chapter's first)."""
        for chapter in self.file.chapters:
            state, messages = self.file.read(chapter)
            yield None, state
            for timed in messages:
                state = reduce(state, timed[1], timed[0])
                yield timed, state

    def _enter(self, chapter: Chapter) -> State:
        state, messages = self.file.read(chapter)
        self._open = _Open(chapter, messages, [(chapter.begin_seconds, 0, state)])
        self._position, self._state = 0, state
        return state

    def _jump(self, seconds: float) -> None:
        """Go back when what was folded so far is behind ``seconds``; forward as far as a kept State helps."""
        assert self._open is not None
        messages, kept = self._open.messages, self._open.kept
        _, position, state = kept[max(0, bisect_right(kept, seconds, key=lambda one: one[0]) - 1)]
        is_behind = self._position > 0 and messages[self._position - 1][0] > seconds
        if is_behind or position > self._position:
            self._position, self._state = position, state


def event_times(file: RecordingFile) -> tuple[float, ...]:
    """When something was logged, in order; of very many events within one chapter, the last ones."""
    states = [file.first_state(one) for one in file.chapters]
    state, messages = file.read(file.chapters[-1])
    for now, message in messages:
        state = reduce(state, message, now)
    return tuple(sorted({event.at_seconds for one in (*states, state) for event in one.events}))
