"""Taking a heap picture: a process of its own does it, so that what it needs never counts as memtui's. No numpy here.

It photographs the process, reads the heap, analyses it and writes the file, and tells how far it is.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from memtui import errors
from memtui.attach.photograph import reap_own_copies
from memtui.attach.toll import FaultCount, count_faults
from memtui.errors import MemtuiError, RefusedError
from memtui.heap.apart import start_apart
from memtui.heap.facts import facts_from
from memtui.model.heap import PictureFacts

_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a picture is: the ``step`` in words, ``fraction`` of the whole (0 to 1).

    ``stop_seconds``: how long the process stood still, once it goes on again.
    """

    step: str
    fraction: float
    stop_seconds: float | None = None


Listener = Callable[[Progress], None]


class PictureJob:
    """One picture of process ``pid``, written to ``path``. ``run`` waits for it, another thread may ``stop`` it.

    ``quick``: types and sizes only. ``accept_stop``: also when the process will stand still for longer than is
    allowed. ``hold``: stop the process and read it, instead of copying it: for where a copy is refused. ``extra``
    travels with the picture (tracemalloc's groups). ``core``: read this core file instead, of the Python ``exe``.
    ``own_child``: the process is a child of this one, which waits for its children by number only: then the copy is
    its child too, and nothing is left to be reaped in the process.
    """

    def __init__(
        self,
        pid: int,
        path: Path,
        *,
        quick: bool = False,
        accept_stop: bool = False,
        hold: bool = False,
        extra: dict[str, Any] | None = None,
        core: Path | None = None,
        exe: Path | None = None,
        own_child: bool = False,
    ) -> None:
        self._plan = {
            "pid": pid,
            "path": os.fspath(path),
            "quick": quick,
            "accept_stop": accept_stop,
            "hold": hold,
            "extra": extra or {},
            "core": None if core is None else os.fspath(core),
            "exe": None if exe is None else os.fspath(exe),
            "own_child": own_child,
        }
        self._pid, self._own_child = pid, own_child
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self, progress: Listener = lambda progress: None) -> PictureFacts:
        """Take it; ``progress`` is called in this thread.

        Raises RefusedError (with numbers; StopTooLongError above the budget), TargetDiedError, WriteError, and
        MemtuiError when it was stopped or failed. Nothing half-written stays.
        """
        faults = None if self._plan["core"] else count_faults(self._pid)
        with self._lock:
            if self._stopped:
                raise self._was_stopped()
            process = self._process = start_apart("memtui.heap.taker", stdin=subprocess.PIPE)
        answer: dict[str, Any] = {}
        with self._reaping(), process:
            try:
                self._send_plan(process, faults)
                assert process.stdout is not None
                for line in process.stdout:
                    answer = json.loads(line)
                    if "step" in answer:
                        progress(Progress(**answer))
                assert process.stderr is not None
                complaint = process.stderr.read()
            except BaseException:
                self._end(process)
                raise
        if self._stopped:
            raise self._was_stopped()
        return self._result(answer, complaint, process.returncode)

    def stop(self) -> None:
        """End it; ``run`` raises. The process that is photographed goes on, and the copy of it is removed."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._end(self._process)

    @contextmanager
    def _reaping(self) -> Iterator[None]:
        """Afterwards a copy that was a child of this process is no more."""
        session = None
        if self._own_child:
            with suppress(ProcessLookupError):
                session = os.getsid(self._pid)
        try:
            yield
        finally:
            if session is not None:
                reap_own_copies(session)

    def _send_plan(self, process: subprocess.Popen[bytes], faults: FaultCount | None) -> None:
        assert process.stdin is not None
        plan = self._plan | {"faults": None if faults is None else astuple(faults)}
        try:
            process.stdin.write(json.dumps(plan).encode() + b"\n")
            process.stdin.flush()  # it stays open: when memtui ends, so does the process
        except BrokenPipeError:
            pass  # its complaint is read below

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()

    def _result(self, answer: dict[str, Any], complaint: bytes, code: int) -> PictureFacts:
        if "facts" in answer:
            return facts_from(answer["facts"])
        if "error" in answer:
            kind = getattr(errors, answer["error"], RefusedError)
            error: MemtuiError = kind(answer["what"], why=answer["why"], next_step=answer["next_step"])
            raise error
        if code == -signal.SIGKILL:
            raise MemtuiError(
                "The process that took the heap picture was killed (SIGKILL).",
                why="Perhaps memory ran out: then the system ends this process before all others.",
                next_step="Types and counts without holders take less memory: memtui snapshot --quick.",
            )
        last = complaint.decode(errors="replace").strip().splitlines()[-1:] or [f"it ended with {code}"]
        raise MemtuiError("The heap picture failed.", why=f"{last[0]}.")

    def _was_stopped(self) -> MemtuiError:
        return MemtuiError("The heap picture was stopped.")


def picture_of_core(core: Path, exe: Path | None, path: Path, progress: Listener) -> PictureFacts:
    """A picture of what a core file holds. ``exe``: the Python it is of, where that cannot be found by its path."""
    return PictureJob(0, path, core=core, exe=exe).run(progress)
