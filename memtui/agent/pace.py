"""How long work of the agent shares the GIL with the program: often, seldom where C code keeps it, or not at all."""

from __future__ import annotations

from time import monotonic, thread_time

from .grip import Grip, fair_seconds, starved_seconds
from .originals import original

TURN_SECONDS, STARVED_TURN_SECONDS = 0.005, 0.03
"""Of work, in processor time, before the GIL is given away: usually, and where this thread often waits for a
processor. Where it waits long for the GIL: what is fair."""
GRIP_AFTER_SECONDS, LONG_WAIT_SECONDS, PATIENCE_SECONDS = 0.05, 0.2, 4.0
LONG_WAITS_REMEMBERED_SECONDS = 30.0
EXPECT_AFTER_SECONDS = 0.5


class TooBusy(Exception):
    """The target keeps the GIL for so long at a time that the work would take many seconds."""


class Pace:
    """When one piece of long work lets the target's threads have the GIL.

    Mostly after five milliseconds of work. Where each time costs long, because C code keeps the GIL, the agent keeps
    it longer too once it has it: it works for longer, and asks the interpreter not to be interrupted meanwhile.
    After a few seconds of such waits it gives up.
    """

    __slots__ = ("_grip", "_patience_seconds", "_turn_seconds", "_wall", "_work")

    def __init__(self) -> None:
        self._turn_seconds = TURN_SECONDS
        self._patience_seconds = PATIENCE_SECONDS
        self._grip = Grip()
        self._wall, self._work = monotonic(), thread_time()
        self._take_grip(expected_turn_seconds())

    def give_way(self) -> None:
        """Let the target have the GIL, if it is time to. Raises TooBusy."""
        if thread_time() - self._work >= self._turn_seconds:
            _sleep(0)
        wall, work = monotonic(), thread_time()
        idle = waited = wall - self._wall - (work - self._work)
        was_long = idle > GRIP_AFTER_SECONDS
        if was_long and not expected_turn_seconds():
            waited -= _newly_starved_seconds()
        if waited > LONG_WAIT_SECONDS:
            self._patience_seconds -= waited
            if self._patience_seconds < 0:
                raise TooBusy
        if waited > GRIP_AFTER_SECONDS:
            expect_waits(waited)
            self._take_grip(expected_turn_seconds())
        elif was_long:
            self._take_grip(min(STARVED_TURN_SECONDS, fair_seconds(idle)))
        if was_long or work - self._work >= self._turn_seconds:
            self._wall, self._work = monotonic(), thread_time()

    def _take_grip(self, seconds: float) -> None:
        if seconds > self._turn_seconds:
            self._turn_seconds = seconds
            self._grip.begin(seconds)

    def __del__(self) -> None:
        self._grip.end()


_sleep = original("time", "sleep")
_expected = [0.0, 0.0]
"""Until when waits for the GIL are expected to be long, as some lately were; and how long it is kept in return."""
_starved = [0.0]
"""When that was last looked at."""


def expect_waits(waited_seconds: float) -> None:
    """C code keeps the GIL: more waits like this one are to come.

    Work that follows keeps the GIL from the start, instead of finding that out by waiting once more.
    """
    seconds = fair_seconds(waited_seconds)
    if seconds:
        _expected[:] = monotonic() + LONG_WAITS_REMEMBERED_SECONDS, seconds


def expected_turn_seconds() -> float:
    """How long to keep the GIL from the start; 0 where waits for it have not lately been long."""
    return _expected[1] if monotonic() < _expected[0] else 0.0


def _newly_starved_seconds() -> float:
    before, _starved[0] = _starved[0], starved_seconds()
    return _starved[0] - before


def take_grip(grip: Grip) -> None:
    """Where C code keeps the GIL, keep it too, until all is done that can be done now.

    Every read and write gives the GIL away, and unless it comes back at once that costs as long a wait as the last.
    """
    seconds = expected_turn_seconds()
    if seconds:
        grip.begin(seconds)
