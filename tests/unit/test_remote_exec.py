"""The way by sys.remote_exec, with a stand-in for it: no Python 3.14 is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memtui.attach import remote_exec, ways
from memtui.attach.remote_exec import RemoteExec, check_enabled
from memtui.errors import RefusedError
from memtui.observe.interpreter import Interpreter
from memtui.observe.process import Identity

NEXT = (3, 99, 0)
OWN = (*sys.version_info[:2], 0)


def python(version: tuple[int, ...] = NEXT, pid: int = 0) -> Interpreter:
    return Interpreter(pid or os.getpid(), "python", version, {})


class Calls:
    """Stands in for ``subprocess.run``: keeps what was called, and the script as it was then."""

    def __init__(self, code: int = 0, errors: str = "") -> None:
        self.code, self.errors = code, errors
        self.command: list[str] = []
        self.script = ""
        self.mode = 0
        self.options: dict[str, Any] = {}

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.command, self.options = command, options
        self.script, self.mode = Path(command[-1]).read_text(), os.stat(command[-1]).st_mode & 0o777
        return subprocess.CompletedProcess(command, self.code, "", self.errors)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    one = Calls()
    monkeypatch.setattr(subprocess, "run", one)
    return one


def test_another_version_is_asked_by_its_own_program(calls: Calls) -> None:
    way = RemoteExec(python())
    assert way.attempt("print(1)") == {"outcome": "asked"}
    assert calls.command[0] == f"/proc/{os.getpid()}/exe"
    assert calls.command[-2] == str(os.getpid())
    assert "sys.remote_exec(" in calls.command[-3]
    assert calls.options["timeout"] > 0
    assert (calls.script, calls.mode) == ("print(1)", 0o600)
    assert Path(calls.command[-1]).exists(), "the script is still to be run"
    way.close()
    way.close()
    assert not Path(calls.command[-1]).exists()


def test_the_same_version_is_asked_by_ones_own(calls: Calls) -> None:
    way = RemoteExec(python(OWN))
    way.attempt("pass")
    way.close()
    assert calls.command[0] == sys.executable


def test_the_program_of_another_user_runs_as_that_user_only(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    way = RemoteExec(python())
    owners: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)
    monkeypatch.setattr(os, "fchown", lambda file, user, group: owners.append((user, group)))
    way.attempt("pass")
    way.close()
    status = Path("/proc/self/status").read_text()
    user, group = (int(status.split(f"\n{name}:")[1].split()[1]) for name in ("Uid", "Gid"))
    assert owners == [(user, group)]
    assert {key: calls.options[key] for key in ("user", "group", "extra_groups")} == {
        "user": user, "group": group, "extra_groups": [],
    }  # fmt: skip


def test_a_call_that_fails_says_why_and_leaves_no_file(calls: Calls) -> None:
    calls.code, calls.errors = 1, "Traceback ...\nRuntimeError: remote debugging is not enabled\n"
    answer = RemoteExec(python()).attempt("pass")
    assert answer["outcome"] == "busy"
    assert "RuntimeError: remote debugging is not enabled" in answer["reason"]
    assert not Path(calls.command[-1]).exists()


def test_a_program_that_does_not_come_back_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(command: list[str], **options: Any) -> None:
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(subprocess, "run", never)
    assert RemoteExec(python()).attempt("pass")["outcome"] == "busy"


def test_a_real_python_without_it_is_a_reason_to_go_another_way() -> None:
    answer = RemoteExec(python(OWN if sys.version_info < (3, 14) else NEXT)).attempt("pass")
    if sys.version_info < (3, 14):
        assert "has no attribute 'remote_exec'" in answer["reason"]
    assert answer["outcome"] == "busy"


@pytest.mark.parametrize("hidden", ["tmp", "tmp var/tmp dev/shm"])
def test_where_no_file_can_be_made(calls: Calls, monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    opened = remote_exec._open_folder

    def refuse(pid: int, parts: list[str]) -> int:
        if "/".join(parts) in hidden.split():
            raise PermissionError(13, "Permission denied")
        return opened(pid, parts)

    monkeypatch.setattr(remote_exec, "_open_folder", refuse)
    way = RemoteExec(python())
    answer = way.attempt("pass")
    way.close()
    if hidden == "tmp":
        assert answer["outcome"] == "asked"
        assert calls.command[-1].startswith(("/var/tmp/memtui-", "/dev/shm/memtui-"))
    else:
        assert answer == {
            "outcome": "busy", "reason": "no script could be written where it is found: Permission denied",
        }  # fmt: skip


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Iterator[int]:
    """A process with the options and the environment of the parameter."""
    options, environment = request.param
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, *options, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


OFF = "PYTHON_DISABLE_REMOTE_DEBUG"


@pytest.mark.parametrize(
    "started",
    [([], {OFF: "1"}), (["-X", "disable-remote-debug"], {}), (["-Xdisable_remote_debug"], {})],
    indirect=True,
)
def test_a_program_that_switched_it_off_is_respected(started: int) -> None:
    with pytest.raises(RefusedError, match="does not want code from outside"):
        check_enabled(started)
    with pytest.raises(RefusedError, match="--via ptrace"):
        ways.choose(python(pid=started), Identity(0, 0, 0), "auto", False, lambda plan: plan)


@pytest.mark.parametrize("started", [([], {OFF: ""}), (["-X", "dev"], {})], indirect=True)
def test_others_are_asked(started: int) -> None:
    check_enabled(started)


def test_an_older_python_is_refused_by_name_and_injected_by_default() -> None:
    with pytest.raises(RefusedError, match=r"--via remote-exec .* needs Python 3\.14"):
        ways.choose(python((3, 13, 1)), Identity(0, 0, 0), "remote-exec", False, lambda plan: plan)


class Other(ways.ByPtrace):
    """An injector that starts the agent at once."""

    def __init__(self) -> None:
        super().__init__({}, lambda plan: {"outcome": "started"})


def test_what_brought_nothing_is_followed_by_the_injector(calls: Calls) -> None:
    way = ways.ByRemoteExec(python(), Other())
    assert way.in_main_thread("remote-exec")
    assert way.start(way.first, "pass") == {"outcome": "asked"}
    assert way.patience_seconds("asked") == remote_exec.PATIENCE_SECONDS
    then = way.after(way.first, "asked")
    assert then == "auto"
    assert not way.in_main_thread(then)
    assert way.start(then, "pass") == {"outcome": "started"}
    assert way.after(then, "queued") == "thread"
    way.close()


def test_asked_for_by_name_it_is_the_only_way(calls: Calls) -> None:
    way = ways.ByRemoteExec(python(), None)
    way.start(way.first, "pass")
    assert way.patience_seconds("asked") > 60
    assert way.after(way.first, "busy") == way.first
    way.close()
