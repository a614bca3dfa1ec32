"""The agent goes into real processes of every interpreter, works there, and goes without a trace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from attach_driver import PROGRAM, ask, known_line, leave, state, target, tasks, tracer, wait_until
from interpreters import Interpreter, current, interpreters

import memtui.agent
from memtui.attach import inject
from memtui.attach.helper_process import HelperProcess
from memtui.attach.inject import Attached, attach_agent
from memtui.errors import MemtuiError, RefusedError, TargetDiedError

UNSHARE = ("unshare", "--pid", "--mount", "--net", "--ipc", "--fork", "--mount-proc", "--kill-child")
OLDEST_AND_NEWEST = [interpreters()[0], next(one for one in reversed(interpreters()) if "system" not in str(one))]

VIEWER = """
import sys
from memtui.attach.inject import attach_agent
attached = attach_agent(int(sys.argv[1]))
attached.link.request("trace_start", frames=1)
attached.link.wait_for(("reply",), 20)
print("in", flush=True)
sys.stdin.read()
"""


def traced_places(attached: Attached) -> dict[tuple[str, int], int]:
    reply = ask(attached, "allocations", by="line", limit=1000)
    return {(reply["files"][frames[0][0]], frames[0][1]): size for size, _, frames in reply["groups"]}


@pytest.mark.parametrize("mode", ["compute", "sleep", "loop", "lock", "read"])
def test_in_work_and_out(interpreter: Interpreter, mode: str) -> None:
    with target(interpreter, mode) as one:
        before = one.traces()
        attached = attach_agent(one.pid)
        assert attached.hello["pid"] == one.pid
        assert attached.hello["thread"] in tasks(one.pid)
        assert 0 < attached.stop_seconds < 5
        first = attached.link.wait_for(("sample",), 20)
        ask(attached, "stream", interval=0.05)
        sample = attached.link.wait_for(("sample",), 20)
        assert shape(first) == shape(sample)
        assert len(first["gc"]["stats"]) == 3
        ask(attached, "stream", interval=0)
        ask(attached, "trace_start", frames=1)
        one.allocate()
        assert traced_places(attached)[str(PROGRAM), known_line()] >= 200000
        assert ask(attached, "collect")["seconds"] >= 0
        leave(attached)
        one.check_as_before(before)


def shape(frame: Any) -> Any:
    """The names in a frame: the first sample is made before the agent is complete, the others by its core."""
    return {name: shape(part) for name, part in frame.items()} if isinstance(frame, dict) else None


def test_what_its_first_lines_allocate_does_not_count_for_the_program(interpreter: Interpreter) -> None:
    with target(interpreter, "sleep", "env", "PYTHONTRACEMALLOC=1") as one:
        first, second = attach_agent(one.pid), attach_agent(one.pid)
        reply = ask(first, "allocations", by="line", limit=20000)
        files = [(reply["files"][frames[0][0]], size) for size, _, frames in reply["groups"]]
        assert not [file for file, _ in files if "memtui" in file]
        assert sum(size for file, size in files if file == "<string>") < 16 * 1024
        leave(first)
        leave(second)


def test_in_a_busy_process_with_threads(interpreter: Interpreter) -> None:
    with target(interpreter, "threads") as one:
        before = one.traces()
        for _ in range(3):
            leave(attach_agent(one.pid))
        one.check_as_before(before)


def test_in_a_process_with_a_signal_each_millisecond() -> None:
    with target(current(), "timer") as one:
        before = one.traces()
        for _ in range(5):
            leave(attach_agent(one.pid))
        one.check_as_before(before)


@pytest.mark.parametrize("first_leaves", [0, 1])
def test_two_viewers_join_and_leave_in_either_order(first_leaves: int) -> None:
    with target(current(), "loop") as one:
        before = one.traces()
        viewers = [attach_agent(one.pid), attach_agent(one.pid)]
        assert [viewer.hello["viewers"] for viewer in viewers] == [1, 2]
        assert viewers[0].hello["thread"] == viewers[1].hello["thread"]
        ask(viewers[first_leaves], "trace_start", frames=1)
        leave(viewers.pop(first_leaves))
        ask(viewers[0], "ping")
        leave(viewers[0])
        one.check_as_before(before)


def test_viewers_that_come_at_the_same_moment_all_get_in() -> None:
    with target(current(), "compute") as one:
        before = one.traces()
        for _ in range(4):
            found: list[Attached | MemtuiError] = []
            threads = [threading.Thread(target=lambda into=found: into.append(attached(one.pid))) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert [type(each) for each in found] == [Attached] * 4, found
            assert len({each.hello["thread"] for each in found if isinstance(each, Attached)}) == 1
            for each in found:
                assert isinstance(each, Attached)
                leave(each)
        one.check_as_before(before)


def attached(pid: int) -> Attached | MemtuiError:
    try:
        return attach_agent(pid)
    except MemtuiError as error:
        return error


def test_a_viewer_that_is_killed_leaves_nothing(interpreter: Interpreter) -> None:
    with target(interpreter, "loop") as one:
        before = one.traces()
        viewer = subprocess.Popen(
            [sys.executable, "-c", VIEWER, str(one.pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with viewer:
            assert viewer.stdout is not None
            assert viewer.stdout.readline() == b"in\n"
            assert one.report()["tracing"]
            viewer.kill()
        one.check_as_before(before)


ENDINGS = {
    "exits": ("import sys; sys.stdin.readline(); sys.exit(7)", 7),
    "has threads": ("import sys, threading; threading.Thread(target=sys.stdin.readline).start()", 0),
    "traces": (
        "import sys, tracemalloc; tracemalloc.start(); sys.stdin.readline(); x = [[] for _ in range(9**5)]",
        0,
    ),
}


def waits_for_input(pid: int) -> bool:
    """A thread of it reads from descriptor 0."""
    calls = [Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split() for tid in tasks(pid)]
    return any(call[:2] == ["0", "0x0"] for call in calls)


@pytest.mark.parametrize("name", ENDINGS)
def test_a_target_ends_as_ever_with_the_agent_in_it(interpreter: Interpreter, name: str) -> None:
    code, exit_code = ENDINGS[name]
    with subprocess.Popen([interpreter.path, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until(lambda: waits_for_input(process.pid), "it waits")
        attached = attach_agent(process.pid)
        ask(attached, "stream", interval=0.05)
        _, printed = process.communicate(b"go\n", timeout=60)
        assert printed == b""
        assert process.returncode == exit_code
        attached.link.close()


@pytest.mark.parametrize(
    "program", [[sys.executable, "-c", "print('new')"], ["/bin/echo", "new"]], ids=["python", "echo"]
)
def test_a_target_may_exec_with_the_agent_in_it(program: list[str]) -> None:
    code = f"import os, sys; print('here', flush=True); sys.stdin.readline(); os.execv({program[0]!r}, {program!r})"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        attached = attach_agent(process.pid)
        out, _ = process.communicate(b"go\n", timeout=30)
        assert out == b"new\n"
        assert process.returncode == 0
        with pytest.raises(MemtuiError, match="cut"):
            attached.link.wait_for(("reply",), 20)
        attached.link.close()


def test_a_forked_child_gets_an_agent_of_its_own() -> None:
    code = (
        "import os, signal, sys\n"
        "print('here', flush=True); sys.stdin.readline()\n"
        "child = os.fork()\n"
        "if child: print(child, flush=True)\n"
        "while True: signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"here\n"
        parent = attach_agent(process.pid)
        process.stdin.write(b"go\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        try:
            own = attach_agent(child)
            assert own.hello["pid"] == child
            assert own.hello["viewers"] == 1
            ask(own, "ping")
            ask(parent, "ping")
            leave(own)
            wait_until(lambda: len(tasks(child)) == 1, "the child's agent ends")
            leave(parent)
        finally:
            os.kill(child, signal.SIGKILL)
            process.kill()


def test_across_namespaces() -> None:
    probe = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("namespaces are not permitted here")
    with target(current(), "loop", *UNSHARE) as one:
        outer = int(Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()[0])
        attached = attach_agent(outer)
        assert attached.hello["pid"] == 1
        ask(attached, "trace_start", frames=1)
        leave(attached)
        wait_until(lambda: len(tasks(outer)) == 1, "the agent's thread ends")


def test_without_executable_memory(interpreter: Interpreter) -> None:
    with target(interpreter, "no_exec") as one:
        before = one.traces()
        attached = attach_agent(one.pid)
        assert attached.route == "queued-without-code"
        ask(attached, "trace_start", frames=1)
        one.allocate()
        assert traced_places(attached)[str(PROGRAM), known_line()] >= 200000
        one.check_works()
        leave(attached)
        one.check_as_before(before)


def test_what_is_queued_for_a_process_does_nothing_when_it_runs_too_late(
    monkeypatch: pytest.MonkeyPatch, interpreter: Interpreter
) -> None:
    monkeypatch.setattr(inject, "LIFETIME_SECONDS", -1.0)
    monkeypatch.setattr(inject, "_DEADLINE_SECONDS", 0.5)
    with target(interpreter, "compute") as one:
        before = one.traces()
        with pytest.raises(RefusedError, match="could not be put into"):
            attach_agent(one.pid)
        one.check_as_before(before)


def refusal(pid: int) -> str:
    with pytest.raises(RefusedError) as caught:
        attach_agent(pid)
    return str(caught.value)


def test_a_stopped_target_is_refused_and_stays_stopped() -> None:
    with target(current(), "naps") as one:
        before = one.traces()
        os.kill(one.pid, signal.SIGSTOP)
        wait_until(lambda: state(one.pid) == "T", "it stops")
        assert f"kill -CONT {one.pid}" in refusal(one.pid)
        assert state(one.pid) == "T"
        os.kill(one.pid, signal.SIGCONT)
        one.check_as_before(before)


def test_a_target_that_is_stopped_just_now_is_refused_and_stays_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    with target(current(), "naps") as one:
        before = one.traces()
        run = inject._run_helper

        def stop_and_run(plan: dict[str, Any], helper: HelperProcess) -> dict[str, Any]:
            os.kill(one.pid, signal.SIGSTOP)
            wait_until(lambda: state(one.pid) == "T", "it stops")
            return run(plan, helper)

        monkeypatch.setattr(inject, "_run_helper", stop_and_run)
        assert "is stopped" in refusal(one.pid)
        wait_until(lambda: state(one.pid) == "T", "it stops again")
        assert tracer(one.pid) == 0
        os.kill(one.pid, signal.SIGCONT)
        one.check_as_before(before)


def test_a_traced_target_is_refused() -> None:
    with target(current(), "naps") as one:
        code = (
            "import sys\nfrom memtui.attach import ptrace\nptrace.seize(int(sys.argv[1]))\n"
            "print('traced', flush=True)\nsys.stdin.read()"
        )
        command = [sys.executable, "-c", code, str(one.pid)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as debugger:
            assert debugger.stdout is not None
            assert debugger.stdout.readline() == b"traced\n"
            assert f"traced by {debugger.pid}" in refusal(one.pid)
            debugger.kill()
        leave(attach_agent(one.pid))


def test_other_refusals() -> None:
    assert "memtui itself" in refusal(os.getpid())
    with subprocess.Popen(["sleep", "60"]) as process:
        wait_until(lambda: state(process.pid) == "S", "it sleeps")
        refusal(process.pid)
        assert process.poll() is None
        process.kill()
        process.wait()
        with pytest.raises(MemtuiError, match=str(process.pid)):
            attach_agent(process.pid)


def test_a_refused_target_leaves_no_helper_behind() -> None:
    with target(current(), "naps") as one:
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
        before = children.read_text()
        os.kill(one.pid, signal.SIGSTOP)
        wait_until(lambda: state(one.pid) == "T", "it stops")
        refusal(one.pid)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inject, "choose", no_way)
            os.kill(one.pid, signal.SIGCONT)
            assert "no way" in refusal(one.pid)
        assert children.read_text() == before


def no_way(*_: Any) -> None:
    raise RefusedError("There is no way.")


FORKING = """
import os, sys, time
print("here", flush=True)
own = sys.getswitchinterval()
while True:
    child = os.fork()
    if not child:
        os._exit(sys.getswitchinterval() != own)
    if os.waitpid(child, 0)[1]:
        sys.exit("a child has another switch interval")
