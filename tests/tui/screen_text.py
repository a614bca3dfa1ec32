"""What a person would read on the screen of an application under test."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.pilot import Pilot

from memtui.tui.app import MemtuiApp
from memtui.tui.presenters.line import plain
from memtui.tui.widgets.lines import Lines

DEADLINE_SECONDS = 10.0


def text_of(app: MemtuiApp, selector: str = "Lines") -> str:
    """The lines of all visible widgets that match, top down."""
    found = [widget for widget in app.screen.query(selector).results(Lines) if visible(widget)]
    return "\n".join(plain(one) for widget in found for one in widget.lines)


def visible(widget: Lines) -> bool:
    return widget.is_on_screen and bool(widget.size) and all(one.display for one in widget.ancestors_with_self)


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds; fails when it does not in time."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS} s"
        await pilot.pause(0.01)
    await pilot.pause()
