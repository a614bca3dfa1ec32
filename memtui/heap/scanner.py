"""The type histogram of a running process, read from outside: it is not stopped and nothing is put into it.

The scan runs in a short-lived process of its own, so that what it needs never counts as memtui's, and a slow one
holds nothing up.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import Any

from memtui import errors
from memtui.errors import MemtuiError, RefusedError
from memtui.heap.apart import start_apart
from memtui.model.allocation import TypeCount
from memtui.observe.interpreter import Interpreter
from memtui.observe.offsets import offsets_for

DEADLINE_SECONDS = 60.0
COVERS = "gc-tracked objects, counts only: no strings, bytes or numbers, and no sizes"


@dataclass(frozen=True, slots=True)
class TypeScan:
    """Objects that the collector tracks, by type, most first; ``objects`` counts also those of types not listed.

    Those set aside by ``gc.freeze`` and, in 3.12, immortal ones are among them; ``gc.get_objects`` leaves them out.
    ``swapped_bytes`` of the process were not in memory and not looked at. ``seconds`` is wall time, ``cpu_seconds``
    what the scanning process used.
    """

    types: tuple[TypeCount, ...]
    objects: int
    seconds: float
    bytes_read: int
    swapped_bytes: int
    cpu_seconds: float


class Scan:
    """One scan. ``run`` waits for it, ``stop`` ends it from another thread."""

    def __init__(self, pid: int, interpreter: Interpreter) -> None:
        _check_layout(interpreter)
        self._pid, self._interpreter = pid, interpreter
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> TypeScan:
        """Scan, for at most ``DEADLINE_SECONDS``.

        Raises RefusedError (the process cannot be scanned), TargetDiedError, and MemtuiError when it took too long
        or was stopped.
        """
        began = time.monotonic()
        with self._lock:
            if self._stopped:
                raise self._was_stopped()
            process = self._process = self._start()
        with process:
            try:
                out, err = process.communicate(timeout=DEADLINE_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise MemtuiError(
                    f"The scan of process {self._pid} was given up after {DEADLINE_SECONDS:.0f} s.",
                    why="The process is very large, or the machine is busy.",
                ) from error
            finally:
                process.kill()
        if self._stopped:
            raise self._was_stopped()
        return self._result(out, err, time.monotonic() - began)

    def stop(self) -> None:
        """End it; ``run`` raises."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        plan = {
            "pid": self._pid,
            "library": self._interpreter.library,
            "minor": self._interpreter.minor,
            "asked_by": os.getpid(),
        }
        return start_apart("memtui.heap.worker", json.dumps(plan))

    def _result(self, out: bytes, err: bytes, seconds: float) -> TypeScan:
        try:
            answer = json.loads(out)
        except ValueError as error:
            last = err.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise MemtuiError(f"The scan of process {self._pid} failed.", why=f"{last[0]}.") from error
        if "error" in answer:
            raise _error(answer)
        return TypeScan(
            types=tuple(TypeCount(name, count) for name, count in answer["types"]),
            objects=answer["objects"],
            seconds=seconds,
            bytes_read=answer["bytes_read"],
            swapped_bytes=answer["swapped_bytes"],
            cpu_seconds=answer["cpu_seconds"],
        )

    def _was_stopped(self) -> MemtuiError:
        return MemtuiError(f"The scan of process {self._pid} was stopped.")


def scan_types(pid: int, interpreter: Interpreter) -> TypeScan:
    """The types of ``pid``, in which ``interpreter`` was found; see :meth:`Scan.run`."""
    return Scan(pid, interpreter).run()


def _check_layout(interpreter: Interpreter) -> None:
    if interpreter.free_threaded:
        raise RefusedError(
            f"The objects of process {interpreter.pid} cannot be counted from outside.",
            why="It runs a free-threaded Python, which keeps them in another way.",
        )
    offsets_for(interpreter.minor)


def _error(answer: dict[str, Any]) -> MemtuiError:
    kind = getattr(errors, answer["error"], MemtuiError)
    error: MemtuiError = kind(answer["what"], why=answer["why"], next_step=answer["next_step"])
    return error
