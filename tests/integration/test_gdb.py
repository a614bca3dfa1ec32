"""The agent by gdb: in, work and out; what is said when it cannot be done; gdb is not left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from attach_driver import ask, leave, target, tracer, wait_until
from interpreters import Interpreter, current, interpreters

from memtui.attach import gdb, ways
from memtui.attach.inject import attach_agent
from memtui.errors import RefusedError
from memtui.model.target import Rung
from memtui.session.live import LiveOptions, LiveSession

pytestmark = pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")

SOME = [current(), *(one for one in interpreters() if "system" in str(one))]
VIEWER = "import sys; from memtui.attach.inject import attach_agent; attach_agent(int(sys.argv[1]), via='gdb')"


@pytest.mark.parametrize("mode", ["compute", "loop", "naps", "threads"])
@pytest.mark.parametrize("one", SOME, ids=str)
def test_in_work_and_out(one: Interpreter, mode: str) -> None:
    with target(one, mode) as patient:
        before = patient.traces()
        attached = attach_agent(patient.pid, via="gdb")
        assert attached.hello["pid"] == patient.pid
        assert attached.route in ("queued-by-gdb", "started-by-gdb")
        assert attached.stop_seconds > 0
        ask(attached, "trace_start", frames=1)
        assert ask(attached, "collect")["seconds"] >= 0
        leave(attached)
        patient.check_as_before(before)
        assert tracer(patient.pid) == 0


def test_every_interpreter(interpreter: Interpreter) -> None:
    with target(interpreter, "loop") as patient:
        leave(attach_agent(patient.pid, via="gdb"))
        patient.check_works()


def test_a_process_that_only_sleeps_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "_AT_BREAKPOINT_SECONDS", 0.5)
    monkeypatch.setattr(ways.ByGdb, "more_seconds", -7.0)
    with target(current(), "read") as patient:
        with pytest.raises(RefusedError, match="no thread was about to release the GIL"):
            attach_agent(patient.pid, via="gdb")
        assert tracer(patient.pid) == 0
        patient.check_works()


@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.3, 1.0])
def test_a_memtui_that_is_killed_leaves_no_gdb_on_the_process(seconds: float) -> None:
    with target(current(), "read") as patient:
        viewer = subprocess.Popen([sys.executable, "-c", VIEWER, str(patient.pid)])
        try:
            wait_until(lambda: tracer(patient.pid) != 0, "gdb holds the process")
            time.sleep(seconds)
        finally:
            viewer.kill()
            viewer.wait()
        wait_until(lambda: tracer(patient.pid) == 0, "gdb lets go")
        patient.check_works()


def test_ctrl_c_on_the_terminal_does_not_reach_gdb() -> None:
    with target(current(), "read") as patient:
        viewer = subprocess.Popen(
            [sys.executable, "-c", VIEWER, str(patient.pid)], start_new_session=True, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: tracer(patient.pid) != 0, "gdb holds the process")
        os.killpg(viewer.pid, signal.SIGINT)
        viewer.wait()
        wait_until(lambda: tracer(patient.pid) == 0, "gdb lets go")
        patient.check_works()


def test_without_gdb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with target(current(), "loop") as patient:
        with pytest.raises(RefusedError, match="needs gdb, which is not installed"):
            attach_agent(patient.pid, via="gdb")
        patient.check_works()


def test_the_session_says_what_it_costs_before_it_runs() -> None:
    with target(current(), "naps") as patient:
        session = LiveSession(LiveOptions(pid=patient.pid, via="gdb", agent_at_once=True, interval_seconds=0.1))
        session.start()
        try:
            wait_until(lambda: session.state.rung is Rung.AGENT, "the agent is in")
            wait_until(lambda: any("Agent in" in one.text for one in session.state.events), "it is told")
            said = [one.text for one in session.state.events]
        finally:
            session.close()
        agent_in = next(at for at, text in enumerate(said) if "Agent in" in text)
        assert said.index(gdb.COST) < agent_in
        patient.check_works()


def test_what_it_costs_is_in_the_state_before_it_runs() -> None:
    with target(current(), "naps") as patient:
        for via, cost in (("gdb", gdb.COST), ("auto", "")):
            session = LiveSession(LiveOptions(pid=patient.pid, via=via))
            session.start()
            try:
                assert session.state.entry_cost == cost
            finally:
                session.close()
