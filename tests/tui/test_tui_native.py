"""The key of native recordings and its screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from screen_text import text_of, until

from memtui.model.command import Command, StartNative, StopNative
from memtui.model.evidence import Evidence, Look
from memtui.model.native import (
    NativeFrame,
    NativeKind,
    NativeLibrary,
    NativeProgress,
    NativeReport,
    NativeResult,
    NativeSite,
)
from memtui.model.state import EventKind, State
from memtui.session import messages as m
from memtui.session.native_desk import NOT_RECORDED
from memtui.session.reducer import reduce
from memtui.session.scripted import ScriptedSession
from memtui.tui.app import FilesApp, MemtuiApp
from memtui.tui.screens.ask import AskScreen
from memtui.tui.screens.dashboard import DashboardScreen
from memtui.tui.screens.detail import TextScreen
from memtui.tui.screens.native import NativeScreen

Make = Callable[..., MemtuiApp]
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)])
MIB = 1024**2
UJSON = "/srv/venv/lib/python3.11/site-packages/ujson.so"


def result(count: int = 3, file: str | None = "/home/me/memtui-native-4242.bin") -> NativeResult:
    frame = NativeFrame("decode\x1b[31m", "ujson.c", 88, UJSON, 0x40)
    malloc = NativeFrame("strdup", None, None, "/lib/libc.so.6", 0x10)
    taken = NativeFrame("take", "/srv/shop/shop/orders.py", 42)
    first = NativeSite(NativeKind.EXTENSION, UJSON, "ujson", frame, 9 * MIB, 3000, (taken,), (malloc, frame))
    other = NativeSite(
        NativeKind.PYTHON, "/bin/python", None, NativeFrame(None, None, None, "/bin/python", 0x99), 70, 1, (), ()
    )
    sites = (first, *(other for _ in range(count - 1)))
    library = NativeLibrary(NativeKind.EXTENSION, UJSON, "ujson", 9 * MIB, 3000)
    report = NativeReport(
        4242, "app.py", 0.0, 30.0, 90_000, 0, 9 * MIB, 3001, True, True, count, sites[:count], (library,)
    )
    return NativeResult(report, file, "time", 0.4, 40.0)


def asking(state: State, command: Command) -> State:
    """A session that asks before it begins, begins, and has read the recording when it is stopped."""
    if command == StartNative():
        return reduce(state, m.Asked("Record native allocations for 30 s?", StartNative(accepted=True)), 6.0)
    if isinstance(command, StopNative):
        state = reduce(state, m.NativeProgressed(None), 8.0)
        return reduce(state, m.NativeRecorded(result()), 8.0)
    progress = NativeProgress("recording native allocations", 29.0)
    return reduce(state, m.NativeProgressed(progress), 7.0)


@SIZES
async def test_the_key_asks_records_stops_and_shows(
    make_app: Make, states: tuple[State, ...], size: tuple[int, int]
) -> None:
    session = ScriptedSession([states[5]], answer=asking)
    app = make_app(session=session)
    async with app.run_test(size=size) as pilot:
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, AskScreen) and "for 30 s?" in text_of(app))
        await pilot.press("y")
        await until(pilot, lambda: "recording native allocations, 29 s left" in text_of(app, "#status"))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NativeScreen) and "9.0 MiB" in text_of(app))
        assert session.requests == [StartNative(), StartNative(accepted=True), StopNative()]
        for part in ("3,001 allocations not freed", "memtui native report", "ujson: decode", "take (orders.py:42)"):
            assert part in text_of(app)
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(app.screen, TextScreen) and "through strdup (libc.so.6)" in text_of(app)
        )
        assert "/srv/shop/shop/orders.py:42" in text_of(app).replace("\n", "")
        assert "\x1b" not in text_of(app)
        await pilot.press("escape", "n")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        await pilot.press("n", "escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NativeScreen))
        assert session.requests[3:] == [StartNative()]


async def test_a_recording_does_not_open_over_what_is_typed(make_app: Make, states: tuple[State, ...]) -> None:
    session = ScriptedSession([states[-1]])
    app = make_app(session=session)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", "o")
        session.play(replace(states[-1], native=result()))
        await pilot.pause()
        await pilot.pause()
        assert isinstance(app.screen, DashboardScreen)
        await pilot.press("enter", "n")
        await until(pilot, lambda: isinstance(app.screen, NativeScreen))


async def test_nothing_was_kept_by_anybody(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(replace(states[5], native=result(0, None)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, NativeScreen) and "was freed" in text_of(app))
        assert "native report" not in text_of(app, "#summary")


async def test_files_have_no_process_to_record(settings: object, states: tuple[State, ...]) -> None:
    session = ScriptedSession([states[-1]])
    app = FilesApp(session, exporter=lambda _: None, settings=settings)  # type: ignore[arg-type, return-value]
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("n")
        await pilot.pause()
        assert session.requests == []


@SIZES
async def test_the_leak_screen_offers_what_tells_more(
    make_app: Make, states: tuple[State, ...], size: tuple[int, int]
) -> None:
    looks = tuple(
        Look(at, (20 + at) * MIB, (10 + at) * MIB, 5 * MIB, 1000, 0, 0, 5 * MIB, 0, 0.004) for at in (0, 15, 30, 45)
    )
    grown = replace(states[5], evidence=Evidence(looks, (), (), ()))
    session = ScriptedSession([grown])
    app = make_app(session=session)
    async with app.run_test(size=size) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: "n tells which C code allocates" in " ".join(text_of(app, "#verdict").split()))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TextScreen) and "memray must be installed" in one_line(app))
        await pilot.press("escape", "n")
        await pilot.pause()
        assert session.requests == [StartNative()]
        session.play(replace(grown, native=result()))
        await until(pilot, lambda: "n tells" not in text_of(app, "#verdict"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TextScreen) and "ujson: decode" in one_line(app))


def one_line(app: MemtuiApp) -> str:
    return " ".join(text_of(app).split())


async def test_why_there_is_no_recording_is_told_in_full(make_app: Make, states: tuple[State, ...]) -> None:
    why = f"{NOT_RECORDED}: memray is not installed for its interpreter: /srv/venv/bin/python -m pip install memray"

    def refuse(state: State, command: Command) -> State:
        return reduce(state, m.Noted(EventKind.ERROR, why), 6.0)

    app = make_app(session=ScriptedSession([states[5]], answer=refuse))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("n")
        await until(pilot, lambda: why in [one.message for one in app._notifications])
