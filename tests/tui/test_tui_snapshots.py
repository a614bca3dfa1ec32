"""What the screens look like, compared cell by cell with pictures that somebody looked at.

Textual draws small things differently from version to version, so the pictures are compared only with the version
they were made with. To make them anew: look at the difference, then run with ``--snapshot-update``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import textual
from screen_text import text_of, until
from shop_heap import ShopBook, with_pictures
from textual.pilot import Pilot

from memtui.model.state import State
from memtui.session.scripted import ScriptedSession
from memtui.tui.app import MemtuiApp
from memtui.tui.books import Shelf
from memtui.tui.settings import Settings

RECORDED_WITH = "8.2.8"
pytestmark = pytest.mark.skipif(
    textual.__version__ != RECORDED_WITH,
    reason=f"the pictures are of Textual {RECORDED_WITH}, this is {textual.__version__}",
)
Make = Callable[..., MemtuiApp]


@pytest.mark.parametrize(
    ("theme", "size", "keys"),
    [
        ("memtui-dark", (120, 40), []),
        ("memtui-light", (120, 40), ["o", "down"]),
        ("memtui-ansi", (80, 24), []),
        ("memtui-dark", (80, 24), ["d"]),
        ("memtui-contrast", (60, 15), ["v"]),
        ("memtui-dark", (100, 30), ["question_mark"]),
    ],
    ids=["dashboard", "light", "ansi-80x24", "diff-80x24", "small", "help"],
)
def test_screen(
    make_app: Make, states: tuple[State, ...], snap_compare: Any, theme: str, size: tuple[int, int], keys: list[str]
) -> None:
    app = make_app(states[-1], theme=theme)
    assert snap_compare(app, terminal_size=size, press=keys)


@pytest.mark.parametrize(
    ("size", "keys"),
    [
        ((80, 24), {"h": "shop.cache.Page"}),
        ((120, 40), {"h": "shop.cache.Page", "v": "shop.orders.ORDERS", "enter": "['/basket/0']"}),
        ((80, 24), {"d": "shop.cache._RENDERED[*]"}),
    ],
    ids=["types", "object", "holders"],
)
def test_pictures(
    settings: Settings, states: tuple[State, ...], snap_compare: Any, size: tuple[int, int], keys: dict[str, str]
) -> None:
    session = ScriptedSession([with_pictures(states[-1])])
    app = MemtuiApp(session, exporter=lambda _: Path("x"), settings=settings, shelf=Shelf(ShopBook))

    async def leaf_through(pilot: Pilot[None]) -> None:
        for key, shown in keys.items():
            await pilot.press(key)
            await until(pilot, lambda shown=shown: shown in text_of(app, "#rows"))  # type: ignore[misc]

    assert snap_compare(app, terminal_size=size, run_before=leaf_through)
