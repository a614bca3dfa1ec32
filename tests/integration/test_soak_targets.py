"""memtui soak on real programs: exit codes, reports, aborts, interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from memtui.model.files import RECORDING_MAGIC
from memtui.model.state import State
from memtui.model.target import Target
from memtui.report.build import load_schema
from memtui.session.recording.kept import KEPT, kept_recorder
from memtui.session.recording.reader import RecordingFile

CALM = "import time\nwhile True: time.sleep(0.05)\n"
LEAKY = "import time\nKEPT = []\nwhile True: KEPT.append(bytearray(100_000)); time.sleep(0.02)\n"
SECONDS = 60


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def soak(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "memtui", "soak", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def soaked(*arguments: str) -> tuple[int, str, str]:
    process = soak(*arguments)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def script(folder: Path, text: str) -> str:
    path = folder / "program.py"
    path.write_text(text)
    return str(path)


def report_in(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_bytes())
    jsonschema.validate(report, load_schema())
    return report


def test_a_healthy_program_passes(tmp_path: Path) -> None:
    files = {name: tmp_path / f"soak.{name}" for name in ("report", "junit", "markdown")}
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    code, out, err = soaked(
        "--for", "5s", "--interval", "500ms", "--max-growth", "5MB", *options, script(tmp_path, CALM)
    )
    assert (code, "Soak test passed" in out) == (0, True), out + err
    report = report_in(files["report"])
    assert report["soak"]["outcome"] == "passed"
    assert report["observed"]["samples"] >= 5
    suite = ET.parse(files["junit"]).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert "passed" in files["markdown"].read_text("utf-8")
    assert "left · RSS" in err


@pytest.mark.slow
def test_a_leak_fails_it_and_is_named(tmp_path: Path) -> None:
    report, junit, markdown = (tmp_path / name for name in ("report.json", "junit.xml", "summary.md"))
    code, out, err = soaked(
        "--demo", "--for", "45s", "--report", str(report), "--junit", str(junit), "--markdown", str(markdown)
    )
    assert code == 1, out + err
    first = report_in(report)["suspects"][0]
    assert first["holder"]["path"].endswith("ARCHIVE")
    failure = ET.parse(junit).getroot().find("testsuite/testcase[@name='verdict']/failure")
    assert failure is not None
    assert "ARCHIVE" in (failure.text or "")
    assert "ARCHIVE" in markdown.read_text("utf-8")


def test_a_limit_of_growth_fails_it(tmp_path: Path) -> None:
    code, out, err = soaked(
        "--for",
        "5s",
        "--interval",
        "500ms",
        "--max-growth",
        "5MB",
        "--json",
        "--quiet",
        "--observe-only",
        script(tmp_path, LEAKY),
    )
    assert code == 1, out + err
    report = json.loads(out)
    jsonschema.validate(report, load_schema())
    assert {one["name"]: one["broken"] for one in report["soak"]["checks"]}["max-growth"] is True
    assert err == ""


def test_too_large_a_program_is_aborted_at_once_and_leaves_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    code, out, err = soaked("--max-rss", "25MB", "--report", str(path), script(tmp_path, LEAKY))
    assert code == 1, out + err
    report = report_in(path)
    assert report["soak"]["planned_seconds"] == 3600
    assert report["soak"]["snapshot"], err
    assert Path(report["soak"]["snapshot"]).stat().st_size > 1000
    assert report["soak"]["snapshot"] in out


def test_a_program_that_ends(tmp_path: Path) -> None:
    ends = {"raise SystemExit(0)": 0, "raise SystemExit(3)": 4, "os.abort()": 4}
    running = []
    for number, (end, code) in enumerate(ends.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        program = script(folder, f"import os, time\nprint('last words', flush=True)\ntime.sleep(1.5)\n{end}\n")
        running.append((code, folder / "report.json", soak("--report", str(folder / "report.json"), program)))
    for code, path, process in running:
        out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == code, out + err
        assert report_in(path)["soak"]["outcome"] == ("died" if code else "passed")
        assert ("last words" in err) is (code == 4)


def test_a_process_that_dies(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", CALM]) as target:
        process = soak("--for", "30s", str(target.pid))
        assert process.stderr is not None
        assert "Soaking" in process.stderr.readline()
        target.kill()
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 4, out + err


def test_an_interruption_writes_what_there_is(tmp_path: Path) -> None:
    program = script(tmp_path, CALM)
    running = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        path = tmp_path / f"{number}.json"
        running[number] = path, soak("--report", str(path), program)
    for number, (path, process) in running.items():
        assert process.stderr is not None
        told = process.stderr.readline()
        time.sleep(0.5)
        process.send_signal(number)
        out, err = process.communicate(timeout=SECONDS)
        assert process.returncode == 130, out + err
        assert "Soak test interrupted" in out
        report = report_in(path)
        assert report["soak"]["outcome"] == "interrupted"
        assert str(report["target"]["pid"]) in told
        with pytest.raises(ProcessLookupError):
            os.kill(report["target"]["pid"], 0)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nothing-there.py"], 3, "no such file"),
        (["999999999"], 3, "999999999"),
        ([], 2, "nothing to watch"),
        (["--for", "1s", "app.py"], 2, "at least 5s"),
        (["--interval", "20s", "--for", "30s", "app.py"], 2, "at most half"),
        (["--warmup", "2h", "app.py"], 2, "shorter than"),
        (["--max-growth", "much", "app.py"], 2, "a size such as"),
        (["--max-growth-percent", "-3", "app.py"], 2, "a percentage"),
        (["--rule", "guess", "app.py"], 2, "invalid choice"),
        (["--periods", "0", "app.py"], 2, "at least 1"),
        (["--baseline", "nothing.json", "app.py"], 2, "No such file"),
        (["--report", "/nowhere/report.json", "app.py"], 2, "does not exist"),
        (["--observe-only", "--gc-between", "app.py"], 2, "contradicts"),
        (["--demo", "app.py"], 2, "takes no program"),
    ],
)
def test_what_cannot_be(capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str) -> None:
    from memtui.cli.main import run

    assert run(["soak", *arguments]) == code
    assert words in capfd.readouterr().err


def test_what_was_seen_survives_a_kill(tmp_path: Path) -> None:
    """At any moment after the first line; the file is as whole as what memtui was told two seconds before."""
    running = []
    for wait in (0.0, 0.3, 2.5):
        environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / str(wait))}
        process = soak(script(tmp_path, CALM), environment=environment)
        running.append((wait, time.monotonic(), process))
    for wait, began, process in running:
        assert process.stderr is not None
        told = process.stderr.readline()
        time.sleep(max(0.0, began + wait - time.monotonic()))
        process.kill()
        process.communicate(timeout=SECONDS)
        recording = RecordingFile(Path(told.strip().rpartition("recorded in ")[2]))
        state, _messages = recording.read(recording.chapters[-1])
        assert f"process {state.target.pid} " in told
        with suppress(ProcessLookupError):
            os.kill(state.target.pid, signal.SIGKILL)


def test_recordings_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "memtui" / "soak"
    folder.mkdir(parents=True)
    for number in range(KEPT + 5):
        path = folder / f"{number}.memtui"
        path.write_bytes(RECORDING_MAGIC)
        os.utime(path, (number, number))
    recorder = kept_recorder("soak", 4242)
    recorder.begin(State(Target(4242, ("python",)), 0.0))
    recorder.close()
    names = {path.name for path in folder.iterdir()}
    assert len(names) == KEPT
    assert recorder.path.name in names
    assert {"0.memtui", "5.memtui"}.isdisjoint(names)
    assert f"{KEPT + 4}.memtui" in names


def test_where_nothing_can_be_kept_it_is_recorded_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    recorder = kept_recorder("soak", 4242)
    assert recorder.path.parent == tmp_path
    recorder.close()
