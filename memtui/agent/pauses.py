"""How long the collector, and the agent itself, stop the target."""

from __future__ import annotations

import gc
from posix import getpid
from time import perf_counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CALIBRATION_CALLS = 200
_NOTHING = (0, 0.0, 0.0, None, None)


class Pauses:
    """Times collections through one entry in ``gc.callbacks``, in constant memory."""

    __slots__ = ("_callback", "_cell", "_cost_seconds")

    def __init__(self) -> None:
        self._cost_seconds = _measure_cost()
        self._cell: list[tuple[Any, ...]] = [_NOTHING]
        self._callback = _make_callback(self._cell)

    def add(self) -> None:
        """Begin to listen."""
        gc.callbacks.append(self._callback)

    def remove(self) -> None:
        """Stop listening; no other entry is touched or compared."""
        for index, one in enumerate(gc.callbacks):
            if one is self._callback:
                del gc.callbacks[index]
                break
        _unravel(self._callback)

    def figures(self) -> dict[str, Any]:
        """Collections seen so far, durations in seconds."""
        return dict(zip(("count", "total", "max", "last", "last_generation"), self._cell[0]))

    def cost_seconds(self) -> float:
        """Processor time that listening has cost the target, by its measured cost a collection."""
        return float(self._cell[0][0]) * self._cost_seconds


def _make_callback(cell: list[tuple[Any, ...]]) -> Callable[[str, dict[str, int]], None]:
    # It uses no global name: it may be called while the interpreter ends and empties the modules.
    started = 0.0
    home = getpid()

    def note(
        phase: str,
        info: dict[str, int],
        clock: Callable[[], float] = perf_counter,
        process: Callable[[], int] = getpid,
        callbacks: list[Any] = gc.callbacks,
    ) -> None:
        nonlocal started
        if process() != home:
            # A forked child's copy. The entry behind this one takes its place and would miss this event.
            for index, one in enumerate(callbacks):
                if one is note:
                    del callbacks[index]
                    if index < len(callbacks):
                        callbacks[index](phase, info)
                    return
        elif phase == "start":
            started = clock()
        elif started:
            took = clock() - started
            started = 0.0
            count, total, longest, _, _ = cell[0]
            cell[0] = (count + 1, total + took, max(longest, took), took, info["generation"])

    return note


def _unravel(callback: Any) -> None:
    """It refers to itself, and would wait for the collector."""
    for cell in callback.__closure__:
        if cell.cell_contents is callback:
            cell.cell_contents = None


def _measure_cost() -> float:
    """Seconds that one collection's two calls take."""
    callback = _make_callback([_NOTHING])
    info = {"generation": 0}
    begin = perf_counter()
    for _ in range(_CALIBRATION_CALLS):
        callback("start", info)
        callback("stop", info)
    seconds = (perf_counter() - begin) / _CALIBRATION_CALLS
    _unravel(callback)
    return seconds


class Held:
    """Times the agent's own calls that hold the GIL in one piece, and remembers the longest."""

    __slots__ = ("last_seconds", "longest_seconds", "longest_what")

    def __init__(self) -> None:
        self.last_seconds = 0.0
        self.longest_seconds = 0.0
        self.longest_what: str | None = None

    def call(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """``function(*arguments)``, timed under the name ``what``."""
        begin = perf_counter()
        try:
            return function(*arguments)
        finally:
            self.last_seconds = perf_counter() - begin
            if self.last_seconds > self.longest_seconds:
                self.longest_seconds, self.longest_what = self.last_seconds, what
