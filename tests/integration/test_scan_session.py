"""Snapshots of a session where no heap picture can be taken: scans from outside, or counts by the agent."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from interpreters import Interpreter
from observed import line_from, running, until
from own_terminal import Terminal

from memtui.analysis.diff import diff_snapshots
from memtui.errors import RefusedError
from memtui.heap.scanner import Scan, TypeScan
from memtui.model.command import ClimbToAgent, CollectGarbage, TakeSnapshot
from memtui.model.heap import PictureFacts
from memtui.model.state import EventKind, State
from memtui.model.target import Rung
from memtui.session import picturing, scanning, snapshots
from memtui.session.live import LiveOptions, LiveSession

GROWING = """
import sys
class Order: pass
kept = []
for line in sys.stdin:
    kept += [Order() for _ in range(int(line))]
    for one in kept: one.me = one
    print(len(kept), flush=True)
"""


@contextmanager
def watching(process: subprocess.Popen[bytes], **options: bool) -> Iterator[LiveSession]:
    session = LiveSession(LiveOptions(pid=process.pid, interval_seconds=0.05, **options))
    session.start()
    try:
        yield session
    finally:
        session.close()


@contextmanager
def growing(python: str) -> Iterator[subprocess.Popen[bytes]]:
    with running(python, "-c", GROWING) as process:
        grow(process, 1000)
        yield process


def grow(process: subprocess.Popen[bytes], number: int) -> None:
    assert process.stdin is not None
    process.stdin.write(b"%d\n" % number)
    process.stdin.flush()
    line_from(process)


def texts(state: State) -> list[str]:
    return [event.text for event in state.events]


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def test_two_scans_and_what_came_between(interpreter: Interpreter) -> None:
    with growing(interpreter.path) as process, watching(process, observe_only=True) as session:
        session.request(TakeSnapshot())
        until(lambda: len(session.state.snapshots) == 1)
        grow(process, 250)
        session.request(TakeSnapshot())
        until(lambda: len(session.state.snapshots) == 2)
        state = session.state
        assert threads(process.pid) == 1
    first, second = state.snapshots
    assert first.scanned
    assert second.number == 2
    assert first.traced_bytes is None
    assert first.rss_bytes > 1 << 20
    assert state.rung is Rung.OBSERVE
    assert state.busy == ()
    assert state.tracing is None
    (order,) = [row for row in diff_snapshots(first, second, "type").rows if row.label == "__main__.Order"]
    assert (order.count_diff, order.count) == (250, 1250)
    assert "Snapshot 2 by scanning from outside" in texts(state)[-1]
    assert "gc-tracked objects, counts only" in texts(state)[-1]


def test_a_scan_is_allowed_where_the_agent_is_kept_out() -> None:
    with growing(sys.executable) as process, watching(process, observe_only=True) as session:
        session.request(TakeSnapshot())
        session.request(CollectGarbage())
        until(lambda: len(session.state.snapshots) == 1)
        assert any("--observe-only keeps the agent out" in text for text in texts(session.state))


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No heap picture can be taken."""

    class Refused:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        def run(self, progress: object) -> PictureFacts:
            raise RefusedError("A photograph was refused.", why="12 MiB are free, 900 MiB are needed.")

        def stop(self) -> None:
            pass

    monkeypatch.setattr(picturing, "PictureJob", Refused)


@pytest.mark.usefixtures("refused")
def test_where_a_picture_is_refused_types_are_counted_and_it_says_why() -> None:
    with growing(sys.executable) as process, watching(process) as session:
        session.request(TakeSnapshot())
        until(lambda: len(session.state.snapshots) == 1)
        assert session.state.snapshots[0].scanned
        assert session.state.snapshots[0].picture is None
        assert session.state.picturing is None
        before, after = texts(session.state)[-2:]
        why = "A photograph was refused. 12 MiB are free, 900 MiB are needed."
        assert before == f"No heap picture: {why} Types are counted instead."
        assert "Snapshot 1 by scanning from outside" in after


