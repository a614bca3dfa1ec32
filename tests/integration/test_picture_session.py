"""Heap pictures of a session on real programs: what they hold, what is asked, what is kept, what is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from interpreters import Interpreter, interpreters
from observed import until
from test_scan_session import grow, growing, texts, threads, watching

from memtui.errors import MemtuiError, StopTooLongError
from memtui.heap.book import HeapBook
from memtui.heap.taking import PictureJob, Progress
from memtui.model.command import StartTracing, TakeSnapshot
from memtui.model.heap import PictureFacts
from memtui.model.state import EventKind, State
from memtui.model.target import Rung
from memtui.session import picturing, snapshots
from memtui.session.live import LiveSession
from memtui.session.pictures import PictureFolder

SEVERAL = [one for one in interpreters() if one.minor in ((3, 8), (3, 11), (3, 13))]


def taken(session: LiveSession, number: int) -> State:
    """The state with so many snapshots."""
    until(lambda: len(session.state.snapshots) == number or any("No " in text for text in texts(session.state)), 60)
    assert len(session.state.snapshots) == number, texts(session.state)
    return session.state


def pictures(state: State) -> list[PictureFacts]:
    return [one.picture for one in state.snapshots if one.picture is not None]


@pytest.mark.parametrize("one", SEVERAL, ids=str)
def test_two_pictures_and_who_holds_what_came_between(one: Interpreter) -> None:
    with growing(one.path) as process, watching(process) as session:
        session.request(TakeSnapshot())
        taken(session, 1)
        grow(process, 2500)
        session.request(TakeSnapshot())
        first, second = pictures(taken(session, 2))
        state = session.state
        assert threads(process.pid) == 1, "nothing was put in"
        assert state.rung is Rung.OBSERVE
        assert state.picturing is None
        tolls = [first.toll, second.toll]
        assert state.cost.target_longest_pause_seconds == max(one.longest_stop_seconds for one in tolls if one)
        assert (first.stop_seconds or 0.0) <= state.cost.target_longest_pause_seconds
        assert state.cost.target_cpu_seconds == sum(one.cpu_seconds for one in tolls if one)
        assert state.cost.pictures_page_faults is not None
        assert "objects" in texts(state)[-1]
        assert "the process was stopped for" in texts(state)[-1]
        counts = {row.type: row.count for row in state.snapshots[1].types}
        assert counts["__main__.Order"] == 3500
        assert "str" in counts
        assert os.stat(Path(second.path).parent).st_mode & 0o777 == 0o700
        with HeapBook(second.path) as book:
            row = book.diff(first.path, "holder").rows[0]
            assert row.label == "__main__.kept"
            assert (row.elements_before, row.elements_after) == (1000, 3500)
            assert row.node is not None
            assert book.chain(row.node).path == "__main__.kept"
    assert not Path(second.path).parent.exists()


def test_traced_groups_travel_with_the_picture() -> None:
    with growing(sys.executable) as process, watching(process) as session:
        session.request(StartTracing(3))
        until(lambda: session.state.tracing is not None and session.state.tracing.on)
        grow(process, 100)
        session.request(TakeSnapshot())
        taken(session, 1)
        grow(process, 2000)
        session.request(TakeSnapshot())
        first, second = pictures(taken(session, 2))
        snapshot = session.state.snapshots[-1]
        assert snapshot.allocations is not None
        assert session.state.baseline == snapshot.allocations
        with HeapBook(second.path) as book:
            assert book.diff(first.path, "line").rows[0].label == "<string>:6"
            assert "<string>:6" in book.diff(first.path, "traceback").rows[0].label


class HeldJob:
    """Stands in for a picture that does not come to an end before it is told to."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.paths: list[Path] = []
        self.accepted: list[bool] = []
        self.go_on = threading.Event()
        self.error = MemtuiError("The heap picture was stopped.")
        self.ended = False

    def __call__(self, pid: int, path: Path, *, accept_stop: bool, own_child: bool, extra: object) -> HeldJob:
        self.pids.append(pid)
        self.paths.append(path)
        self.accepted.append(accept_stop)
        return self

    def run(self, progress: Callable[[Progress], None]) -> PictureFacts:
        progress(Progress("references", 0.4, 0.004))
        assert self.go_on.wait(20)
        self.ended = True
        raise self.error

    def stop(self) -> None:
        self.go_on.set()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> HeldJob:
    one = HeldJob()
    monkeypatch.setattr(picturing, "PictureJob", one)
    return one


def test_one_picture_at_a_time_and_the_session_goes_on(held: HeldJob) -> None:
    with growing(sys.executable) as process, watching(process) as session:
        session.request(TakeSnapshot())
        until(lambda: session.state.picturing is not None and session.state.picturing.step == "references")
        assert session.state.picturing is not None
        assert session.state.picturing.fraction == 0.4
        session.request(TakeSnapshot())
        looks = len(session.state.series.samples)
        until(lambda: len(session.state.series.samples) > looks + 2)
        assert held.pids == [process.pid]
        held.go_on.set()
        until(lambda: len(session.state.snapshots) == 1)
        assert session.state.picturing is None
        assert session.state.snapshots[0].scanned


