"""The session that plays a recording: where it is, what it refuses, how fast it jumps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from recorded import busy_recording, first_state

from memtui.model.command import Play, SeekEvent, SeekTo, SetSpeed, TakeSnapshot
from memtui.model.state import Playback, State
from memtui.session.moments import moment
from memtui.session.recording.player import Player
from memtui.session.recording.reader import RecordingFile
from memtui.session.replay import REFUSAL, SPEEDS, ReplaySession, suitable_speed

DEADLINE_SECONDS = 20.0


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> RecordingFile:
    return busy_recording(tmp_path_factory.mktemp("replay") / "a.memtui")


@pytest.fixture
def held(file: RecordingFile) -> Iterator[ReplaySession]:
    """At the begin, not playing."""
    session = ReplaySession(file, playing=False, speed=1.0)
    session.start()
    yield session
    session.close()


def played(session: ReplaySession) -> Playback:
    playback = session.state.playback
    assert playback is not None
    return playback


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.002)


def at(session: ReplaySession, seconds: float) -> bool:
    return abs(played(session).at_seconds - seconds) < 0.01


def test_its_states_are_those_of_the_session(file: RecordingFile, held: ReplaySession) -> None:
    player = Player(file)
    for seconds in (300.0, 20.0, 449.5, 100.2):
        held.request(SeekTo(seconds))
        until(lambda seconds=seconds: at(held, seconds))  # type: ignore[misc]
        assert held.state == player.state_at(seconds)
    held.request(SeekTo(1e9))
    until(lambda: at(held, file.end_seconds))
    assert held.state == player.last_state()
    held.request(SeekTo(-5.0))
    until(lambda: at(held, file.begin_seconds))


def test_it_goes_from_event_to_event(held: ReplaySession, file: RecordingFile) -> None:
    until(lambda: len(played(held).marks) > 3)
    marks = played(held).marks
    for mark in marks[:3]:
        held.request(SeekEvent(forward=True))
        until(lambda mark=mark: at(held, mark))  # type: ignore[misc]
        assert any(one.at_seconds == pytest.approx(mark) for one in held.state.events)
    held.request(SeekEvent(forward=False))
    until(lambda: at(held, marks[1]))
    held.request(SeekTo(file.end_seconds))
    held.request(SeekEvent(forward=True))
    until(lambda: at(held, file.end_seconds))


def test_it_plays_holds_and_begins_again_at_the_end(held: ReplaySession, file: RecordingFile) -> None:
    states: list[State] = []
    end = held.subscribe(states.append)
    held.request(SetSpeed(1e9))
    held.request(Play(True))
    until(lambda: played(held).at_seconds > 10)
    assert played(held).speed == SPEEDS[-1]
    until(lambda: at(held, file.end_seconds) and not played(held).playing)
    held.request(Play(True))
    until(lambda: played(held).playing and played(held).at_seconds < file.end_seconds)
    held.request(Play(False))
    until(lambda: not played(held).playing)
    end()
    assert len(states) > 3


def test_what_needs_a_process_is_answered_by_an_event(held: ReplaySession) -> None:
    held.request(TakeSnapshot())
    until(lambda: any(one.text == REFUSAL for one in held.state.events))


def test_a_damaged_recording_says_so_in_its_log(file: RecordingFile, tmp_path: Path) -> None:
    path = tmp_path / "cut.memtui"
    path.write_bytes(file.path.read_bytes()[:-50])
    cut = RecordingFile(path)
    session = ReplaySession(cut, at_seconds=cut.end_seconds, playing=False)
    assert "cut off" in session.state.events[-1].text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("50%", 105.0), ("0%", 10.0), ("12:30", 750.0), ("1:00:05", 3605.0), ("90s", 90.0), ("+5m", 330.0),
        ("-10s", 20.0), ("end", 200.0), (" 2m ", 120.0),
    ],
)  # fmt: skip
def test_moments_are_read(text: str, seconds: float) -> None:
    playback = Playback("a", 10.0, 200.0, 30.0, playing=False, speed=1.0)
    assert moment(text, playback) == seconds


@pytest.mark.parametrize("text", ["", "soon", "50 %%", "1:xx", "+", "%", "nan%"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no moment"):
        moment(text, Playback("a", 10.0, 200.0, 30.0, playing=False, speed=1.0))


def test_the_first_speed_suits_the_length() -> None:
    assert [suitable_speed(seconds) for seconds in (0, 90, 600, 3600, 86400)] == [1, 1, 10, 60, 300]
    assert replace(first_state(), playback=Playback("a", 0, 1, 0, True, 1)) == first_state()
