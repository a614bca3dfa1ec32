"""The ways to start the agent, which come after which, and how each answers.

A way is found out whole before the target is touched. Its routes are tried in turn by :mod:`memtui.attach.inject`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

from memtui.attach import gdb
from memtui.attach.plan import build_plan, gdb_symbols
from memtui.attach.remote_exec import PATIENCE_SECONDS, SINCE, RemoteExec, check_enabled
from memtui.errors import RefusedError
from memtui.observe.interpreter import Interpreter
from memtui.observe.process import Identity

Via = Literal["auto", "ptrace", "gdb", "remote-exec"]
RunHelper = Callable[[dict[str, Any]], dict[str, Any]]

_QUEUED_PATIENCE_SECONDS = 0.3
_QUEUED_BY_GDB_PATIENCE_SECONDS = 1.0
_PAUSE_SECONDS = 0.02
_SENDING_PATIENCE_SECONDS = 2.5
"""A program all of whose threads are still in the middle of sending is then stuck there: it is interrupted in it."""
_AT_BREAKPOINT_SECONDS = 10.0
_UNTIL_THE_END = 3600.0


class Way(Protocol):
    """One way. ``first`` is the route to begin with, ``more_seconds`` what it needs beyond the usual deadline."""

    first: str
    more_seconds: float

    def in_main_thread(self, route: str) -> bool:
        """Whether the source will be run by a thread that must not be held up."""
        ...

    def start(self, route: str, source: str) -> dict[str, Any]:
        """One try: ``outcome``, and as they apply ``reason``, ``stop_seconds``. Raises RefusedError."""
        ...

    def patience_seconds(self, outcome: str) -> float:
        """How long to wait for the agent before the next try."""
        ...

    def after(self, route: str, outcome: str) -> str:
        """The route of the next try."""
        ...

    def close(self) -> None:
        """The attach is over, well or not."""
        ...


def choose(interpreter: Interpreter, identity: Identity, via: Via, experimental: bool, run_helper: RunHelper) -> Way:
    """The way to the agent that was asked for. Raises RefusedError when it cannot be gone."""
    if via == "gdb":
        return ByGdb(interpreter)
    by_itself = interpreter.minor >= SINCE
    if via == "remote-exec" and not by_itself:
        raise RefusedError(
            f"--via remote-exec is not possible: process {interpreter.pid} runs Python {interpreter.version_text}.",
            why="It needs Python {}.{} or newer in the process.".format(*SINCE),
            next_step="Leave --via out.",
        )
    if via == "ptrace" or not by_itself:
        return ByPtrace(build_plan(interpreter, identity, experimental), run_helper)
    check_enabled(interpreter.pid)
    try:
        then = None if via == "remote-exec" else ByPtrace(build_plan(interpreter, identity, experimental), run_helper)
    except RefusedError:
        then = None
    return ByRemoteExec(interpreter, then)


def entry_cost(via: Via) -> str:
    """What this way does to the process beyond the usual, to be said before it is gone; empty for nothing."""
    return gdb.COST if via == "gdb" else ""


class ByPtrace:
    """memtui's own injector: the best thread first, then any that waits harmlessly."""

    first = "auto"
    more_seconds = 0.0

    def __init__(self, plan: dict[str, Any], run_helper: RunHelper) -> None:
        self._plan, self._run_helper = plan, run_helper
        self._cuts_short_at = time.monotonic() + _SENDING_PATIENCE_SECONDS

    def in_main_thread(self, route: str) -> bool:
        """Only without executable memory."""
        return route == "no-exec"

    def start(self, route: str, source: str) -> dict[str, Any]:
        """One run of the helper."""
        may_cut_short = time.monotonic() > self._cuts_short_at
        return self._run_helper(self._plan | {"route": route, "source": source, "may_cut_short": may_cut_short})

    def patience_seconds(self, outcome: str) -> float:
        """Without code nothing but the main thread can bring the agent."""
        if outcome in ("started", "queued-without-code"):
            return _UNTIL_THE_END
        return _QUEUED_PATIENCE_SECONDS if outcome == "queued" else _PAUSE_SECONDS

    def after(self, route: str, outcome: str) -> str:
        """The main thread may have gone to sleep with the call queued, or sits in a long call."""
        return {"queued": "thread", "no-exec": "no-exec"}.get(outcome, route)

    def close(self) -> None:
        """There is nothing to clean up."""


class ByGdb:
    """By gdb: a queued call when the main thread runs code, then at a breakpoint."""

    first = "gdb"
    more_seconds = 12.0

    def __init__(self, interpreter: Interpreter) -> None:
        self._pid = interpreter.pid
        self._symbols = gdb_symbols(interpreter)

    def in_main_thread(self, route: str) -> bool:
        """Always."""
        return True

    def start(self, route: str, source: str) -> dict[str, Any]:
        """One run of gdb."""
        return gdb.attempt(self._pid, self._symbols, source, route == self.first, _AT_BREAKPOINT_SECONDS)

    def patience_seconds(self, outcome: str) -> float:
        """A queued call may wait for a main thread in a long call."""
        if outcome == "started-by-gdb":
            return _UNTIL_THE_END
        return _QUEUED_BY_GDB_PATIENCE_SECONDS if outcome == "queued-by-gdb" else _PAUSE_SECONDS

    def after(self, route: str, outcome: str) -> str:
        """One call in the queue is enough."""
        return "gdb-breakpoint" if outcome == "queued-by-gdb" else route

    def close(self) -> None:
        """There is nothing to clean up."""


class ByRemoteExec:
    """By the interpreter itself; when that brings nothing, by ``then``."""

    first = "remote-exec"
    more_seconds = 0.0

    def __init__(self, interpreter: Interpreter, then: Way | None) -> None:
        self._script, self._then = RemoteExec(interpreter), then

    def in_main_thread(self, route: str) -> bool:
        """The script is run by the main thread."""
        return route == self.first or (self._then is not None and self._then.in_main_thread(route))

    def start(self, route: str, source: str) -> dict[str, Any]:
        """Ask the interpreter, later go the other way."""
        if route == self.first or self._then is None:
            return self._script.attempt(source)
        return self._then.start(route, source)

    def patience_seconds(self, outcome: str) -> float:
        """A second, when there is another way."""
        if outcome == "asked":
            return PATIENCE_SECONDS if self._then is not None else _UNTIL_THE_END
        return self._then.patience_seconds(outcome) if self._then is not None else PATIENCE_SECONDS

    def after(self, route: str, outcome: str) -> str:
        """The other way, once this one has brought nothing."""
        if self._then is None:
            return route
        return self._then.first if route == self.first else self._then.after(route, outcome)

    def close(self) -> None:
        """Remove the script."""
        self._script.close()
