"""Native recordings through the session of the dashboard: what comes of them, and that nothing of them stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import jsonschema
import pytest
from interpreters import interpreters
from test_native_targets import LEAK, recording, residue, target, wait_until, without_memray

from memtui.model.command import StartNative, StopNative
from memtui.model.state import EventKind
from memtui.model.target import Rung
from memtui.native.reader import Recorded
from memtui.report.build import load_schema
from memtui.report.native import load_native_schema
from memtui.session.live import LiveOptions, LiveSession
from memtui.session.workload import LaunchSpec, Workload

DASHBOARD = """
import sys
from memtui.model.command import StartNative
from memtui.session.live import LiveOptions, LiveSession
session = LiveSession(LiveOptions(pid=int(sys.argv[1])))
session.start()
session.request(StartNative(60.0, accepted=True))
sys.stdin.read()
"""


@contextmanager
def watching(options: LiveOptions) -> Iterator[LiveSession]:
    session = LiveSession(options)
    session.start()
    try:
        yield session
    finally:
        session.close()


def problems(session: LiveSession) -> list[str]:
    return [one.text for one in session.state.events if one.kind in (EventKind.WARNING, EventKind.ERROR)]


def test_it_asks_records_and_names_the_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with target() as process, watching(LiveOptions(pid=process.pid)) as session:
        session.request(StartNative(1.0))
        wait_until(lambda: session.state.question is not None)
        question = session.state.question
        assert question is not None
        assert "memray" in question.text
        assert "is installed for it" in question.text
        assert session.state.rung is Rung.OBSERVE, "nothing is done before the answer"
        session.request(question.command)
        wait_until(lambda: session.state.rung is Rung.TRACER)
        wait_until(lambda: session.state.native is not None)
        found = session.state.native
        assert found is not None
        assert found.report.sites[0].extension == "_ctypes"
        assert (found.ended, session.state.native_progress, session.state.rung) == ("time", None, Rung.AGENT)
        assert found.file is not None
        assert Path(found.file).parent == tmp_path
        assert Recorded(Path(found.file)).report(1).size_bytes == found.report.size_bytes
        assert not recording(process.pid), "its descriptor is closed while the agent stays"
        session.close()
        assert residue(process.pid) == []


def test_it_works_in_every_interpreter_that_has_memray() -> None:
    ours = version("memray")
    code = "import memray, sys; sys.exit(memray.__version__ != sys.argv[1])"
    others = [
        one.path
        for one in interpreters()
        if subprocess.run([one.path, "-c", code, ours], capture_output=True, check=False).returncode == 0
    ]
    if not others:
        pytest.skip("no other interpreter here has this memray")
    for python in others:
        with target(python=python) as process, watching(LiveOptions(pid=process.pid)) as session:
            session.request(StartNative(1.0, accepted=True, keep=False))
            wait_until(lambda session=session: session.state.native is not None)  # type: ignore[misc]
            assert session.state.native is not None
            assert session.state.native.report.sites[0].extension == "_ctypes"


def test_a_memray_that_is_not_ours_is_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memtui.native.recording.version", lambda _name: "0.9")
    with target() as process, watching(LiveOptions(pid=process.pid)) as session:
        session.request(StartNative(1.0))
        wait_until(lambda: session.state.question is not None)
        assert session.state.question is not None
        assert "and 0.9 beside memtui" in session.state.question.text


def test_it_is_stopped_early_and_keeps_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with target() as process, watching(LiveOptions(pid=process.pid)) as session:
        session.request(StartNative(60.0, accepted=True, keep=False))
        wait_until(lambda: session.state.rung is Rung.TRACER)
        session.request(StopNative())
        wait_until(lambda: session.state.native is not None)
        assert session.state.native is not None
        assert (session.state.native.ended, session.state.native.file) == ("asked", None)
    assert list(tmp_path.iterdir()) == []


def test_the_session_ends_while_it_records() -> None:
    with target() as process:
        with watching(LiveOptions(pid=process.pid)) as session:
            session.request(StartNative(60.0, accepted=True, keep=False))
            wait_until(lambda: recording(process.pid))
        assert residue(process.pid) == []
        assert process.poll() is None


def test_memtui_is_killed_while_it_records() -> None:
    with target() as process:
        command = [sys.executable, "-c", DASHBOARD, str(process.pid)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as tool:
            wait_until(lambda: recording(process.pid))
            tool.send_signal(signal.SIGKILL)
        wait_until(lambda: residue(process.pid) == [], seconds=10)
        assert process.poll() is None


def test_the_process_dies_while_it_is_recorded() -> None:
    with target() as process, watching(LiveOptions(pid=process.pid)) as session:
        session.request(StartNative(60.0, accepted=True, keep=False))
        wait_until(lambda: recording(process.pid))
        time.sleep(0.5)
        process.kill()
        wait_until(lambda: session.state.native is not None)
        assert session.state.native is not None
        assert session.state.native.ended == "died"
        assert session.state.ending is not None


def test_a_program_that_memtui_runs() -> None:
    spec = LaunchSpec((sys.executable, str(LEAK), "leak", "60"), dict(os.environ))
    workload = Workload.start(spec)
    try:
        with watching(LiveOptions(workload=workload)) as session:
            session.request(StartNative(1.0, accepted=True, keep=False))
            wait_until(lambda: session.state.native is not None)
            assert session.state.native is not None
            assert session.state.native.report.sites[0].extension == "_ctypes"
    finally:
        workload.end(1.0)


def test_without_memray_it_is_said_before_and_after() -> None:
    lacking = without_memray()
    if not lacking:
        pytest.skip("every interpreter here has memray")
    with target(python=lacking[0]) as process, watching(LiveOptions(pid=process.pid)) as session:
        session.request(StartNative(1.0))
        wait_until(lambda: session.state.question is not None)
        assert session.state.question is not None
        assert "memray was not found for its Python" in session.state.question.text
        session.request(session.state.question.command)
        wait_until(lambda: bool(problems(session)))
        assert "-m pip install memray" in problems(session)[0]
        assert session.state.native_progress is None
        session.close()
        assert residue(process.pid) == []


def test_observing_only_refuses() -> None:
    with target() as process, watching(LiveOptions(pid=process.pid, observe_only=True)) as session:
        session.request(StartNative(1.0))
        wait_until(lambda: bool(problems(session)))
        assert "--observe-only" in problems(session)[0]


def test_without_memray_beside_memtui(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        from importlib.metadata import PackageNotFoundError

        raise PackageNotFoundError(name)

    monkeypatch.setattr("memtui.native.recording.version", absent)
    with target() as process, watching(LiveOptions(pid=process.pid)) as session:
        session.request(StartNative(1.0))
        wait_until(lambda: bool(problems(session)))
        assert "is not installed beside memtui" in problems(session)[0]


@pytest.mark.slow
def test_diagnostics_records_what_it_suspects(tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    with target(seconds=200) as process:
        command = [sys.executable, "-m", "memtui", "diagnostics", str(process.pid), "--for", "10s"]
        command += ["--native=2s", "--report", str(report)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
        assert residue(process.pid) == []
    assert done.returncode == 1, done.stderr
    assert "_ctypes: _ctypes_callproc kept" in " ".join(done.stdout.split())
    written = json.loads(report.read_text("utf-8"))
    jsonschema.Draft202012Validator(load_schema()).validate(written)
    jsonschema.Draft202012Validator(load_native_schema()).validate(written["native"])
    assert written["suspects"][0]["kind"] == "native"
    assert written["suspects"][0]["allocated_at"][0]["function"] == "_ctypes_callproc"
