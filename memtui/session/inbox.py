"""What other threads leave for the session's thread, and the pipe that wakes it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Inbox(Generic[Item]):
    """Takes items from any thread, and from signal handlers, until it is closed."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._lock = threading.RLock()  # a signal handler may put something in meanwhile
        self._closed = False
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def fd(self) -> int:
        """Readable when there is something to :meth:`take`, or after :meth:`wake`."""
        return self._read

    def put(self, item: Item) -> bool:
        """Leave an item; False when the inbox is closed, and nobody will take it."""
        with self._lock:
            if self._closed:
                return False
            self._items.append(item)
            self._ring()
            return True

    def wake(self) -> None:
        """Wake whoever waits for the pipe."""
        with self._lock:
            if not self._closed:
                self._ring()

    def take(self) -> Iterator[Item]:
        """What is there, in its order; also what comes while that is looked at."""
        os.read(self._read, 4096)
        while self._items:
            yield self._items.popleft()

    def close(self) -> tuple[Item, ...]:
        """Take nothing more; what nobody took."""
        with self._lock:
            self._closed = True
            os.close(self._read)
            os.close(self._write)
        return tuple(self._items)

    def _ring(self) -> None:
        try:
            os.write(self._write, b"+")
        except BlockingIOError:
            pass  # the pipe is full, so the thread wakes anyway
