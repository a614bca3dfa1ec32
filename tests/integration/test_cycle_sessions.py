"""A checked collection of a real process: by a session, by one that is killed, and by ``memtui diagnostics``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from attach_driver import tasks, wait_until
from interpreters import Interpreter, current, interpreters

from memtui.model import command as c
from memtui.model.state import State
from memtui.report.build import build_report, load_schema
from memtui.session.interface import Session
from memtui.session.live import LiveOptions, LiveSession
from memtui.session.watching import HeadlessWatch, WatchPlan

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "rings.py"
VERSIONS = [one for one in interpreters() if one.minor in ((3, 8), (3, 13)) and "system" not in str(one)]
UNTOUCHED = {"flags": 0, "garbage": 0, "enabled": False, "calls": 0}
KILLED = """\
import os, sys, threading
from memtui.model.command import CheckCycles, ClimbToAgent
from memtui.session.conversation import Conversation
from memtui.session.live import LiveOptions, LiveSession

ask = Conversation.ask

def asked(self, busy, do, *rest, **arguments):
    ask(self, busy, do, *rest, **arguments)
    if do == "cycles":
        os.kill(os.getpid(), 9)

Conversation.ask = asked
session = LiveSession(LiveOptions(pid=int(sys.argv[1])))
session.start()
session.request(CheckCycles(accept_stop=True))
threading.Event().wait(60)
"""


class Rings:
    """The running target."""

    def __init__(self, interpreter: Interpreter, types: int) -> None:
        self.process = subprocess.Popen(
            [interpreter.path, str(PROGRAM), str(types)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    @property
    def pid(self) -> int:
        return self.process.pid

    def left(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("tell\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        return told

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def rings() -> Iterator[Callable[..., Rings]]:
    """Starts targets and ends them after the test."""
    started: list[Rings] = []

    def start(interpreter: Interpreter, types: int = 10) -> Rings:
        started.append(Rings(interpreter, types))
        return started[-1]

    yield start
    for one in started:
        one.close()


def checked(session: Session, *, accept_stop: bool) -> State:
    """The State with a check, or with the question before it."""
    session.request(c.CheckCycles(accept_stop=accept_stop))
    wait_until(lambda: session.state.cycles is not None or session.state.question is not None, "an answer", 0.02)
    return session.state


@pytest.mark.parametrize("one", VERSIONS, ids=str)
def test_a_session_checks_and_leaves_nothing(one: Interpreter, rings: Callable[..., Rings]) -> None:
    target = rings(one)
    session = LiveSession(LiveOptions(pid=target.pid, interval_seconds=0.1, outside_only=True))
    session.start()
    try:
        wait_until(lambda: session.state.gc is not None, "the collector is seen", 0.02)
        check = checked(session, accept_stop=True).cycles
        assert check is not None
        found = {kind.type: kind.objects for kind in check.types}
        assert found["__main__.Order"] == 3 * found["__main__.Shop"] > 0
        assert any("__main__.Order.shop -> __main__.Shop.orders -> list[" in path for path in check.paths)
        assert not check.gc_enabled
        cost = session.state.cost.target_longest_pause_seconds
        assert cost is not None
        assert cost >= check.pause_seconds
        jsonschema.validate(build_report(session.state), load_schema())
    finally:
        session.close()
    assert len(tasks(target.pid)) == 1
    assert target.left() == UNTOUCHED


def test_memtui_killed_in_the_middle_leaves_nothing(rings: Callable[..., Rings]) -> None:
    target = rings(current())
    killed = subprocess.run([sys.executable, "-c", KILLED, str(target.pid)], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: len(tasks(target.pid)) == 1, "the agent leaves", 0.02)
    assert target.left() == UNTOUCHED


def test_a_watch_says_why_it_did_not_check(rings: Callable[..., Rings]) -> None:
    target = rings(current())
    session = LiveSession(LiveOptions(pid=target.pid, interval_seconds=0.1, observe_only=True))
    session.start()
    try:
        plan = WatchPlan(0.5, accept_stop=True, pictures=False, check_cycles=True)
        watched = HeadlessWatch(session, plan, lambda what, share: None).run()
    finally:
        session.close()
    assert "--observe-only" in watched.unchecked
    assert watched.state.cycles is None
    assert target.left() == UNTOUCHED


@pytest.mark.slow
def test_diagnostics_on_many_types_whose_text_is_never_made(
    rings: Callable[..., Rings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10,000 distinct types, gc disabled, a ``__repr__`` that hangs."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    target = rings(current(), 10_000)
    command = [sys.executable, "-m", "memtui", "diagnostics", str(target.pid), "--for", "20s", "--json"]
    run = subprocess.run(
        [*command, "--check-cycles", "--accept-stop"], stdout=subprocess.PIPE, timeout=300, check=False
    )
    report = json.loads(run.stdout)
    jsonschema.validate(report, load_schema())
    assert run.returncode == 1
    suspect = report["suspects"][0]
    assert (suspect["category"], suspect["type"]) == ("cycle", "__main__.Order")
    assert any("gc.disable()" in one for one in suspect["evidence"])
    assert any(one.startswith("Cycle: ") for one in suspect["evidence"])
    assert report["cycles"]["objects"] > 1000
    assert target.left() == UNTOUCHED
    expected = tmp_path / "memtui" / "expected.json"
    expected.parent.mkdir()
    expected.write_text(json.dumps({one["signature"]: "so be it" for one in report["suspects"]}))
    again = subprocess.run(command, stdout=subprocess.PIPE, timeout=300, check=False)
    told = json.loads(again.stdout)
    assert [one["expected"] for one in told["suspects"] if one["signature"] == suspect["signature"]] == [True]
    assert again.returncode == 0, told["verdict"]
    assert os.path.exists(f"/proc/{target.pid}")
