"""The leak screen: a checked collection, what it shows of it, and what is expected."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from screen_text import text_of, until

from memtui.model.command import CheckCycles, Command
from memtui.model.cycles import CycleCheck, GarbageType
from memtui.model.evidence import Evidence, GrownHolder, GrownType, Look
from memtui.model.state import State
from memtui.session.scripted import ScriptedSession
from memtui.tui.app import MemtuiApp
from memtui.tui.presenters.line import plain
from memtui.tui.screens.detail import TextScreen
from memtui.tui.screens.leaks import LeaksScreen
from memtui.tui.widgets.table import LineTable

Make = Callable[..., MemtuiApp]
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)])
MIB = 1024 * 1024
CHECK = CycleCheck(
    60.0, 900, 72_000, (GarbageType("shop.Order", 600, 48_000),), 2, True, False,
    (("shop.Order.owner", "shop.Shop.orders", "list[0]"),), (GarbageType("shop.\x1b[31mBad", 7),), 7, (), True, 0,
    True, 0, 0, 0.012, 0.03,
)  # fmt: skip


def leaking(state: State) -> State:
    """The State with a growing registry."""
    looks = tuple(Look(n * 15.0, n * MIB, n * MIB, n * MIB, 100 * n, 0, 0, n * MIB, 0, 0.004) for n in range(1, 5))
    sizes, counts = tuple(n * MIB for n in range(1, 5)), (100, 200, 300, 400)
    registry = GrownHolder(
        "shop.ORDERS", "list", "modules", "sys.modules", (), sizes, counts, counts, None,
        (GrownType("shop.Order", 300, 3 * MIB),), None, False, ("Order(id=17, name='x')",),
    )  # fmt: skip
    return replace(state, evidence=Evidence(looks, (registry,), (), ()))


def answer(state: State, command: Command) -> State:
    return replace(state, cycles=CHECK) if isinstance(command, CheckCycles) else state


def rows(app: MemtuiApp) -> str:
    return "\n".join(plain(one.line) for one in app.screen.query_one("#suspects", LineTable)._rows)


@SIZES
async def test_a_checked_collection(make_app: Make, states: tuple[State, ...], size: tuple[int, int]) -> None:
    session = ScriptedSession([leaking(states[-1])], answer=answer)
    app = make_app(session=session)
    async with app.run_test(size=size) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LeaksScreen))
        assert "Cycles" in text_of(app)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, TextScreen))
        assert CheckCycles() in session.requests
        shown = " ".join(text_of(app).split())
        assert "900 objects" in shown
        assert "shop.Order.owner -> shop.Shop.orders -> list[0] -> back" in shown
        assert "gc.garbage held 7 objects already" in shown
        assert "\x1b" not in shown
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, LeaksScreen))
        await until(pilot, lambda: "garbage found:" in rows(app))
        await pilot.press("end", "enter")
        await until(pilot, lambda: isinstance(app.screen, TextScreen))
        assert "what only the collector frees" in text_of(app)


async def test_a_check_that_was_there_before_does_not_pop_up(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(replace(leaking(states[-1]), cycles=CHECK))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LeaksScreen) and "garbage found:" in rows(app))
        assert isinstance(app.screen, LeaksScreen)


async def test_the_evidence_shows_objects_in_words(make_app: Make, states: tuple[State, ...]) -> None:
    app = make_app(leaking(states[-1]))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LeaksScreen) and "shop.Order" in rows(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TextScreen))
        assert "Order(id=17, name='x')" in text_of(app)


@SIZES
async def test_what_is_expected_is_marked_everywhere(
    make_app: Make, states: tuple[State, ...], size: tuple[int, int], config: Path
) -> None:
    app = make_app(leaking(states[-1]))
    async with app.run_test(size=size) as pilot:
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LeaksScreen) and "shop.Order" in rows(app))
        assert "expected" not in rows(app)
        await pilot.press("x")
        await until(pilot, lambda: "expected: shop.Order" in rows(app))
        kept = json.loads((config / "expected.json").read_text("utf-8"))
        assert list(kept.values()) == ["shop.Order shop.ORDERS"]
        await pilot.press("escape")
        await until(pilot, lambda: "expected" in text_of(app))
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LeaksScreen))
        await pilot.press("x")
        await until(pilot, lambda: "expected" not in rows(app))
        assert json.loads((config / "expected.json").read_text("utf-8")) == {}
