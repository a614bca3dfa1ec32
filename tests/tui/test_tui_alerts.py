"""Alerts in the dashboard: the status line, the event log, a notification, the bell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from screen_text import text_of, until

from memtui.model.alert import Alert
from memtui.model.state import State
from memtui.session import messages as m
from memtui.session.reducer import reduce
from memtui.session.scripted import ScriptedSession
from memtui.tui.app import MemtuiApp
from memtui.tui.presenters import process, small
from memtui.tui.presenters.line import Line, plain
from memtui.tui.settings import load_settings

Make = Callable[..., MemtuiApp]
WARNING = Alert(60.0, "warning", "growth>5MB/min", 6e6)
CRITICAL = Alert(61.0, "critical", "rss>60MB", 61e6)


def raised(state: State, *alerts: Alert) -> State:
    for alert in alerts:
        message = m.AlertRaised(alert) if alert.until_seconds is None else m.AlertOver(alert)
        state = reduce(state, message, alert.until_seconds or alert.at_seconds)
    return state


def roles(line: Line) -> dict[str, str]:
    return {span.text: span.role for span in line}


def test_the_status_line_names_the_worst_that_stands(states: tuple[State, ...]) -> None:
    state = raised(states[59], WARNING)
    assert roles(process.status(state, 120))["growth>5MB/min"] == "warn"
    state = raised(state, CRITICAL)
    line = process.status(state, 80)
    assert "CRITICAL  rss>60MB and 1 more" in plain(line)
    assert roles(line)["rss>60MB and 1 more"] == "bad"
    state = raised(state, replace(CRITICAL, until_seconds=90.0))
    assert "WARNING  growth>5MB/min  " in plain(process.status(state, 80))
    assert "WARNING" not in plain(process.status(raised(state, replace(WARNING, until_seconds=95.0)), 80))


def test_the_smallest_screen_shows_it_too(states: tuple[State, ...]) -> None:
    lines = [plain(one) for one in small.summary(raised(states[59], CRITICAL), 38, 9, "q")]
    assert any("CRITICAL  rss>60MB" in one for one in lines)
    assert lines[-1] == "q Quit"


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
async def test_an_alert_is_shown_when_it_is_raised(
    make_app: Make, states: tuple[State, ...], size: tuple[int, int]
) -> None:
    session = ScriptedSession([states[59]])
    app = make_app(session=session)
    async with app.run_test(size=size) as pilot:
        session.play(raised(states[59], WARNING))
        await until(pilot, lambda: "warning: growth of RSS is 6.0 MB/min" in text_of(app))
        assert "WARNING  growth>5MB/min" in text_of(app)
        assert len(app._notifications) == 1


@pytest.mark.parametrize(("bell", "rings"), [("off", 0), ("critical", 1), ("warning", 2)])
async def test_the_bell_rings_once_for_each_alert_from_its_level_on(
    make_app: Make,
    states: tuple[State, ...],
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    bell: str,
    rings: int,
) -> None:
    (config / "config.toml").write_text(f'[dashboard]\nbell = "{bell}"\n')
    session = ScriptedSession([raised(states[59], Alert(1.0, "critical", "uss>1MB", 2e6))])
    app = make_app(session=session, bell=load_settings().bell)
    heard: list[str] = []
    monkeypatch.setattr(app, "bell", lambda: heard.append("ding"))
    async with app.run_test() as pilot:
        assert heard == [], "what was there before is no news"
        for alert in (WARNING, CRITICAL, replace(CRITICAL, until_seconds=80.0)):
            session.play(raised(session.state, alert))
            await pilot.pause()
            await pilot.pause()
        await until(pilot, lambda: "is over" in text_of(app))
    assert len(heard) == rings
