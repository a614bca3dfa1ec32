"""A recording in the dashboard."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from screen_text import text_of, until

from memtui.model.command import Command, StartRecording, StopRecording
from memtui.model.state import Recording, State
from memtui.session.recording.reader import RecordingFile
from memtui.session.replay import REFUSAL, ReplaySession
from memtui.session.scripted import ScriptedSession
from memtui.tui.actions import key_name, shown_actions
from memtui.tui.app import MemtuiApp
from memtui.tui.presenters.line import plain, width_of
from memtui.tui.presenters.playback import playback_line
from memtui.tui.replaying import ReplayApp
from memtui.tui.screens.leaks import LeaksScreen
from memtui.tui.settings import Settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
from recorded import busy_recording

Make = Callable[[], ReplayApp]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> RecordingFile:
    return busy_recording(tmp_path_factory.mktemp("replay") / "a.memtui")


@pytest.fixture
def session(file: RecordingFile) -> Iterator[ReplaySession]:
    session = ReplaySession(file, playing=False)
    session.start()
    yield session
    session.close()


@pytest.fixture
def app(session: ReplaySession, settings: Settings, exports: Callable[[State], Path]) -> ReplayApp:
    return ReplayApp(session, exporter=exports, settings=settings)


def at(session: ReplaySession) -> float:
    assert session.state.playback is not None
    return session.state.playback.at_seconds


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (50, 16)], ids=str)
async def test_keys_move_in_time(app: ReplayApp, session: ReplaySession, size: tuple[int, int]) -> None:
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "HELD" in text_of(app, "#playback"))
        await pilot.press("5")
        await until(pilot, lambda: "03:45" in text_of(app, "#playback") and "50 %" in text_of(app, "#playback"))
        await pilot.press("full_stop", "greater_than_sign")
        await until(pilot, lambda: "04:55" in text_of(app, "#playback"))
        await pilot.press("comma", "less_than_sign")
        await until(pilot, lambda: "03:45" in text_of(app, "#playback"))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: at(session) > 226)
        after = at(session)
        assert any(one.at_seconds == pytest.approx(after) for one in session.state.events)
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: at(session) < 226)
        await pilot.press("plus", "space")
        await until(pilot, lambda: "PLAYING" in text_of(app, "#playback") and "x30" in text_of(app, "#playback"))


async def test_a_moment_can_be_typed(app: ReplayApp, session: ReplaySession) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "HELD" in text_of(app, "#playback"))
        await pilot.press("g", *"2:30", "enter")
        await until(pilot, lambda: at(session) == 150.0)
        await pilot.press("g", *"soon", "enter")
        await until(pilot, lambda: bool(app.screen.query("#moment.-open")))
        await pilot.press("escape")
        await until(pilot, lambda: not app.screen.query("#moment.-open"))
        assert at(session) == 150.0
        assert "RSS 94" in text_of(app, "#figures")


async def test_what_needs_a_process_is_refused_and_the_rest_works(
    app: ReplayApp, session: ReplaySession, exports: Callable[[State], Path]
) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "HELD" in text_of(app, "#playback"))
        await pilot.press("9", "s", "t", "r")
        await until(pilot, lambda: [one.text for one in session.state.events].count(REFUSAL) == 2)
        assert "Snapshot" not in text_of(app, "#keys")
        await pilot.press("e")
        await until(pilot, lambda: bool(getattr(exports, "states", ())))
        await pilot.press("d")
        await until(pilot, lambda: "by line" in text_of(app, "#note"))
        await pilot.press("b", "b")
        await until(pilot, lambda: "shop.models.Type" in text_of(app))
        await pilot.press("escape", "l")
        await until(pilot, lambda: isinstance(app.screen, LeaksScreen))
        await pilot.press("c")
        await until(pilot, lambda: [one.text for one in session.state.events].count(REFUSAL) == 3)


async def test_a_click_on_the_bar_goes_there(app: ReplayApp, session: ReplaySession) -> None:
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "HELD" in text_of(app, "#playback"))
        line = text_of(app, "#playback")
        bar = [place for place, one in enumerate(line) if one in "━─█│"]
        await pilot.click("#playback", offset=(bar[len(bar) // 2], 0))
        await until(pilot, lambda: 215 < at(session) < 235)


@pytest.mark.parametrize("width", range(20, 130, 7))
def test_the_line_fits(session: ReplaySession, width: int) -> None:
    playback = session.state.playback
    assert playback is not None
    line = playback_line(playback, width)
    assert width_of(line) <= max(width, 40)
    assert "HELD" in plain(line)


def test_the_page_about_recordings_tells_its_keys() -> None:
    page = (Path(__file__).parents[2] / "memtui" / "docs" / "recordings.md").read_text("utf-8")
    assert [one.id for one in shown_actions(["replay"]) if f"`{key_name(one.key)}`" not in page] == []


async def test_r_begins_and_ends_a_recording(
    make_app: Callable[..., MemtuiApp], states: tuple[State, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def answer(state: State, command: Command) -> State:
        begun = isinstance(command, StartRecording)
        return replace(state, recording=Recording("a.memtui", state.now_seconds - 65) if begun else None)

    session = ScriptedSession([states[-1]], answer=answer)
    app = make_app(session=session)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "cache.py" in text_of(app))
        await pilot.press("r")
        await until(pilot, lambda: "REC" in text_of(app, "#status") and "1 m 05 s" in text_of(app, "#status"))
        await pilot.press("r")
        await until(pilot, lambda: "REC" not in text_of(app, "#status"))
    begin, end = session.requests
    assert isinstance(begin, StartRecording)
    assert Path(begin.path).parent == tmp_path
    assert Path(begin.path).match("memtui-4242-*.memtui")
    assert end == StopRecording()