def test_a_long_stop_is_asked_about(held: HeldJob) -> None:
    held.error = StopTooLongError("A photograph would stop it for about 120 ms.", why="That is more than 50 ms.")
    held.go_on.set()
    with growing(sys.executable) as process, watching(process) as session:
        session.request(TakeSnapshot())
        until(lambda: session.state.question is not None)
        question = session.state.question
        assert question is not None
        assert question.text == (
            "A photograph would stop it for about 120 ms. That is more than 50 ms. Take the picture all the same?"
        )
        assert session.state.snapshots == ()
        session.request(question.command)
        until(lambda: held.accepted == [False, True])


def test_closing_the_session_ends_a_picture(held: HeldJob) -> None:
    with growing(sys.executable) as process:
        with watching(process) as session:
            session.request(TakeSnapshot())
            until(lambda: bool(held.pids))
        assert held.ended
        assert not held.paths[0].parent.exists()
        assert [one.name for one in threading.enumerate() if one.name == "memtui-picture"] == []


def test_a_process_that_ends_while_its_picture_is_taken(held: HeldJob) -> None:
    with growing(sys.executable) as process, watching(process) as session:
        session.request(TakeSnapshot())
        until(lambda: bool(held.pids))
        process.kill()
        process.wait()
        until(lambda: session.state.ending is not None)
        assert session.state.picturing is None
        held.go_on.set()
        until(lambda: any(text.startswith("No snapshot: ") for text in texts(session.state)))
        assert session.state.snapshots == ()


def test_a_picture_that_is_stopped_half_way_leaves_the_process_alone() -> None:
    with growing(sys.executable) as process:
        with watching(process) as session:
            session.request(TakeSnapshot())
            until(lambda: session.state.picturing is not None)
        grow(process, 5)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        assert children == ""


def test_the_oldest_pictures_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "PICTURE_BOUND", 2)

    class Instant(PictureJob):
        def __init__(self, pid: int, path: Path, **_: object) -> None:
            self._path = path

        def run(self, progress: object = None) -> PictureFacts:
            self._path.write_bytes(b"a picture")
            return replace(FACTS, path=str(self._path))

        def stop(self) -> None:
            pass

    monkeypatch.setattr(picturing, "PictureJob", Instant)
    monkeypatch.setattr(picturing.Photographer, "_types", lambda self, path: ())
    with growing(sys.executable) as process, watching(process) as session:
        for number in range(1, 5):
            session.request(TakeSnapshot())
            until(lambda number=number: any(f"Snapshot {number}:" in text for text in texts(session.state)))  # type: ignore[misc]
            until(lambda: session.state.picturing is None)
        kept = [one.number for one in session.state.snapshots]
        assert kept == [3, 4]
        assert any("Snapshot 2 was dropped: 2 heap pictures are kept" in text for text in texts(session.state))
        folder = Path(pictures(session.state)[0].path).parent
        files = sorted(name for name in os.listdir(folder) if name.endswith(".memtui"))
        assert files == sorted(Path(one.path).name for one in pictures(session.state))


FACTS = PictureFacts("", 1, ("python",), "3.11.7", "", "frozen copy", 5, 6, 700, None, 0.001, None, False)


def test_without_a_place_for_pictures_types_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with growing(sys.executable) as process, watching(process) as session:
        session.request(TakeSnapshot())
        until(lambda: len(session.state.snapshots) == 1)
        (warning,) = [one.text for one in session.state.events if one.kind is EventKind.WARNING]
        assert "There is no place for a heap picture." in warning


def test_a_folder_is_made_with_the_first_picture_and_goes_with_all() -> None:
    folder = PictureFolder()
    folder.keep_only(())
    folder.remove()
    first, second = folder.new_path(), folder.new_path()
    for path in (first, second):
        path.write_bytes(b"x")
    folder.keep_only([str(second)])
    assert (first.exists(), second.exists()) == (False, True)
    assert second.parent.stat().st_mode & 0o777 == 0o700
    folder.remove()
    assert not second.parent.exists()


def test_what_a_killed_memtui_left_is_removed_by_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import os, sys, tempfile\nfrom memtui.session.pictures import PictureFolder\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\npath = PictureFolder().new_path()\n"
        "path.write_bytes(b'x')\nprint(path, flush=True)\nos.kill(os.getpid(), 9)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().decode().strip())
    assert left.exists()
    (tmp_path / "memtui-pictures-foreign").mkdir()
    first, second = PictureFolder(), PictureFolder()
    in_use = first.new_path()
    second.new_path()
    assert not left.parent.exists()
    assert in_use.parent.exists()
    assert (tmp_path / "memtui-pictures-foreign").exists(), "it may be one that is just being made"
    first.remove()
    second.remove()
    assert os.listdir(tmp_path) == ["memtui-pictures-foreign"]
