"""memtui's attach beside `memray attach`, in one run: busy and sleeping target, quiet and loaded machine; ratios.

    python tests/benchmarks/attach.py [ROUNDS]

The busy target counts ticks and keeps the longest gap between two of them. "First data" is memtui's first sample
from the agent, and the end of `memray attach`, when its recording runs. "Loaded" is a computing process for each
processor. On a sleeping target memray waits for something to call malloc: it gets a target of its own, which is
killed after 15 s (its gdb is never killed half-way). Without gdb only memtui's figures are printed. Figures are only
comparable within one run.
"""

from __future__ import annotations

import mmap
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from memtui.attach.inject import Attached, attach_agent

TARGETS = {
    "busy": """
import mmap, struct, sys, time
file = open(sys.argv[1], "r+b")
shared = mmap.mmap(file.fileno(), 16)
last = time.monotonic()
while True:
    sum(range(200))
    now = time.monotonic()
    if now - last > struct.unpack_from("d", shared)[0]:
        struct.pack_into("d", shared, 0, now - last)
    last = now
""",
    "sleeping": "import time; time.sleep(3600)",
}
BURN = "while True: pass"
REST_SECONDS = 0.5
AFTERWARDS_SECONDS = 0.3
SLEEPING_PATIENCE_SECONDS = 15.0


@dataclass
class Figures:
    """Medians over the rounds, in seconds; ``gap`` is None where the target does not tick."""

    first_data: float
    worst_first_data: float
    gap: float | None
    worst_gap: float | None


@contextmanager
def target(kind: str) -> Iterator[tuple[int, mmap.mmap]]:
    """A target of this kind and what it shares."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(16))
        file.flush()
        shared = mmap.mmap(file.fileno(), 16)
        process = subprocess.Popen([sys.executable, "-c", TARGETS[kind], file.name])
        try:
            time.sleep(REST_SECONDS)
            yield process.pid, shared
        finally:
            process.kill()
            process.wait()


@contextmanager
def load(on: bool) -> Iterator[None]:
    """A computing process for each processor."""
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range((os.cpu_count() or 1) * on)]
    try:
        yield
    finally:
        for one in burners:
            one.kill()
            one.wait()


def measure(kind: str, rounds: int, act: Callable[[int], Callable[[], object]]) -> Figures:
    """``act`` gets first data from a process and returns what takes it back."""
    walls, gaps = [], []
    with target(kind) as (pid, shared):
        for _ in range(rounds):
            time.sleep(REST_SECONDS)
            struct.pack_into("d", shared, 0, 0.0)
            began = time.monotonic()
            undo = act(pid)
            walls.append(time.monotonic() - began)
            time.sleep(AFTERWARDS_SECONDS)
            gaps.append(struct.unpack_from("d", shared)[0])
            undo()
    ticks = kind == "busy"
    return Figures(
        statistics.median(walls), max(walls), statistics.median(gaps) if ticks else None, max(gaps) if ticks else None
    )


def rest(pid: int) -> Callable[[], object]:
    """Nothing is done to it."""
    time.sleep(AFTERWARDS_SECONDS)
    return lambda: None


def by_memtui(pid: int) -> Callable[[], object]:
    """Attach, and wait for the first sample."""
    attached = attach_agent(pid)
    attached.link.request("stream", interval=1.0)
    attached.link.wait_for(("sample",), 5.0)

    def undo(attached: Attached = attached) -> None:
        thread = Path(f"/proc/{pid}/task/{attached.hello['thread']}")
        attached.link.close()
        while thread.exists():
            time.sleep(0.01)

    return undo


def by_memray(pid: int) -> Callable[[], object]:
    """Attach a tracker that writes to a file."""
    folder = tempfile.mkdtemp()
    subprocess.run([*MEMRAY, "attach", "-o", str(Path(folder, "out.bin")), str(pid)], check=True, **QUIET)

    def undo() -> None:
        subprocess.run([*MEMRAY, "detach", str(pid)], check=True, **QUIET)
        shutil.rmtree(folder)

    return undo


MEMRAY = [sys.executable, "-m", "memray"]
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def memray_on_a_sleeping_target() -> float | None:
    """Seconds it took; None when it had not finished after some time, and its target was ended."""
    with tempfile.TemporaryDirectory() as folder, target("sleeping") as (pid, _):
        began = time.monotonic()
        tool = subprocess.Popen([*MEMRAY, "attach", "-o", str(Path(folder, "out.bin")), str(pid)], **QUIET)
        try:
            tool.wait(SLEEPING_PATIENCE_SECONDS)
            return time.monotonic() - began
        except subprocess.TimeoutExpired:
            os.kill(pid, 9)  # then its gdb ends by itself
            try:
                tool.wait(30)
            except subprocess.TimeoutExpired:
                tool.kill()
                tool.wait()
            return None


def show(name: str, found: Figures) -> None:
    """One line."""
    values = (found.first_data, found.worst_first_data, found.gap, found.worst_gap)
    print(f"  {name:8}", *(f"{one * 1e3:8.1f}" for one in values if one is not None), flush=True)


def compare(kind: str, loaded: bool, rounds: int, peer: bool) -> None:
    """One block of the table."""
    machine = "loaded" if loaded else "quiet"
    print(f"{kind} target, {machine} machine; ms: first data median, worst; longest gap median, worst", flush=True)
    with load(loaded):
        if kind == "busy":
            show("(rest)", measure(kind, rounds, rest))
        ours = measure(kind, rounds, by_memtui)
        show("memtui", ours)
        if peer and kind == "busy":
            theirs = measure(kind, rounds, by_memray)
            show("memray", theirs)
            print(f"  memray / memtui: first data {theirs.first_data / ours.first_data:.0f}", end="")
            if theirs.gap and ours.gap:
                print(f", longest gap {theirs.gap / ours.gap:.0f}", end="")
            print(flush=True)
        elif peer:
            took = memray_on_a_sleeping_target()
            told = f"not within {SLEEPING_PATIENCE_SECONDS:.0f} s" if took is None else f"{took * 1e3:8.1f}"
            print(f"  memray   {told}", flush=True)


def main() -> None:
    """Everything in turn."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    peer = shutil.which("gdb") is not None
    for loaded in (False, True):
        for kind in TARGETS:
            compare(kind, loaded, rounds, peer)


if __name__ == "__main__":
    main()