"""


def test_a_child_forked_while_the_agent_arrives_is_not_in_haste(interpreter: Interpreter) -> None:
    with subprocess.Popen(
        [interpreter.path, "-W", "ignore", "-c", FORKING], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"here\n"
        for _ in range(8):
            attached = attach_agent(process.pid)
            ask(attached, "ping")
            leave(attached)
        process.kill()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("what", ["grip", "haste"])
def test_no_child_keeps_another_switch_interval_whenever_it_is_forked(interpreter: Interpreter, what: str) -> None:
    agent = Path(memtui.agent.__file__).parent
    program = PROGRAM.with_name("forked_at_every_step.py")
    command = [interpreter.path, "-W", "ignore", str(program), str(agent), what]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout.split()
    forks, changed, kept = map(int, printed[:3])
    assert forks > changed > 10
    assert kept == 0
    assert printed[3] == "True"


def test_a_target_that_ends_while_it_is_attached_to(monkeypatch: pytest.MonkeyPatch) -> None:
    with target(current(), "naps") as one:
        run = inject._run_helper

        def kill_and_run(plan: dict[str, Any], helper: HelperProcess) -> dict[str, Any]:
            one.process.kill()
            one.process.wait()
            return run(plan, helper)

        monkeypatch.setattr(inject, "_run_helper", kill_and_run)
        with pytest.raises(TargetDiedError):
            attach_agent(one.pid)


def test_a_target_that_execs_while_it_is_attached_to_is_not_touched(
    monkeypatch: pytest.MonkeyPatch, interpreter: Interpreter
) -> None:
    """Also when it executes the same program, at the same address of its code."""
    program = [interpreter.path, str(PROGRAM), "naps"]
    code = (
        f"import os, sys; print('here', flush=True); sys.stdin.readline();os.execv({interpreter.path!r}, {program!r})"
    )
    with subprocess.Popen([interpreter.path, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        run = inject._run_helper

        def exec_and_run(plan: dict[str, Any], helper: HelperProcess) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
            assert b"ready" in process.stdout.readline()
            return run(plan, helper)

        monkeypatch.setattr(inject, "_run_helper", exec_and_run)
        assert "replaced its program" in refusal(process.pid)
        monkeypatch.undo()
        attached = attach_agent(process.pid)
        leave(attached)
        process.kill()


@pytest.mark.parametrize("one", OLDEST_AND_NEWEST, ids=str)
def test_a_target_that_is_just_starting_is_never_harmed(one: Interpreter) -> None:
    code = "import json, time, sys; time.sleep(0.2); sys.exit(5)"
    for attempt in range(20):
        with subprocess.Popen([one.path, "-c", code], stderr=subprocess.PIPE) as process:
            time.sleep(attempt * 0.002)
            try:
                attach_agent(process.pid).link.close()
            except MemtuiError:
                pass  # it may be too early to see a Python, or over already
            assert process.stderr is not None
            assert process.stderr.read() == b""
            assert process.wait() == 5
