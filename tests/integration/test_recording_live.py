"""Recordings of real processes: the same last State, and a file that can be read however memtui ended."""

from __future__ import annotations

import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest
from attach_driver import wait_until

from memtui.cli.main import run
from memtui.errors import UsageError
from memtui.model.command import CollectGarbage, StartRecording, StartTracing, StopRecording, TakeSnapshot
from memtui.model.state import EventKind
from memtui.report.build import build_report, load_schema
from memtui.session.attendants import Attendants
from memtui.session.live import LiveOptions, LiveSession
from memtui.session.recording.player import Player
from memtui.session.recording.reader import RecordingFile
from memtui.session.recording.recorder import Recorder
from memtui.session.replay import ReplaySession

LEAKY = """\
import sys, time
KEPT = []
print('ready', flush=True)
while True:
    KEPT.append({'name': 'x' * 1000, 'number': len(KEPT)})
    time.sleep(0.01)
"""
SECONDS = 60
NOBODY_HAS_IT = 4194304


@pytest.fixture
def target() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", LEAKY], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


@pytest.fixture
def record() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``memtui record`` with no terminal."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **options: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "memtui", "record", *map(str, arguments)]
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def blocks_in(path: Path) -> int:
    return sum(len(one.blocks) for one in RecordingFile(path).chapters) if path.exists() and path.read_bytes() else 0


def wait_for_blocks(path: Path, count: int) -> None:
    def are_there() -> bool:
        try:
            return blocks_in(path) >= count
        except UsageError:  # nothing yet that can be read
            return False

    wait_until(are_there, "it happens")


