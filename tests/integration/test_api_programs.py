"""The Python API in programs of their own: the README's example, and beside a memtui that looks from outside."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from memtui.model.command import StartTracing, StopTracing
from memtui.model.state import State
from memtui.session.live import LiveOptions, LiveSession

TESTS = Path(__file__).parents[1]
SECONDS = 60.0
PROFILED = """
import sys, tracemalloc
sys.path.insert(0, {root!r})
from memtui import MemoryProfiler
profiler = MemoryProfiler(interval_seconds=0.05, trace_frames=3)
for line in sys.stdin:
    if line == "start\\n":
        profiler.start_profiling()
    elif line == "stop\\n":
        profiler.stop_profiling()
    print(tracemalloc.is_tracing(), profiler.is_profiling, len(profiler.top_allocations(5)) > 0, flush=True)
"""


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(TESTS / "programs" / "api_example.py")],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(TESTS.parent)},
    )
    assert done.returncode == 0, done.stderr
    assert "Session" in done.stdout
    assert "cannot be tracked" in done.stdout
    assert done.stderr == ""


class Program:
    """A program with a profiler of its own."""

    def __init__(self) -> None:
        code = PROFILED.format(root=str(TESTS.parent))
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, word: str) -> list[bool]:
        """Whether it is traced, profiled, and knows allocations."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return [part == "True" for part in self.process.stdout.readline().split()]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def until(session: LiveSession, condition: Callable[[State], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition(session.state):
        assert time.monotonic() < end, session.state.events
        time.sleep(0.02)


def is_tracing(state: State) -> bool:
    return state.tracing is not None and state.tracing.on


def test_beside_a_memtui_that_looks_from_outside() -> None:
    """Whoever began to trace, it goes on until neither needs it; each works as if it were alone."""
    program = Program()
    try:
        assert program.tell("look") == [False, False, False]
        session = LiveSession(LiveOptions(pid=program.process.pid, interval_seconds=0.1))
        session.start()
        try:
            session.request(StartTracing(2))
            until(session, is_tracing)
            assert program.tell("start") == [True, True, True]
            session.request(StopTracing())
            until(session, lambda state: any("left on" in one.text for one in state.events))
            assert program.tell("look") == [True, True, True]
            session.request(StartTracing(2))
            until(session, lambda state: any("was on already" in one.text for one in state.events))
            assert program.tell("stop")[:2] == [True, False], "the viewer still needs it"
            assert program.tell("start") == [True, True, True]
        finally:
            session.close()
        assert program.tell("look") == [True, True, True], "the program still needs it"
        assert program.tell("stop") == [False, False, False]
    finally:
        program.close()