@pytest.mark.usefixtures("refused")
def test_a_large_heap_is_scanned_although_the_agent_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "COUNTED_INSIDE", 10)
    with growing(sys.executable) as process, watching(process) as session:
        session.request(ClimbToAgent())
        session.request(CollectGarbage())
        until(lambda: session.state.gc is not None and (session.state.gc.objects or 0) > 10)
        session.request(TakeSnapshot())
        until(lambda: len(session.state.snapshots) == 1)
        assert session.state.rung is Rung.AGENT
        assert session.state.snapshots[0].scanned


@pytest.mark.usefixtures("refused")
def test_with_the_agent_in_it_is_the_agent_that_counts() -> None:
    with growing(sys.executable) as process, watching(process) as session:
        session.request(ClimbToAgent())
        session.request(TakeSnapshot())
        until(lambda: len(session.state.snapshots) == 1)
        assert session.state.rung is Rung.AGENT
        assert not session.state.snapshots[0].scanned
        assert {one.type: one.count for one in session.state.snapshots[0].types}["__main__.Order"] == 1000


class HeldScan:
    """Stands in for a scan that does not come to an end before it is told to."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.go_on = threading.Event()

    def __call__(self, pid: int, interpreter: object) -> HeldScan:
        self.pids.append(pid)
        return self

    def run(self) -> TypeScan:
        assert self.go_on.wait(20)
        raise RefusedError("The scan was stopped.")

    def stop(self) -> None:
        self.go_on.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldScan:
    one = HeldScan()
    monkeypatch.setattr(scanning, "Scan", one)
    return one


@pytest.mark.usefixtures("refused")
def test_one_scan_at_a_time_and_the_session_goes_on(held: HeldScan) -> None:
    with growing(sys.executable) as process, watching(process) as session:
        session.request(TakeSnapshot())
        until(lambda: session.state.busy == ("counting objects from outside",) and bool(held.pids))
        session.request(TakeSnapshot())
        looks = len(session.state.series.samples)
        until(lambda: len(session.state.series.samples) > looks + 2)
        session.request(ClimbToAgent())
        until(lambda: session.state.rung is Rung.AGENT)
        assert session.state.busy == ("counting objects from outside",)
        assert held.pids == [process.pid]
        held.go_on.set()
        until(lambda: session.state.busy == ())
        last = session.state.events[-1]
        assert (last.kind, last.text) == (EventKind.ERROR, "No snapshot: The scan was stopped.")


@pytest.mark.usefixtures("refused")
def test_closing_the_session_ends_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    processes: list[int] = []
    begun = threading.Event()

    class Slow(Scan):
        def _start(self) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            processes.append(process.pid)
            begun.set()
            return process

    monkeypatch.setattr(scanning, "Scan", Slow)
    with growing(sys.executable) as process:
        with watching(process) as session:
            session.request(TakeSnapshot())
            assert begun.wait(10)
        assert not any(Path(f"/proc/{pid}").exists() for pid in processes)
        assert [one.name for one in threading.enumerate() if one.name == "memtui-scan"] == []


@pytest.mark.usefixtures("refused")
def test_a_process_that_ends_while_it_is_scanned(held: HeldScan) -> None:
    with growing(sys.executable) as process, watching(process) as session:
        session.request(TakeSnapshot())
        until(lambda: bool(held.pids))
        process.kill()
        process.wait()
        until(lambda: session.state.ending is not None)
        assert session.state.busy == ()
        held.go_on.set()
        until(lambda: any("No snapshot" in text for text in texts(session.state)))
        assert session.state.busy == ()
        session.request(TakeSnapshot())
        until(lambda: texts(session.state)[-1] == "The process has ended.")


def test_the_key_of_who_only_observes_puts_nothing_in() -> None:
    with growing(sys.executable) as process:
        with Terminal("attach", str(process.pid), "--interval", "100ms", "--observe-only") as terminal:
            terminal.wait_for("observing from outside")
            terminal.press("s")
            terminal.wait_for("Snapshot 1 by scanning from outside")
            terminal.press("s")
            terminal.wait_for("Snapshot 2 by scanning from outside")
            assert threads(process.pid) == 1
            assert "one thread inside" not in terminal.text
            terminal.press("d")
            terminal.wait_for("from outside", "Nothing changed")
            terminal.press("q")
            assert terminal.wait_for_exit() == 0
        assert threads(process.pid) == 1
