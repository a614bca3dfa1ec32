"""Taking a heap picture without holding up the session: the job is waited for in a thread of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from memtui.errors import MemtuiError
from memtui.heap.book import HeapBook
from memtui.heap.taking import PictureJob, Progress
from memtui.model.allocation import Allocation, Allocations, TypeCount
from memtui.model.heap import PictureFacts
from memtui.model.state import Picturing

_STOP_SECONDS = 12.0
_TYPES = 3000
_SECONDS_BETWEEN_STEPS = 0.1


class Job(Protocol):
    """What takes a picture: :class:`memtui.heap.taking.PictureJob`, or what stands in for it."""

    def run(self, progress: Callable[[Progress], None]) -> PictureFacts:
        """Take it. Raises MemtuiError."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


@dataclass(frozen=True, slots=True)
class Pictured:
    """A picture that was taken: what is in it, its types by number, how long all of it took."""

    facts: PictureFacts
    types: tuple[TypeCount, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class PictureStep:
    """A picture is that far."""

    progress: Picturing


@dataclass(frozen=True, slots=True)
class PictureOver:
    """The end of a picture of process ``pid``."""

    pid: int
    outcome: Pictured | MemtuiError


class Photographer:
    """At most one picture at a time. ``deliver`` is called in its thread with steps and the end."""

    def __init__(self, deliver: Callable[[PictureStep | PictureOver], None]) -> None:
        self._deliver = deliver
        self._thread: threading.Thread | None = None
        self._job: Job | None = None
        self._stopped = False
        self._told = 0.0

    def start(self, pid: int, path: Path, *, accept_stop: bool, extra: dict[str, Any]) -> None:
        """Begin to take a picture of ``pid`` into ``path``."""
        self._job = PictureJob(pid, path, accept_stop=accept_stop, extra=extra, own_child=_is_own_child(pid))
        self._thread = threading.Thread(target=self._run, args=(pid, path, self._job), name="memtui-picture")
        self._thread.daemon = True
        self._thread.start()

    def stop(self) -> None:
        """End a picture under way, and wait until it has ended."""
        self._stopped = True
        if self._thread is not None and self._thread.is_alive() and self._job is not None:
            self._job.stop()
            self._thread.join(_STOP_SECONDS)

    def _run(self, pid: int, path: Path, job: Job) -> None:
        began = time.monotonic()
        try:
            facts = job.run(self._step)
            outcome: Pictured | MemtuiError = Pictured(facts, self._types(path), time.monotonic() - began)
        except MemtuiError as error:
            outcome = error
        except OSError as error:
            outcome = MemtuiError(f"The heap picture of process {pid} failed.", why=f"{error}.")
        self._deliver(PictureOver(pid, outcome))

    def _types(self, path: Path) -> tuple[TypeCount, ...]:
        """How many there are of each type: what the panels of growth and the report need."""
        if self._stopped:
            return ()
        with HeapBook(path) as book:
            return tuple(TypeCount(one.type, one.count, one.size_bytes) for one in book.types("count", limit=_TYPES))

    def _step(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told >= _SECONDS_BETWEEN_STEPS:
            self._told = now
            self._deliver(PictureStep(Picturing(progress.step, progress.fraction)))


def _is_own_child(pid: int) -> bool:
    """Whether memtui itself started the process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1]) == os.getpid()
    except (OSError, ValueError, IndexError):
        return False


def traced_groups(lines: Allocations | None, tracebacks: Allocations | None) -> dict[str, Any]:
    """What travels with a picture when tracing is on: tracemalloc's groups, by line and by traceback."""
    groups = {"allocations": lines, "tracebacks": tracebacks}
    return {name: [_group(row) for row in found.rows] for name, found in groups.items() if found is not None}


def _group(row: Allocation) -> dict[str, Any]:
    return {
        "frames": [[frame.file, frame.line] for frame in row.frames],
        "size_bytes": row.size_bytes,
        "count": row.count,
    }
