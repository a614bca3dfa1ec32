"""Comparing the pictures of a session in a thread of its own: what grew, and who holds it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memtui.errors import MemtuiError
from memtui.heap.gathering import EvidenceJob
from memtui.model.evidence import Evidence

_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class EvidenceOver:
    """The pictures of process ``pid`` were compared, or not."""

    pid: int
    outcome: Evidence | MemtuiError


class Gatherer:
    """At most one comparison at a time; one that is asked for meanwhile begins when it is over."""

    def __init__(self, deliver: Callable[[EvidenceOver], None]) -> None:
        self._deliver = deliver
        self._lock = threading.Lock()
        self._job: EvidenceJob | None = None
        self._thread: threading.Thread | None = None
        self._next: tuple[int, tuple[str, ...]] | None = None
        self._stopped = False

    @property
    def busy(self) -> bool:
        """Whether one is under way."""
        with self._lock:
            return self._job is not None

    def start(self, pid: int, files: Sequence[str]) -> None:
        """Compare these pictures, which are in the order of time."""
        with self._lock:
            if self._stopped:
                return
            if self._job is not None:
                self._next = (pid, tuple(files))
                return
            self._begin(pid, tuple(files))

    def stop(self) -> None:
        """End one under way, and wait until it has ended."""
        with self._lock:
            self._stopped, self._next = True, None
            job, thread = self._job, self._thread
        if job is not None:
            job.stop()
        if thread is not None and thread.is_alive():
            thread.join(_STOP_SECONDS)

    def _begin(self, pid: int, files: tuple[str, ...]) -> None:
        self._job = EvidenceJob(files)
        self._thread = threading.Thread(target=self._run, args=(pid, self._job), name="memtui-evidence", daemon=True)
        self._thread.start()

    def _run(self, pid: int, job: EvidenceJob) -> None:
        outcome: Evidence | MemtuiError
        try:
            outcome = job.run()
        except MemtuiError as error:
            outcome = error
        except OSError as error:
            outcome = MemtuiError("The pictures could not be compared.", why=f"{error}.")
        with self._lock:
            self._job = None
            following, self._next = self._next, None
            stopped = self._stopped
            if following is not None:
                self._begin(*following)
        if not stopped:
            self._deliver(EvidenceOver(pid, outcome))
