"""Every key of the dashboard, pressed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from screen_text import text_of, until
from shop_session import MIB, with_output
from textual.events import MouseScrollDown
from textual.widgets import Input

from memtui.errors import EXIT_INTERRUPTED, EXIT_OK, WriteError
from memtui.model.allocation import GroupBy, Tracing
from memtui.model.command import (
    ClimbToAgent,
    CollectGarbage,
    Command,
    GroupAllocations,
    SendInput,
    StartTracing,
    StopTracing,
    TakeSnapshot,
)
from memtui.model.sample import Sample, Series
from memtui.model.state import Picturing, State
from memtui.model.target import Ending, Rung
from memtui.session import messages as m
from memtui.session.reducer import reduce
from memtui.session.scripted import ScriptedSession
from memtui.tui.app import MemtuiApp
from memtui.tui.screens.ask import AskScreen
from memtui.tui.screens.dashboard import DashboardScreen
from memtui.tui.screens.detail import DetailScreen
from memtui.tui.screens.diff import DiffScreen
from memtui.tui.screens.help import HelpScreen
from memtui.tui.widgets.output import OutputView
from memtui.tui.widgets.table import LineTable

Make = Callable[..., MemtuiApp]
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)])
TRACEBACK = ("starting", "Traceback (most recent call last):", '  File "main.py", line 9', "ValueError: no such shop")


def large(state: State) -> State:
    """A process with so many objects that stopping it must be asked for."""
    assert state.gc is not None
    return replace(state, gc=replace(state.gc, objects=9_000_000), pauses=None)


@SIZES
async def test_the_dashboard_shows_what_matters(
    make_app: Make, states: tuple[State, ...], size: tuple[int, int]
) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "RSS" in text_of(app))
        shown = text_of(app)
        for part in (
            "pid 4242",
            "177.8 MiB",
            "growing",
            "enabled",
            "orders.py:42",
            "+264.6 KiB",
            "snapshot 3",
            "q Quit",
        ):
            assert part in shown


@SIZES
@pytest.mark.parametrize(
    ("key", "command"),
    [("s", TakeSnapshot()), ("g", CollectGarbage()), ("t", StopTracing()), ("b", GroupAllocations(GroupBy.FILE))],
)
async def test_keys_that_ask_the_session(
    make_app: Make, states: tuple[State, ...], size: tuple[int, int], key: str, command: Command
) -> None:
    session = ScriptedSession([states[-1]])
    app = make_app(session=session)
    async with app.run_test(size=size) as pilot:
        await pilot.press(key)
        await pilot.pause()
        assert session.requests == [command]


@pytest.mark.parametrize(("key", "command"), [("t", StartTracing()), ("a", ClimbToAgent()), ("g", CollectGarbage())])
async def test_what_needs_the_agent_says_so_once(
    make_app: Make, states: tuple[State, ...], key: str, command: Command
) -> None:
    session = ScriptedSession([states[5]])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(key, key)
        await pilot.pause()
        assert session.requests == [command, command]
        assert text_of(app, "#log").count("one thread inside the process") == 1


async def test_a_snapshot_says_once_what_it_does_to_the_process(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([replace(states[5], gc=None, series=Series().append(Sample(0.0, 900 * MIB)))])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("s", "s")
        await pilot.pause()
        assert session.requests == [TakeSnapshot(), TakeSnapshot()]
        assert "one thread" not in text_of(app, "#log")
        assert text_of(app, "#log").count("stopped for some ms and copied") == 1


@pytest.mark.parametrize(("answer", "more"), [("y", [TakeSnapshot(accept_stop=True)]), ("n", [])])
async def test_what_the_session_asks_is_asked_once(
    make_app: Make, states: tuple[State, ...], answer: str, more: list[Command]
) -> None:
    def ask(state: State, command: Command) -> State:
        text = "The process would stand still for about 120 ms. Take the picture now?"
        return reduce(state, m.Asked(text, TakeSnapshot(accept_stop=True)), 6.0)

    session = ScriptedSession([states[5]], answer=ask)
    app = make_app(session=session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, AskScreen) and "about 120 ms" in text_of(app))
        session.play(session.state)
        await pilot.pause()
        session._answer = None
        await pilot.press(answer)
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        assert session.requests == [TakeSnapshot(), *more]


async def test_a_picture_in_the_making_has_a_bar(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(replace(states[5], picturing=Picturing("references", 0.5)))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "████████          50 % references" in text_of(app, "#status"))


async def test_a_snapshot_that_cannot_be_taken_from_outside_announces_the_agent(
    make_app: Make, states: tuple[State, ...]
) -> None:
    app = make_app(replace(states[5], rung=Rung.PROCESS))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("s")
        await pilot.pause()
        assert "one thread inside the process" in text_of(app, "#log")


async def test_the_difference_of_scans_begins_with_the_types(make_app: Make, states: tuple[State, ...]) -> None:
    bare = [replace(one, allocations=None, traced_bytes=None, scanned=True) for one in states[-1].snapshots]
    app = make_app(replace(states[-1], snapshots=tuple(bare)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: "shop.orders.Order" in text_of(app, "#rows"))
        assert "from outside" in text_of(app, "#snapshots")


async def test_a_launched_workload_is_not_asked_about(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(with_output(states[5], ("hello",)))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("t")
        await pilot.pause()
        assert "one thread" not in text_of(app, "#log")


async def test_the_agent_is_not_put_in_twice(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([states[-1]])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("a")
        assert session.requests == []


@pytest.mark.parametrize(("answer", "asked"), [("y", [CollectGarbage()]), ("n", []), ("escape", [])])
async def test_a_long_collection_is_asked_about(
    make_app: Make, states: tuple[State, ...], answer: str, asked: list[Command]
) -> None:
    session = ScriptedSession([large(states[-1])])
    app = make_app(session=session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, AskScreen) and "stop the process for about" in text_of(app))
        assert session.requests == []
        await pilot.press(answer)
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        assert session.requests == asked


async def test_an_unknown_pause_of_a_large_process_is_asked_about(make_app: Make, states: tuple[State, ...]) -> None:
    unknown = replace(states[5], gc=None, series=Series().append(Sample(0.0, 900 * MIB)))
    session = ScriptedSession([unknown])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        assert session.requests == []


@SIZES
async def test_pause_holds_the_picture_while_data_go_on(
    make_app: Make, states: tuple[State, ...], size: tuple[int, int]
) -> None:
    session = ScriptedSession(states[100:])
    app = make_app(session=session)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "RSS" in text_of(app))
        before = text_of(app, "#figures")
        await pilot.press("p")
        for _ in range(30):
            session.step()
        await pilot.pause()
        assert text_of(app, "#figures") == before
        assert "PAUSED" in text_of(app, "#status")
        await pilot.press("p")
        await until(pilot, lambda: "PAUSED" not in text_of(app, "#status"))
        assert text_of(app, "#figures") != before


@SIZES
async def test_filter(make_app: Make, states: tuple[State, ...], size: tuple[int, int]) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=size) as pilot:
        await pilot.press("slash", *"cache", "enter")
        await until(pilot, lambda: "“cache”" in text_of(app))
        assert "cache.py:17" in text_of(app, "#allocations")
        assert "orders.py:42" not in text_of(app, "#allocations")
        assert app.focused is not None
        assert app.focused.id == "allocations"
        await pilot.press("escape")
        await until(pilot, lambda: "“cache”" not in text_of(app))
        assert "orders.py:42" in text_of(app, "#allocations")


async def test_keys_typed_into_the_filter_are_text(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([states[-1]])
    app = make_app(session=session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"sqtg")
        assert app.screen.query_one("#filter", Input).value == "sqtg"
        assert session.requests == []


@SIZES
async def test_sort(make_app: Make, states: tuple[State, ...], size: tuple[int, int]) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=size) as pilot:
        for order in ("change", "count", "place", "size"):
            await pilot.press("o")
            await until(pilot, lambda order=order: f"sort {order}" in text_of(app, "#allocations-title"))  # type: ignore[misc]


async def test_enter_opens_the_row_under_the_cursor(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "cache.py" in text_of(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen) and "cache.py:17" in text_of(app))
        assert "template.render" in text_of(app)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))


async def test_the_cursor_stays_on_its_row_when_the_order_changes(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "cache.py" in text_of(app))
        table = app.screen.query_one("#allocations", LineTable)
        await pilot.press("down", "down")
        key = table.cursor_key
        await pilot.press("o", "o", "o")
        await pilot.pause()
        assert table.cursor_key == key
        assert any("▸" in row and "runtime.py" in row for row in text_of(app, "#allocations").splitlines())


async def test_the_cursor_moves_through_all_rows(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "cache.py" in text_of(app))
        table = app.screen.query_one("#allocations", LineTable)
        await pilot.press("end")
        assert table.shown[1:] == (18, 18)
        await pilot.press("home", "pagedown", "pageup")
        assert table.shown[0] == 1


@SIZES
async def test_diff(make_app: Make, states: tuple[State, ...], size: tuple[int, int]) -> None:
    session = ScriptedSession(states[179:])
    app = make_app(session=session)
    async with app.run_test(size=size) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DiffScreen) and "orders.py:42" in text_of(app))
        assert "Snapshots 1 and 2" in " ".join(text_of(app, "#note").split())
        assert re.search(r"\+8\d\d\.\d KiB .*orders.py:42", text_of(app, "#rows"))
        session.step()
        await until(pilot, lambda: text_of(app, "#snapshots").count("MiB") >= 6)
        await pilot.press("tab", "end", "2")
        await until(pilot, lambda: "Snapshots 1 and 3" in " ".join(text_of(app, "#note").split()))
        await pilot.press("b")
        await until(pilot, lambda: "cache.py " in text_of(app, "#rows"))
        await pilot.press("b")
        await until(pilot, lambda: "shop.models.Line" in text_of(app, "#rows"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))


async def test_diff_without_two_snapshots_says_what_to_do(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[5])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: "s takes one" in text_of(app))


async def test_export_shows_the_path(make_app: Make, states: tuple[State, ...], exports: object) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("e")
        await until(pilot, lambda: "/home/me/memtui-4242.json" in text_of(app, "#log"))
        assert exports.states == [states[-1]]  # type: ignore[attr-defined]


async def test_export_shows_the_error(make_app: Make, states: tuple[State, ...], exports: object) -> None:
    exports.error = WriteError("Cannot write [red]x.json.", why="The disk is full.")  # type: ignore[attr-defined]
    app = make_app(states[-1])
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("e")
        await until(pilot, lambda: "Cannot write [red]x.json. The disk is full." in text_of(app, "#log"))


async def test_help_and_palette_open_and_close(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "Snapshot" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        await pilot.press("ctrl+p")
        await until(pilot, lambda: not isinstance(app.screen, DashboardScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert {"Snapshot", "Sort", "Theme", "Quit"} <= set(titles)


async def test_themes_can_be_changed_while_running(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=(80, 24)) as pilot:
        assert set(app.available_themes) == {"memtui-dark", "memtui-light", "memtui-ansi", "memtui-contrast"}
        for name in app.available_themes:
            app.theme = name
            await pilot.pause()
            assert "RSS" in text_of(app)


@pytest.mark.parametrize(("key", "code"), [("q", EXIT_OK), ("ctrl+c", EXIT_INTERRUPTED), ("ctrl+q", EXIT_OK)])
async def test_quit(make_app: Make, states: tuple[State, ...], key: str, code: int) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        await until(pilot, lambda: not app.is_running)
    assert app.return_code == code


@pytest.mark.parametrize("opened", [["d"], ["question_mark"], ["enter"], ["slash"], ["g"]])
async def test_ctrl_c_quits_from_everywhere(make_app: Make, states: tuple[State, ...], opened: list[str]) -> None:
    app = make_app(large(states[-1]))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "RSS" in text_of(app))
        await pilot.press(*opened, "ctrl+c")
        await until(pilot, lambda: not app.is_running)


async def test_a_remapped_key_works_and_the_old_one_does_not(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([states[-1]])
    app = make_app(session=session, keys={"snapshot": "f2", "sort": "x"})
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("s", "f2", "x")
        await until(pilot, lambda: "sort change" in text_of(app, "#allocations-title"))
        assert session.requests == [TakeSnapshot()]
        assert "f2 Snapshot" in text_of(app, "#keys")


async def test_problems_of_the_settings_are_in_the_log(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[-1], problems=("Theme /x/y.toml: colors.primary is missing",))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "warning: Theme /x/y.toml: colors.primary is missing" in text_of(app, "#log"))


async def test_output_half_full_away(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(with_output(states[-1], TRACEBACK))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("w")
        await until(pilot, lambda: "no such shop" in text_of(app, "#output"))
        assert "orders.py:42" in text_of(app)
        await pilot.press("w")
        await until(pilot, lambda: "orders.py:42" not in text_of(app))
        assert "no such shop" in text_of(app, "#output")
        await pilot.press("w")
        await until(pilot, lambda: "no such shop" not in text_of(app))


async def test_output_can_be_scrolled_and_follows_again(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([with_output(states[-1], tuple(f"line {number}" for number in range(500)))])
    app = make_app(session=session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("w")
        await until(pilot, lambda: "line 499" in text_of(app, "#output"))
        await pilot.press("home")
        await until(pilot, lambda: "line 0" in text_of(app, "#output"))
        await pilot.press("end")
        await until(pilot, lambda: "line 499" in text_of(app, "#output"))


async def test_a_crash_shows_its_traceback_by_itself(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([with_output(states[-1], TRACEBACK[:1])])
    app = make_app(session=session)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "RSS" in text_of(app))
        assert "starting" not in text_of(app)
        session.play(with_output(states[-1], TRACEBACK, ending=Ending(199.0, "exit code 1", exit_code=1)))
        await until(pilot, lambda: "ValueError: no such shop" in text_of(app, "#output"))
        assert "ENDED  exit code 1" in text_of(app, "#status")
        await pilot.press("s")
        assert session.requests == []


async def test_the_end_of_the_process_is_seen_also_while_paused(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([states[-1]])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("p")
        await until(pilot, lambda: "PAUSED" in text_of(app))
        session.play(replace(states[-1], ending=Ending(199.0, "killed by signal 9 (SIGKILL)", signal=9)))
        await until(pilot, lambda: "ENDED  killed by signal 9" in text_of(app, "#status"))
        await pilot.press("e")
        await until(pilot, lambda: "Report written" in text_of(app, "#log"))


async def test_tracing_with_frames_is_in_the_palette(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([states[-1]])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)):
        commands = {command.title: command.callback for command in app.get_system_commands(app.screen)}
        commands["Trace with 10 frames"]()
        assert session.requests == [StartTracing(10)]


async def test_a_line_for_the_workload(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([with_output(states[-1], TRACEBACK)])
    app = make_app(session=session, workload_stdin=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("w", *"quit 1", "enter")
        await until(pilot, lambda: session.requests == [SendInput("quit 1")])
        await pilot.press("escape")
        assert app.focused is not None
        assert app.focused.id == "allocations"


async def test_without_stdin_there_is_no_input_line(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(with_output(states[-1], TRACEBACK))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.focused, OutputView))
        assert not app.screen.query("#workload-input")


async def test_tracing_that_is_off_says_what_it_costs(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(replace(states[-1], tracing=Tracing(), allocations=None, baseline=None))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "starts tracemalloc" in text_of(app, "#allocations"))
        assert "Cost" in text_of(app, "#allocations")


async def test_the_footer_and_the_rows_can_be_clicked(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([states[-1]])
    app = make_app(session=session)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "cache.py" in text_of(app))
        footer = text_of(app, "#keys")
        await pilot.click("#keys", offset=(footer.index("Snapshot") + 2, 0))
        await until(pilot, lambda: session.requests == [TakeSnapshot()])
        await pilot.click("#keys", offset=(footer.index("Sort") + 1, 0))
        await until(pilot, lambda: "sort change" in text_of(app))
        await pilot.click("#allocations", offset=(20, 3))
        assert app.screen.query_one("#allocations", LineTable).shown[0] == 1
        await pilot.click("#allocations", offset=(20, 3))
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))


async def test_the_wheel_moves_the_cursor(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(states[-1])
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "cache.py" in text_of(app))
        table = app.screen.query_one("#allocations", LineTable)
        first = table.cursor_key
        table.post_message(MouseScrollDown(table, 1, 1, 0, 0, 0, False, False, False))
        await until(pilot, lambda: table.cursor_key != first)