def test_the_replay_of_a_live_session_ends_with_its_last_state(
    target: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    recorder = Recorder(tmp_path / "a.memtui")
    session = LiveSession(LiveOptions(pid=target.pid, interval_seconds=0.1), recorder)
    session.start()
    try:
        session.request(StartTracing())
        wait_until(lambda: session.state.allocations is not None, "it happens")
        session.request(TakeSnapshot())
        wait_until(lambda: len(session.state.snapshots) == 1, "it happens")
        session.request(CollectGarbage())
        session.request(TakeSnapshot())
        wait_until(lambda: session.state.evidence is not None, "it happens")
        target.kill()
        wait_until(lambda: session.state.ending is not None, "it happens")
    finally:
        session.close()
    live = session.state
    assert live.recording is not None
    file = RecordingFile(recorder.path)
    assert file.is_whole
    played = Player(file).last_state()
    assert played == live
    assert build_report(played) == build_report(live)
    replay = ReplaySession(file, at_seconds=file.end_seconds, playing=False)
    assert replay.state == live


def test_a_recording_begun_on_the_way_is_stopped_again(target: subprocess.Popen[bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.memtui"
    session = LiveSession(LiveOptions(pid=target.pid, interval_seconds=0.1))
    session.start()
    try:
        wait_until(lambda: session.state.series.looks > 3, "it happens")
        session.request(StartRecording(str(path)))
        wait_until(lambda: session.state.recording is not None, "it happens")
        wait_for_blocks(path, 1)
        session.request(StopRecording())
        wait_until(lambda: session.state.recording is None, "it happens")
        assert str(path) in session.state.events[-1].text
        session.request(StartRecording("/proc/nothing/a.memtui"))
        wait_until(lambda: session.state.events[-1].kind is EventKind.ERROR, "it happens")
        assert session.state.recording is None
    finally:
        session.close()
    file = RecordingFile(path)
    assert file.is_whole
    assert file.first_state(file.chapters[0]).series.looks > 3, "what was before is there, too"


def test_a_full_disk_is_told_once_and_the_session_goes_on(target: subprocess.Popen[bytes]) -> None:
    session = LiveSession(LiveOptions(pid=target.pid, interval_seconds=0.1), Recorder("/dev/full"))
    session.start()
    try:
        wait_until(lambda: any(one.kind is EventKind.ERROR for one in session.state.events), "it happens")
        looks = session.state.series.looks
        wait_until(lambda: session.state.series.looks > looks + 5, "it happens")
        errors = [one.text for one in session.state.events if one.kind is EventKind.ERROR]
        assert len(errors) == 1
        assert "No space left" in errors[0]
    finally:
        session.close()


def test_traced_lines_are_recorded(
    target: subprocess.Popen[bytes], record: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    path = tmp_path / "a.memtui"
    process = record(target.pid, "-o", path, "--trace", "--for", "5s")
    assert process.wait(SECONDS) == 0
    state = Player(RecordingFile(path)).last_state()
    assert state.tracing is not None
    assert state.tracing.on
    assert state.allocations is not None
    assert state.allocations.rows


def test_a_killed_memtui_leaves_what_it_saw(
    target: subprocess.Popen[bytes], record: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    path = tmp_path / "a.memtui"
    process = record(target.pid, "-o", path, "--interval", "100ms")
    wait_for_blocks(path, 3)
    process.kill()
    process.wait()
    file = RecordingFile(path)
    assert not file.is_whole
    state = Player(file).last_state()
    assert state.target.pid == target.pid
    assert state.series.looks >= 10
    text = memtui("report", path)
    assert "cut off" in text.stdout
    assert text.returncode == 0


def test_ctrl_c_ends_it_well(
    target: subprocess.Popen[bytes], record: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    path = tmp_path / "a.memtui"
    process = record(target.pid, "-o", path, "--interval", "100ms")
    wait_for_blocks(path, 1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert f"memtui open {path}" in out
    assert RecordingFile(path).is_whole


def test_ctrl_c_in_its_first_moment(
    target: subprocess.Popen[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "a.memtui"

    def interrupted(*_: object) -> None:
        wait_for_blocks(path, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Attendants, "attend", interrupted)
    assert run(["record", str(target.pid), "-o", str(path)]) == 130
    assert f"memtui open {path}" in capsys.readouterr().out
    assert RecordingFile(path).is_whole


def test_the_end_of_the_target_ends_it(
    target: subprocess.Popen[bytes], record: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    path = tmp_path / "a.memtui"
    process = record(target.pid, "-o", path, "--interval", "100ms")
    wait_for_blocks(path, 1)
    target.kill()
    assert process.wait(SECONDS) == 4
    assert Player(RecordingFile(path)).last_state().ending is not None


def test_a_program_is_recorded_to_its_end_and_reported(
    record: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    script, path = tmp_path / "job.py", tmp_path / "job.memtui"
    script.write_text("import sys, time\nprint('working', *sys.argv[1:], flush=True)\ntime.sleep(1.5)\n")
    process = record("-o", path, "--interval", "100ms", script, "-o", "its own")
    assert process.wait(SECONDS) == 0
    state = Player(RecordingFile(path)).last_state()
    assert state.ending is not None
    assert state.ending.exit_code == 0
    assert state.output is not None
    assert state.output.lines == ("working -o its own",)
    report = json.loads(memtui("report", path, "--json").stdout)
    jsonschema.validate(report, load_schema())
    assert report["target"]["command"][1:] == [str(script), "-o", "its own"]
    rows = list(csv.DictReader(io.StringIO(memtui("report", path, "--csv").stdout)))
    assert len(rows) == state.series.looks
    assert int(rows[-1]["rss_bytes"]) == state.series.samples[-1].rss_bytes
    assert memtui("report", path, "-o", tmp_path / "job.md").returncode == 0
    assert "| RSS |" in (tmp_path / "job.md").read_text()


def test_what_cannot_be_watched_leaves_no_file(record: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = record(NOBODY_HAS_IT, "-o", tmp_path / "a.memtui")
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 3
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_that_may_grow_no_further_ends_the_command(
    target: subprocess.Popen[bytes], record: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    import resource

    path = tmp_path / "a.memtui"
    process = record(
        target.pid, "-o", path, "--interval", "100ms",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3500, 3500)),
    )  # fmt: skip
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 2
    assert "File too large" in err
    assert Player(RecordingFile(path)).last_state().series.looks > 3


def memtui(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "memtui", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
