"""What the process that takes a picture does: its plan comes as JSON on stdin, progress and result go to stdout."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from memtui.attach.photograph import Photo, photograph, stopped
from memtui.attach.toll import FaultCount, count_faults, fault_seconds, faults_by_copy
from memtui.errors import MemtuiError, RefusedError
from memtui.heap.facts import Facts
from memtui.heap.file import facts_of, write_picture
from memtui.heap.graph.analysis import analyse
from memtui.heap.picture import Picture
from memtui.heap.read.binaries import Binaries, binaries_of
from memtui.heap.read.checks import UnknownLayoutError
from memtui.heap.read.core import read_core
from memtui.heap.read.image import PAGE_BYTES
from memtui.heap.read.layout import Layout, layout_for
from memtui.heap.read.load import KEEP_ALL_BYTES, Loaded, load_image
from memtui.heap.read.reader import Reader
from memtui.heap.read.roots import stacks_to_read
from memtui.model.units import format_bytes
from memtui.observe.headroom import go_first, memory_rooms
from memtui.observe.interpreter import Interpreter, find_interpreter
from memtui.observe.maps import parse_maps, read_maps
from memtui.observe.process import ProcessReader
from memtui.observe.smaps import read_classes

_NICENESS = 5
_FRACTIONS = {
    "waiting for a good moment": 0.0, "reading": 0.05, "objects": 0.2, "references": 0.4, "names": 0.6,
    "holders and retained sizes": 0.75, "writing": 0.85,
}  # fmt: skip
_READING_SHARE = 0.15
_TIMES_ITS_MEMORY, _TIMES_WHEN_QUICK, _TIMES_OF_THE_REST = 5.0, 3.5, 2.5
"""What reading takes of the memory of a process that holds nothing but small objects (``tests/benchmarks/heap.py``).

