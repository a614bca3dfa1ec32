"""memtui cleanup on real programs: what it frees, its exit codes, its cooldown, interruptions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memtui.analysis.alerts import AlertWatch
from memtui.model.alert import parse_rule
from memtui.session.alerting.desk import AlertDesk, AlertPlan
from memtui.session.auto_cleanup import AutoCleanup
from memtui.session.live import LiveOptions, LiveSession

SECONDS = 60
PROGRAM = """
import gc, os, signal, sys, time
import memtui
cache = {number: bytes(2000) for number in range(20_000)}
memtui.register_cleanup(cache.clear, name="the cache")
if "fail" in sys.argv:
    def broken():
        raise ValueError("no luck")
    memtui.register_cleanup(broken)
if "hang" in sys.argv:
    memtui.register_cleanup(lambda: (print("hanging", flush=True), time.sleep(60)))
if "die" in sys.argv:
    memtui.register_cleanup(lambda: (os.kill(os.getpid(), signal.SIGKILL), time.sleep(60)))
gc.disable()
for _ in range(1000):
    loop = []
    loop.append(loop)
print("ready", flush=True)
time.sleep(600)
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts programs, and ends them after the test."""
    started: list[subprocess.Popen[str]] = []

    def program(*words: str, code: str = PROGRAM) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield program
    for process in started:
        process.kill()
        process.communicate()


def memtui(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "memtui", "cleanup", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def cleaned(*arguments: str) -> tuple[int, str, str]:
    process = memtui(*arguments)
    out, err = process.communicate(timeout=SECONDS)
    return process.returncode, out, err


def test_everything_is_freed_and_told(start: Start) -> None:
    process = start()
    code, out, err = cleaned(str(process.pid), "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["pid"] == process.pid
    assert [one["name"] for one in report["steps"]] == ["the cache", "full collection", "malloc_trim"]
    assert report["steps"][0]["freed_blocks"] > 20_000
    assert report["steps"][1]["objects"] >= 999  # its last one still has a name
    assert report["freed_rss_bytes"] > 30_000_000
    assert os.listdir(f"/proc/{process.pid}/task") == [str(process.pid)]
    assert process.poll() is None


def test_it_loads_nothing_heavy(start: Start) -> None:
    code = "import sys; from memtui.cli.main import run; run(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, "cleanup", str(start().pid), "--json"],
        capture_output=True, text=True, timeout=SECONDS, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["steps"]
    assert not {"textual", "rich", "plotext", "numpy", "memray"} & set(done.stderr.split())


def test_a_second_time_is_refused_unless_forced(start: Start) -> None:
    pid = str(start().pid)
    assert cleaned(pid, "--level", "warning")[0] == 0
    code, out, err = cleaned(pid)
    assert (code, out) == (3, "")
    assert "cooldown" in err
    assert "--force" in err
    code, out, _ = cleaned(pid, "--force")
    assert code == 0
    assert "the cache" in out
    assert "malloc_trim" in out
    assert cleaned(pid, "--cooldown", "0s")[0] == 0


def test_a_hook_that_fails_is_told(start: Start) -> None:
    code, out, _ = cleaned(str(start("fail").pid))
    assert code == 1
    assert "ValueError: no luck" in out
    assert "full collection" in out


def test_a_program_without_memtui_has_no_hooks(start: Start) -> None:
    process = start(code="print('ready', flush=True); import time; time.sleep(600)")
    code, out, _ = cleaned(str(process.pid))
    assert code == 0
    assert "hook" not in out


def test_a_program_that_dies_meanwhile(start: Start) -> None:
    code, out, err = cleaned(str(start("die").pid))
    assert (code, out) == (4, "")
    assert "ended" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_the_program_alone(start: Start, number: signal.Signals) -> None:
    process = start("hang")
    tool = memtui(str(process.pid), "--json")
    assert process.stdout is not None
    assert process.stdout.readline() == "hanging\n"
    tool.send_signal(number)
    out, err = tool.communicate(timeout=SECONDS)
    assert tool.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert process.poll() is None
    code, out, _ = cleaned(str(process.pid), "--cooldown", "1h")
    assert code == 1, "the one that was interrupted was not made, so it does not count"
    assert "still runs" in out


def test_a_process_that_cannot_be_attached_to(start: Start) -> None:
    stopped = start()
    os.kill(stopped.pid, signal.SIGSTOP)
    time.sleep(0.1)
    assert cleaned(str(stopped.pid))[0] == 3
    with subprocess.Popen(["sleep", "60"]) as other:
        code, _, err = cleaned(str(other.pid))
        other.kill()
    assert code == 3
    assert "Python" in err
    assert cleaned("99999999")[0] == 3


def test_a_session_cleans_up_by_itself(start: Start) -> None:
    process = start()
    rules = AlertWatch([parse_rule("critical", "rss>1MB")[1]])  # type: ignore[list-item]
    desk = AlertDesk(AlertPlan(look=rules.look, describe=lambda alert, state: b""))
    options = LiveOptions(pid=process.pid, interval_seconds=0.1, attendants=(desk, AutoCleanup(300.0)))
    session = LiveSession(options)
    session.start()
    try:
        end = time.monotonic() + SECONDS
        while not session.state.cleanups and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        session.close()
    (cleanup,) = session.state.cleanups
    assert (cleanup.level, cleanup.failed) == ("critical", ())
    assert [one.name for one in cleanup.steps] == ["the cache", "full collection", "malloc_trim"]
    assert cleaned(str(process.pid))[0] == 3, "its cooldown has begun"


@pytest.mark.slow
def test_soak_cleans_up_by_itself(start: Start, tmp_path: Path) -> None:
    process, report = start(), tmp_path / "report.json"
    soaked = subprocess.run(
        [sys.executable, "-m", "memtui", "soak", "--for", "5s", "--interval", "500ms", "--auto",
         "--critical", "rss=1MB", "--report", str(report), "--no-record", "--quiet", str(process.pid)],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert soaked.returncode == 0, soaked.stderr
    (cleanup,) = json.loads(report.read_bytes())["cleanups"]
    assert cleanup["level"] == "critical"
    assert [one["name"] for one in cleanup["steps"]] == ["the cache", "full collection", "malloc_trim"]
    assert cleanup["freed_rss_bytes"] > 30_000_000


@pytest.mark.parametrize("command", ["soak", "attach"])
def test_observing_only_cleans_up_nothing(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "memtui", command, "--auto", "--observe-only", str(os.getpid())],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--auto" in done.stderr


def test_wrong_usage() -> None:
    assert cleaned()[0] == 2
    assert cleaned("x")[0] == 2
    assert cleaned("1", "--level", "some")[0] == 2
    code, out, _ = cleaned("--help")
    assert code == 0
    assert "register_cleanup" in out
