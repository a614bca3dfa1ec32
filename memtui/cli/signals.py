"""SIGTERM and SIGHUP end the dashboard as a key would: terminal reset, target left as found, report written."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from memtui.cli.terminal import let_go_of_lost_terminal

_PATIENCE_SECONDS = 30.0


class Interruption:
    """The signal that ended memtui; ``number`` is None as long as there was none."""

    def __init__(self) -> None:
        self.number: int | None = None

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that this signal ended."""
        return 128 + (self.number or signal.SIGINT)


@contextmanager
def orderly_end(last_resort: Callable[[], None]) -> Iterator[Interruption]:
    """Within it SIGTERM and SIGHUP raise KeyboardInterrupt, once. Those that were ignored stay ignored.

    ``last_resort`` is called, and the process left, when the end has not come half a minute later.
    """
    caught = Interruption()

    def end_anyway() -> None:
        try:
            last_resort()
        finally:
            os._exit(caught.exit_code)

    watchdog = threading.Timer(_PATIENCE_SECONDS, end_anyway)
    watchdog.daemon = True

    def handle(number: int, _frame: FrameType | None) -> None:
        if caught.number is None:
            caught.number = number
            watchdog.start()
            let_go_of_lost_terminal()
            # As SIGINT it also reaches asyncio, which cancels its main task instead of being torn apart.
            signal.raise_signal(signal.SIGINT)

    wanted = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, handle) for one in wanted}
    try:
        yield caught
    finally:
        watchdog.cancel()
        for one, handler in before.items():
            signal.signal(one, handler)
