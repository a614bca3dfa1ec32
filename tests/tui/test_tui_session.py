"""The scripted session, and the bridge between a session's thread and Textual."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from screen_text import text_of, until

from memtui.errors import EXIT_INTERRUPTED
from memtui.model.command import ClimbToAgent, Command
from memtui.model.state import State
from memtui.model.target import Rung
from memtui.session.interface import Session
from memtui.session.scripted import ScriptedSession
from memtui.tui.app import Exporter, MemtuiApp, run_dashboard
from memtui.tui.bridge import StateChanged
from memtui.tui.settings import Settings

Make = Callable[..., MemtuiApp]


def test_steps_play_the_states_in_order(states: tuple[State, ...]) -> None:
    session: Session = ScriptedSession(states[:3])
    scripted = ScriptedSession(states[:3])
    seen: list[float] = []
    end = scripted.subscribe(lambda state: seen.append(state.now_seconds))
    assert [scripted.step(), scripted.step(), scripted.step()] == [True, True, False]
    assert seen == [1.0, 2.0]
    end()
    scripted.play(states[0])
    assert seen == [1.0, 2.0]
    assert session.state is states[0]


def test_an_answer_becomes_the_state(states: tuple[State, ...]) -> None:
    def climb(state: State, command: Command) -> State:
        assert command == ClimbToAgent()
        return replace(state, rung=Rung.AGENT)

    session = ScriptedSession(states[:1], answer=climb)
    session.request(ClimbToAgent())
    assert session.state.rung is Rung.AGENT
    assert session.requests == [ClimbToAgent()]


def test_it_plays_by_itself_and_stops(states: tuple[State, ...]) -> None:
    session = ScriptedSession(states[:5], interval_seconds=0.001)
    played = threading.Event()
    session.subscribe(lambda state: played.set() if state is states[4] else None)
    session.start()
    assert played.wait(10)
    session.close()
    assert session.state is states[4]


async def test_states_from_another_thread_reach_the_screen(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession(states[100:])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "RSS" in text_of(app))
        thread = threading.Thread(target=lambda: [session.step() for _ in range(99)])
        thread.start()
        await until(pilot, lambda: "RSS 177.8 MiB" in text_of(app, "#figures"))
        thread.join()


async def test_a_flood_of_states_is_one_look(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession(states[-2:])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "RSS" in text_of(app))
        looks: list[State] = []
        show_state = app.screen.show_state  # type: ignore[attr-defined]
        app.screen.show_state = lambda state: (looks.append(state), show_state(state))  # type: ignore[attr-defined]
        for _ in range(500):
            session.play(states[-1])
        await until(pilot, lambda: bool(looks))
        assert len(looks) < 20
        assert looks[-1] is states[-1]


async def test_after_the_application_the_session_may_go_on(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession(states[100:])
    app = make_app(session=session)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "RSS" in text_of(app))
    assert session.step()


def test_a_message_replaces_only_its_like() -> None:
    assert StateChanged().can_replace(StateChanged())


@pytest.mark.parametrize("ascii_only", [False, True])
def test_run_dashboard_returns_how_it_was_left(
    states: tuple[State, ...],
    settings: Settings,
    exports: Exporter,
    monkeypatch: pytest.MonkeyPatch,
    ascii_only: bool,
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr("sys.__stderr__", stream)
    monkeypatch.setattr(MemtuiApp, "run", lambda app: app.exit(return_code=EXIT_INTERRUPTED))
    left = run_dashboard(ScriptedSession(states[:1]), replace(settings, ascii=ascii_only), exports)
    assert left == EXIT_INTERRUPTED
    assert (stream.errors == "replace") is ascii_only
