"""Counting the target's objects from outside without holding up the session: the scan has a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from memtui.errors import MemtuiError
from memtui.heap.scanner import Scan, TypeScan
from memtui.observe.eligibility import check_observable

_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ScanOver:
    """The end of a scan of process ``pid``."""

    pid: int
    outcome: TypeScan | MemtuiError


class Scanner:
    """At most one scan at a time. ``done`` is called in the scanning thread when it is over."""

    def __init__(self, done: Callable[[ScanOver], None]) -> None:
        self._done = done
        self._thread: threading.Thread | None = None
        self._scan: Scan | None = None
        self._stopped = False

    @property
    def scanning(self) -> bool:
        """Whether a scan is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, pid: int) -> None:
        """Begin to scan ``pid``, unless a scan is under way."""
        if not self.scanning:
            self._thread = threading.Thread(target=self._run, args=(pid,), name="memtui-scan", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End a scan under way, and wait until it has ended."""
        self._stopped = True
        if self._scan is not None:
            self._scan.stop()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _run(self, pid: int) -> None:
        try:
            self._scan = Scan(pid, check_observable(pid))
            if self._stopped:
                return
            outcome: TypeScan | MemtuiError = self._scan.run()
        except MemtuiError as error:
            outcome = error
        except OSError as error:
            outcome = MemtuiError(f"The scan of process {pid} failed.", why=f"{error}.")
        self._done(ScanOver(pid, outcome))
