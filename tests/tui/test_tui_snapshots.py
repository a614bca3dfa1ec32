"""What the screens look like, compared cell by cell with pictures that somebody looked at.

Textual draws small things differently from version to version, so the pictures are compared only with the version
they were made with. To make them anew: look at the difference, then run with ``--snapshot-update``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import textual

from memtui.model.state import State
from memtui.tui.app import MemtuiApp

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