Processes larger than ``KEEP_ALL_BYTES`` mostly hold large buffers, of which nothing is kept.
"""
_OWN_BYTES = 100 << 20


def main() -> None:
    """Take the picture that the plan on stdin says; ends when whoever asked is gone."""
    plan = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # leaves every with block in good order
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    os.nice(_NICENESS)  # the target comes first
    go_first()  # also where memory runs out
    try:
        path = Path(plan["path"])
        picture = Taker(plan).take()
        _say({"facts": asdict(facts_of(path, picture.facts))})
    except MemtuiError as error:
        _say(_told(error))
    except MemoryError:
        _say(_told(RefusedError("There is not enough memory to read this heap.")))


def _end_with_stdin() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _told(error: MemtuiError) -> dict[str, Any]:
    return {"error": type(error).__name__, "what": error.what, "why": error.why, "next_step": error.next_step}


class Taker:
    """Takes one picture of a running process."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._pid: int = plan["pid"]
        self._stop_seconds: float | None = None
        self._stopped_seconds = self._longest_stop_seconds = 0.0
        self._before: FaultCount | None = None if plan.get("faults") is None else FaultCount(*plan["faults"])
        self._copied: FaultCount | None = None
        self._began = time.monotonic()

    def take(self) -> Picture:
        """Photograph, read, analyse, write. Raises :class:`MemtuiError`."""
        if self._plan["core"] is not None:
            return self._take_core()
        self._step("waiting for a good moment")
        interpreter = find_interpreter(self._pid)
        layout = read_by_its_layout(self._pid, interpreter.minor, free_threaded=interpreter.free_threaded)
        facts = self._describe(interpreter)
        check_room(self._pid, facts["rss_bytes"], bool(self._plan["quick"]), _available_bytes())
        try:
            return self._photograph_and_read(interpreter, layout, facts)
        except UnknownLayoutError:
            if self._plan["hold"]:
                raise
        self._step("waiting for a good moment")  # a thread may have been in the middle of changing an object
        return self._photograph_and_read(interpreter, layout, facts)

    def _photograph_and_read(self, interpreter: Interpreter, layout: Layout, facts: Facts) -> Picture:
        with binaries_of(self._pid, read_maps(self._pid)) as binaries:
            loaded, facts = self._load(interpreter, binaries, facts)
            reader = Reader(loaded.image, layout, _runtime(interpreter), self._step)
            return self._finish(reader, facts, loaded)

    def _take_core(self) -> Picture:
        self._step("reading")
        heap = read_core(self._plan["core"], self._plan["exe"])
        with heap.binaries:
            reader = Reader(heap.loaded.image, heap.layout, heap.runtime, self._step)
            return self._finish(reader, heap.facts, heap.loaded)

    def _load(self, interpreter: Interpreter, binaries: Binaries, facts: Facts) -> tuple[Loaded, Facts]:
        self._copied = self._copied or count_faults(self._pid)
        with self._photo(interpreter) as photo:
            self._stop_seconds = photo.stop_seconds
            self._step("reading")
            loaded = load_image(
                photo.memory_fd, photo.pagemap_fd, parse_maps(photo.maps_text), binaries, self._reading
            )
            for address in stacks_to_read(loaded.image, layout_for(interpreter.minor), _runtime(interpreter)):
                page = address & ~(PAGE_BYTES - 1)
                with contextlib.suppress(OSError):
                    binaries.add_page(page, os.pread(photo.memory_fd, PAGE_BYTES, page))
            if photo.is_copy:  # asking the process itself would hold up its own calls of mmap
                classes = read_classes(photo.pid)
                facts = facts | {"memory": {name: usage.rss_bytes for name, usage in classes.items()}}
            photo.release()
        self._stop_seconds = photo.stop_seconds
        self._stopped_seconds += photo.stopped_seconds
        self._longest_stop_seconds = max(self._longest_stop_seconds, photo.longest_stop_seconds)
        source = "frozen copy" if photo.is_copy else "stopped"
        return loaded, facts | {"source": source, "stop_seconds": photo.stop_seconds, "threads": photo.threads}

    @contextlib.contextmanager
    def _photo(self, interpreter: Interpreter) -> Iterator[Photo]:
        if self._plan["hold"]:
            with stopped(self._pid, interpreter=interpreter) as photo:
                yield photo
        else:
            accept = self._plan["accept_stop"]
            own = bool(self._plan.get("own_child"))
            with photograph(self._pid, interpreter=interpreter, accept_stop=accept, own_child=own) as photo:
                yield photo

    def _finish(self, reader: Reader, facts: Facts, loaded: Loaded) -> Picture:
        notes = list(facts.get("notes", ()))
        if loaded.skipped_bytes:
            notes.append(
                f"{format_bytes(loaded.skipped_bytes)} in which nothing looks like a reference were not kept: "
                "strings in them are not compared."
            )
        quick = bool(self._plan["quick"])
        facts = facts | {"quick": quick, "read_bytes": loaded.read_bytes, "notes": notes}
        facts["kept_bytes"] = loaded.read_bytes - loaded.skipped_bytes
        picture = reader.read(facts, quick)
        picture.extra.update(self._plan["extra"])
        analysis = None
        if not quick:
            self._step("holders and retained sizes")
            analysis = analyse(picture)
        self._step("writing")
        if self._copied is not None:
            picture.facts["toll"] = self._toll(self._copied)
        picture.facts.update(
            seconds=round(time.monotonic() - self._began, 3),
            cpu_seconds=round(time.process_time(), 3),
            tool_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )
        write_picture(self._plan["path"], picture, analysis)
        return picture

    def _toll(self, copied: FaultCount) -> dict[str, Any]:
        """What it cost the process until now: most pages are written to soon after they are shared."""
        faults = faults_by_copy(self._before, copied, count_faults(self._pid))
        return {
            "stopped_seconds": self._stopped_seconds,
            "longest_stop_seconds": self._longest_stop_seconds,
            "page_faults": faults,
            "cpu_seconds": self._stopped_seconds + (faults or 0) * fault_seconds(),
        }

    def _describe(self, interpreter: Interpreter) -> Facts:
        with ProcessReader(self._pid) as process:
            target, sample = process.target(), process.sample()
        started = target.started_at
        return {
            "target": {
                "pid": self._pid,
                "command": list(target.command),
                "python": interpreter.version_text,
                "started_at": None if started is None else _iso(started),
            },
            "taken_at": _iso(time.time()),
            "rss_bytes": sample.rss_bytes,
            "uss_bytes": sample.uss_bytes,
            "pss_bytes": sample.pss_bytes,
            "swap_bytes": sample.swap_bytes,
        }

    def _step(self, step: str) -> None:
        _say({"step": step, "fraction": _FRACTIONS[step], "stop_seconds": self._stop_seconds})

    def _reading(self, fraction: float) -> None:
        done = _FRACTIONS["reading"] + _READING_SHARE * fraction
        _say({"step": "reading", "fraction": round(done, 3), "stop_seconds": self._stop_seconds})


def _runtime(interpreter: Interpreter) -> int:
    return interpreter.symbols["_PyRuntime"]


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat().replace("+00:00", "Z")


def read_by_its_layout(pid: int, minor: tuple[int, int], *, free_threaded: bool) -> Layout:
    """The layout of the Python that a process runs. Raises :class:`RefusedError` where it is not known."""
    if free_threaded:
        raise RefusedError(
            f"The heap of process {pid} cannot be read from outside.",
            why="It runs a free-threaded Python, which lays out its objects in another way.",
        )
    return layout_for(minor)


def check_room(pid: int, rss_bytes: int, quick: bool, available_bytes: int) -> None:
    """Raise :class:`RefusedError` when ``available_bytes`` are too few to read a process of ``rss_bytes``."""
    objects = min(rss_bytes, KEEP_ALL_BYTES)
    times = _TIMES_WHEN_QUICK if quick else _TIMES_ITS_MEMORY
    needed = int(objects * times + (rss_bytes - objects) * _TIMES_OF_THE_REST) + _OWN_BYTES
    if available_bytes < needed:
        raise RefusedError(
            f"There is no room to read the heap of process {pid}.",
            why=f"It takes up to {format_bytes(needed)}, and {format_bytes(available_bytes)} are available.",
            next_step="" if quick else "Types and counts without holders take less: memtui snapshot --quick.",
        )


def _available_bytes() -> int:
    """What this process may take: of the machine, and of its own control groups."""
    texts = (Path(name).read_text() for name in ("/proc/self/cgroup", "/proc/self/mountinfo", "/proc/meminfo"))
    return min(room.free for room in memory_rooms(*texts))
