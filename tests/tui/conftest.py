from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shop_session import shop_states

from memtui.model.state import State
from memtui.session.scripted import ScriptedSession
from memtui.tui.app import MemtuiApp
from memtui.tui.settings import Settings, load_settings


@pytest.fixture(scope="session")
def states() -> tuple[State, ...]:
    """The leaking shop, second by second."""
    return shop_states(200)


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty configuration directory of our own, in a terminal with all colours."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    directory = tmp_path / "memtui"
    directory.mkdir()
    return directory


@pytest.fixture
def settings(config: Path) -> Settings:
    return replace(load_settings(), ascii=False)


class Exports:
    """An exporter that keeps what it was given; ``error`` makes it fail."""

    def __init__(self) -> None:
        self.states: list[State] = []
        self.error: Exception | None = None

    def __call__(self, state: State) -> Path:
        if self.error is not None:
            raise self.error
        self.states.append(state)
        return Path("/home/me/memtui-4242.json")


@pytest.fixture
def exports() -> Exports:
    return Exports()


@pytest.fixture
def make_app(settings: Settings, exports: Exports) -> Callable[..., MemtuiApp]:
    """An application over the States given; more keywords are settings."""

    def make(*states: State, session: ScriptedSession | None = None, **changes: Any) -> MemtuiApp:
        return MemtuiApp(session or ScriptedSession(states), exporter=exports, settings=replace(settings, **changes))

    return make
