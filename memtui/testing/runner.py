"""What belongs to the test runner itself: its own memory is no leak of the program that is tested."""

from __future__ import annotations

import logging
import types
import warnings
from typing import Any

from memtui.testing.labels import type_of

_PACKAGES = (
    "_pytest", "pytest", "pluggy", "pytest_asyncio", "pytest_timeout", "anyio.pytest_plugin", "pytest_trio", "xdist",
    "execnet", "hypothesis", "coverage", "memtui.testing",
)  # fmt: skip
_DOUBLES = ("unittest.mock", "mock", "pytest_mock")
"""They note every call, as they should."""
_CODE_OF = {
    types.FunctionType: "__globals__", types.FrameType: "f_globals", types.GeneratorType: "gi_frame",
    types.CoroutineType: "cr_frame",
}  # fmt: skip


def is_runner(one: object, *, doubles: bool = False) -> bool:
    """Whether an object is pytest's or one of its plugins'; with ``doubles`` also mocks, which note their calls."""
    packages = _PACKAGES + _DOUBLES if doubles else _PACKAGES
    if _within(type_of(one), packages):
        return True
    attribute = _CODE_OF.get(type(one))
    if attribute is None:
        return False
    space = getattr(one, attribute)
    if type(space) is types.FrameType:
        space = space.f_globals
    name = space.get("__name__") if type(space) is dict else None
    return type(name) is str and _within(name, packages)


def _within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == one or name.startswith(one + ".") for one in packages)


class Notes:
    """What pytest writes down while a test runs: log records and warnings. Forgotten after each round, but the first.

    Without that a body which logs a line would seem to leak a record in each round. With ``keep_first`` False the
    first round's warnings go too, for tests that look at what they warned of.
    """

    def __init__(self, keep_first: bool) -> None:
        noted = _warnings_noted()
        self._warnings = None if keep_first or noted is None else len(noted)
        self._again = not keep_first

    def forget(self) -> None:
        """Drop what this round noted; warnings of the first round stay, so that pytest can show them."""
        for handler in logging.getLogger().handlers:
            clear = getattr(handler, "clear", None)
            if type(handler).__module__ == "_pytest.logging" and clear is not None:
                clear()
        noted = _warnings_noted()
        if noted is not None:
            if self._warnings is None:
                self._warnings = len(noted)
            del noted[self._warnings :]
        if self._again:
            # Python forgets by this which warnings it gave already, so each round gives them anew.
            with warnings.catch_warnings():
                pass


def _warnings_noted() -> list[Any] | None:
    """The list into which ``warnings.catch_warnings(record=True)`` writes just now."""
    noted = getattr(getattr(warnings, "_showwarnmsg_impl", None), "__self__", None)
    return noted if type(noted) is list else None
