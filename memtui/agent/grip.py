"""Holding on to the GIL by another switch interval, so that no forked child keeps it. A part of the bootstrap too."""

import sys
from posix import close, read
from posix import open as open_file

from .originals import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOST_SECONDS, LEAST_SECONDS = 0.1, 0.02
"""For how long the GIL is kept at most, and what is not worth it."""
SURELY_LONG_SECONDS = 0.5
"""Nothing but a wait for the GIL takes that long."""


def fair_seconds(waited_seconds: float) -> float:
    """How long the GIL may be kept after so long a wait for it; 0 when that is not worth it.

    While it is kept for longer, every thread keeps it for longer. All of them together then make a thread wait for
    half as long as they made this one wait before: that is nothing new to the program, and it does not build up.
    """
    # sys._current_frames knows also threads that C code started, but breaks sub-interpreters with a GIL of their own.
    others = 1 + original("_thread", "_count")()
    seconds = min(MOST_SECONDS, waited_seconds / (2 * others))
    return seconds if seconds >= LEAST_SECONDS else 0.0


class _Found:
    """The switch interval that was found. The end of this object brings it back, unless it was changed since."""

    def __init__(self, seconds: float, changed_to: float) -> None:
        self.seconds = seconds
        self.changed_to = changed_to

    def __del__(self) -> None:
        if sys.getswitchinterval() == self.changed_to:
            sys.setswitchinterval(self.seconds + 5e-7)  # whole microseconds are cut off, not rounded


class Grip:
    """Another switch interval for the process, until `end`.

    A child that is forked meanwhile does not have this thread: there the interval ends with the thread's local data.
    So that this never fails, whatever instruction the fork comes at, nothing else refers to `_Found` (what a frame
    refers to is never freed in the child); it is there before the change, and it goes after the change is undone.
    """

    __slots__ = ("_changed_to", "_found", "_own")

    def __init__(self) -> None:
        self._own: "Any" = original("_thread", "_local")()
        self._changed_to = 0.0

    @property
    def held(self) -> bool:
        """It is changed now."""
        return bool(self._changed_to)

    def begin(self, seconds: float) -> None:
        """Change it to this, in place of any earlier change."""
        self.end()
        self._found, self._changed_to = sys.getswitchinterval(), 1e-6 * int(1e6 * seconds)
        self._own.found = _Found(self._found, self._changed_to)
        sys.setswitchinterval(seconds)

    def end(self) -> None:
        """As it was found, unless somebody else has changed it since."""
        if self._changed_to:
            if sys.getswitchinterval() == self._changed_to:
                sys.setswitchinterval(self._found + 5e-7)
            self._changed_to = 0.0
            del self._own.found


def grip_after(waited_seconds: float) -> Grip:
    """One that is held at once, if this wait was for the GIL.

    To be called within a switch interval (five milliseconds) of the first moment with the GIL: a thread that has
    begun to wait for it since then will ask for it after the interval that it found. Woken in between, by a call
    that gives the GIL away for an instant, it begins anew with the one that is set now.
    """
    grip = Grip()
    seconds = fair_seconds(waited_seconds) if waited_seconds > SURELY_LONG_SECONDS else 0.0
    if seconds:
        grip.begin(seconds)
        try:
            read(-1, 1)  # it fails, but not without having given the GIL away
        except OSError:
            pass
    return grip


def starved_seconds() -> float:
    """How long this thread has waited for a processor, which is not the program's doing; 0 where it is not told.

    Reading it gives the GIL away, for long enough that another thread takes it.
    """
    try:
        fd = open_file("/proc/thread-self/schedstat", 0)
        try:
            return int(read(fd, 100).split()[1]) / 1e9
        finally:
            close(fd)
    except (OSError, IndexError, ValueError):
        return 0.0
