"""Takes alerts to one place, in a thread of its own, so that a slow receiver delays nobody."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from memtui.errors import MemtuiError

QUEUE_BOUND = 32
"""Alerts that wait at most; more are dropped, and that is said."""

Send = Callable[[bytes, threading.Event], None]
"""Delivers one alert, or raises MemtuiError. The event says that memtui ends: then it must not wait any longer."""


class Courier:
    """``send`` is called in the thread, once for each alert; ``tell`` gets a sentence when one was not delivered."""

    def __init__(self, name: str, send: Send, tell: Callable[[str], None]) -> None:
        self._name, self._send, self._tell = name, send, tell
        self._waiting: deque[bytes] = deque()
        self._something = threading.Condition()
        self._ending = threading.Event()
        self._sending = False
        self._thread: threading.Thread | None = None

    def put(self, body: bytes) -> None:
        """Have one more alert delivered. Returns at once."""
        with self._something:
            if len(self._waiting) >= QUEUE_BOUND:
                self._tell(f"An alert was not sent to the {self._name}: {QUEUE_BOUND} others wait to be sent.")
                return
            self._waiting.append(body)
            self._something.notify_all()
        if self._thread is None:
            # A daemon: what never answers must not keep memtui from ending.
            self._thread = threading.Thread(target=self._run, name=f"memtui-{self._name}", daemon=True)
            self._thread.start()

    def drain(self, until: float) -> None:
        """Wait until all is delivered, but not beyond ``until`` (a time of the monotonic clock)."""
        with self._something:
            while (self._waiting or self._sending) and (left := until - time.monotonic()) > 0:
                self._something.wait(left)

    def close(self, until: float) -> None:
        """End, and deliver at most once more what waits, but not beyond ``until``."""
        with self._something:
            self._ending.set()
            self._something.notify_all()
        if self._thread is None:
            return
        self._thread.join(max(0.0, until - time.monotonic()))
        if self._thread.is_alive():
            self._tell(f"The session ended before the {self._name} had taken its last alerts.")

    def _run(self) -> None:
        while True:
            with self._something:
                while not self._waiting:
                    if self._ending.is_set():
                        return
                    self._something.wait()
                body, self._sending = self._waiting.popleft(), True
            try:
                self._send(body, self._ending)
            except MemtuiError as error:
                self._tell(str(error))
            finally:
                with self._something:
                    self._sending = False
                    self._something.notify_all()
