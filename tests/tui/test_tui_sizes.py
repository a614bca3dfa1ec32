"""The dashboard in terminals of every size, and while they change."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape

import pytest
from screen_text import text_of, until
from shop_session import with_output

from memtui.model.state import State
from memtui.model.target import Ending, Target
from memtui.session.scripted import ScriptedSession
from memtui.tui.app import MemtuiApp
from memtui.tui.layout import PANELS, Layout, height_class, layout_for
from memtui.tui.screens.dashboard import DashboardScreen

Make = Callable[..., MemtuiApp]
SIZES = [
    (20, 6),
    (1, 1),
    (30, 9),
    (40, 10),
    (60, 15),
    (79, 24),
    (80, 24),
    (99, 50),
    (100, 30),
    (120, 40),
    (200, 60),
    (300, 8),
]


@pytest.mark.parametrize(
    ("size", "layout"),
    [
        ((120, 40), Layout.FULL),
        ((100, 30), Layout.FULL),
        ((80, 24), Layout.COMPACT),
        ((120, 24), Layout.COMPACT),
        ((60, 15), Layout.SINGLE),
        ((40, 10), Layout.SINGLE),
        ((39, 24), Layout.TINY),
        ((20, 6), Layout.TINY),
    ],
)
def test_layout(size: tuple[int, int], layout: Layout) -> None:
    assert layout_for(*size) is layout


async def test_the_layout_is_chosen_again_when_the_size_stays(make_app: Make, states: tuple[State, ...]) -> None:
    """Of several sizes that come at once, the last one counts, whatever became of what was drawn between."""
    app = make_app(session=ScriptedSession(states[150:]))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "RSS" in text_of(app))
        dashboard = app.screen
        assert isinstance(dashboard, DashboardScreen)
        await pilot.resize_terminal(121, 40)
        dashboard.fit_to = Layout.TINY
        await until(pilot, lambda: dashboard.fit_to is Layout.FULL)
        await until(pilot, lambda: "q Quit" in text_of(app))


def test_low_and_tall_terminals_share_rows_otherwise() -> None:
    assert [height_class(height) for height in (30, 40, 60)] == ["low", "medium", "tall"]


async def test_quit_is_never_hidden_while_the_size_changes(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession(states[150:])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        for width, height in [*SIZES, *reversed(SIZES)]:
            await pilot.resize_terminal(width, height)
            session.step()
            wanted = layout_for(width, height)
            await until(pilot, lambda wanted=wanted: app.screen.has_class(f"-{wanted.value}"))  # type: ignore[misc]
            if width > 8:
                await until(pilot, lambda: "q Quit" in text_of(app))


@pytest.mark.parametrize("size", SIZES)
async def test_no_screen_crashes_at_any_size(
    make_app: Make, states: tuple[State, ...], size: tuple[int, int]
) -> None:
    state = with_output(states[-1], ("one", "two " * 60))
    assert state.gc is not None
    session = ScriptedSession([replace(state, gc=replace(state.gc, objects=9_000_000), pauses=None), *[state] * 9])
    app = make_app(session=session, workload_stdin=True)
    async with app.run_test(size=size) as pilot:
        for keys in (["d"], ["question_mark"], ["enter"], ["slash", "x"], ["w", "w"], ["g"], ["v", "v"]):
            await pilot.press(*keys)
            session.step()
            await pilot.pause()
            assert app.is_running
            await pilot.press("escape")


@pytest.mark.parametrize("size", [(120, 40), (80, 24), (60, 15), (20, 6)])
async def test_a_state_of_which_nothing_is_known(make_app: Make, size: tuple[int, int]) -> None:
    session = ScriptedSession([State(Target(1, ()), 0.0), State(Target(1, ()), 0.0, ending=Ending(1.0, "gone"))])
    app = make_app(session=session)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "pid 1" in text_of(app))
        session.step()
        await until(pilot, lambda: "gone" in text_of(app))


async def test_small_terminals_show_one_panel_at_a_time(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[-1])
    expected = {
        "allocations": "allocations by line",
        "memory": "g gc  s snapshot",
        "growth": "in each third",
        "gc": "uncollectable",
        "log": "tracing started",
    }
    async with app.run_test(size=(60, 15)) as pilot:
        for panel in PANELS:
            await until(pilot, lambda panel=panel: expected[panel] in text_of(app))  # type: ignore[misc]
            assert "v View" in text_of(app, "#keys")
            others = [text for name, text in expected.items() if name != panel]
            assert not [text for text in others if text in text_of(app)]
            await pilot.press("v")
        await until(pilot, lambda: expected["allocations"] in text_of(app))


async def test_the_chart_is_drawn_seldom(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession(states[150:])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "g gc" in text_of(app, "#chart"))
        shown = text_of(app, "#chart")
        for _ in range(4):
            session.step()
            await pilot.pause()
            assert text_of(app, "#chart") == shown
        for _ in range(2):
            session.step()
        await until(pilot, lambda: text_of(app, "#chart") != shown)


async def test_ascii_draws_ascii_only(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[-1], ascii=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "g gc" in text_of(app, "#chart"))
        assert drawn(app).isascii()
        await pilot.press("d")
        await until(pilot, lambda: "orders.py" in text_of(app, "#rows"))
        assert drawn(app).isascii()
        await pilot.press("escape", "question_mark")
        await until(pilot, lambda: not isinstance(app.screen, DashboardScreen) and "Quit" in text_of(app))


def drawn(app: MemtuiApp) -> str:
    """The texts of the picture as it would be exported, borders included."""
    svg = app.export_screenshot()
    return unescape("\n".join(re.findall(r"<text[^>]*clip-path[^>]*>([^<]*)</text>", svg))).replace("\xa0", " ")


async def test_no_color_has_no_colours(
    make_app: Make, states: tuple[State, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(states[-1], theme="memtui-ansi")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "growing" in text_of(app))
        filters = [type(one).__name__ for one in app.get_line_filters()]
        assert "NoColor" in filters
        assert "Monochrome" not in filters


async def test_only_changed_rows_are_drawn(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([states[-1], replace(states[-1], now_seconds=200.0)])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "g gc" in text_of(app, "#chart"))
        table = app.screen.query_one("#allocations")
        calls: list[object] = []
        table.refresh = lambda *regions, **_: calls.append(regions)  # type: ignore[method-assign]
        session.step()
        await until(pilot, lambda: "2 m 50 s" in text_of(app, "#allocations-title"))
        assert calls == []
