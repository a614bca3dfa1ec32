"""Locks that a forked child finds free, whoever held them in the parent."""

from __future__ import annotations

import os
import threading
import weakref
from contextlib import suppress

_known: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """Used in a ``with`` block; a thread that has it may take it again."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _known.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        with suppress(RuntimeError):  # this thread forked inside the block, and this is the child
            self._lock.release()

    def renew(self) -> None:
        """In a forked child: the thread that has it may not exist here."""
        self._lock = threading.RLock()


def _renew_all() -> None:
    for one in list(_known):
        one.renew()


os.register_at_fork(after_in_child=_renew_all)  # it cannot be taken back, so there is one for all

TRACING = Lock()
"""Over the list of those who need tracemalloc, which all profilers of a program share."""
