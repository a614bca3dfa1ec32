"""A LiveSession on real programs: what it shows of them, what it survives, what it leaves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attach_driver import anonymous_code, tasks, wait_until
from interpreters import Interpreter, current, interpreters

from memtui.analysis.diff import diff_snapshots
from memtui.channel import fetch
from memtui.errors import RefusedError
from memtui.model import command as c
from memtui.model.allocation import Allocation, GroupBy
from memtui.model.state import EventKind, State
from memtui.model.target import Rung
from memtui.session.live import LiveOptions, LiveSession

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "leak_target.py"
LEAKING_LINE = next(
    number
    for number, line in enumerate(PROGRAM.read_text("utf-8").splitlines(), 1)
    if line.endswith("# known line: leak")
)
VERSIONS = [one for one in interpreters() if one.minor in ((3, 8), (3, 11), (3, 13)) and "system" not in str(one)]
several = pytest.mark.parametrize("one", VERSIONS, ids=str)


class Leaking:
    """The target program, and any number of sessions on it."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.process = subprocess.Popen(
            [interpreter.path, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self.process.pid
        self.sessions: list[LiveSession] = []
        self.read("ready")

    def read(self, wanted: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline().decode() == f"{wanted}\n"

    def tell(self, word: str, answer: str = "done") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()
        if answer:
            self.read(answer)

    def watch(self, **options: object) -> LiveSession:
        session = LiveSession(LiveOptions(pid=self.pid, interval_seconds=0.1, **options))  # type: ignore[arg-type]
        session.start()
        self.sessions.append(session)
        return session

    def close(self) -> None:
        for session in self.sessions:
            session.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def leaking() -> Iterator[Callable[[Interpreter], Leaking]]:
    """Starts targets and ends them after the test."""
    started: list[Leaking] = []

    def start(interpreter: Interpreter) -> Leaking:
        started.append(Leaking(interpreter))
        return started[-1]

    yield start
    for one in started:
        one.close()


Start = Callable[[Interpreter], Leaking]


def shows(session: LiveSession, condition: Callable[[State], object], what: str) -> State:
    """The first State for which the condition holds."""
    found: list[State] = []

    def look() -> bool:
        state = session.state
        if condition(state):
            found.append(state)
        return bool(found)

    try:
        wait_until(look, what, 0.01)
    except AssertionError:
        raise AssertionError(f"{what}; events: {[event.text for event in session.state.events]}") from None
    return found[0]


def events(state: State, kind: EventKind) -> list[str]:
    return [one.text for one in state.events if one.kind is kind]


@several
def test_from_outside_first(one: Interpreter, leaking: Start) -> None:
    target = leaking(one)
    session = target.watch(observe_only=True)
    state = session.state
    assert state.rung is Rung.OBSERVE
    assert state.note == ""
    assert state.target.pid == target.pid
    assert state.target.python == ".".join(map(str, one.version))
    assert str(PROGRAM) in state.target.command
    assert not state.target.launched
    state = shows(session, lambda state: state.series.looks > 3, "it ticks")
    assert state.gc is not None
    assert state.gc.generations[0].threshold in (700, 2000)
    assert state.pauses is state.tracing is state.allocations is None
    for command in (c.ClimbToAgent(), c.StartTracing(), c.CollectGarbage()):
        session.request(command)
    shows(session, lambda state: len(events(state, EventKind.WARNING)) >= 3, "it says that it only observes")
    assert len(tasks(target.pid)) == 1
    assert session.state.rung is Rung.OBSERVE


@several
def test_rss_is_what_the_kernel_says(one: Interpreter, leaking: Start) -> None:
    target = leaking(one)
    session = target.watch(observe_only=True)
    seen = shows(session, lambda state: state.series.last, "a first look").series.last
    rollup = Path(f"/proc/{target.pid}/smaps_rollup").read_text("ascii")
    rss_bytes = 1024 * int(rollup.split("Rss:")[1].split()[0])
    assert seen is not None
    assert abs(seen.rss_bytes - rss_bytes) <= 0.05 * rss_bytes


@several
def test_tracing_snapshots_and_their_difference(one: Interpreter, leaking: Start) -> None:
    target = leaking(one)
    session = target.watch(trace_frames=1)
    state = shows(session, lambda state: state.allocations and state.allocations.rows, "allocations")
    assert state.rung is Rung.AGENT
    assert state.tracing is not None
    assert state.tracing.on
    assert events(state, EventKind.TRACE_ON)
    state = shows(session, lambda state: state.allocations and leaking_row(state), "the line that leaks")
    row = leaking_row(state)
    assert row is not None
    assert row.source is not None
    assert "kept.append" in row.source

    session.request(c.TakeSnapshot())
    first = shows(session, lambda state: len(state.snapshots) == 1, "a snapshot").snapshots[0]
    until = time.monotonic() + 0.5
    shows(session, lambda state: time.monotonic() > until, "some more leaks")
    session.request(c.TakeSnapshot())
    second = shows(session, lambda state: len(state.snapshots) == 2, "another").snapshots[1]
    assert (first.number, second.number) == (1, 2)
    by_line = diff_snapshots(first, second, "line").rows[0]
    assert f"{PROGRAM.name}:{LEAKING_LINE}" in by_line.label
    by_type = {row.label: row for row in diff_snapshots(first, second, "type").rows}
    assert any("Node" in key for key in list(by_type)[:3])

    session.request(c.GroupAllocations(GroupBy.FILE))
    state = shows(session, lambda state: state.allocations and state.allocations.by is GroupBy.FILE, "files")
    assert state.allocations is not None
    assert str(PROGRAM) in [row.place.file for row in state.allocations.rows]
    session.request(c.StopTracing())
    shows(session, lambda state: state.tracing and not state.tracing.on, "tracing ends")


def leaking_row(state: State) -> Allocation | None:
    assert state.allocations is not None
    place = str(PROGRAM), LEAKING_LINE
    return next((row for row in state.allocations.rows if (row.place.file, row.place.line) == place), None)


@several
def test_collecting_garbage_says_what_was_freed(one: Interpreter, leaking: Start) -> None:
    target = leaking(one)
    target.tell("cycles")
    session = target.watch()
    session.request(c.CollectGarbage())
    state = shows(session, lambda state: events(state, EventKind.GC), "a collection")
    (text,) = events(state, EventKind.GC)
    freed = int(text.split("freed ")[1].split()[0].replace(",", ""))
    assert freed >= 5000
    assert state.gc is not None
    assert not state.gc.enabled


@several
def test_close_leaves_nothing(one: Interpreter, leaking: Start) -> None:
    target = leaking(one)
    fds = sorted(os.listdir(f"/proc/{target.pid}/fd"))
    own = len(os.listdir("/proc/self/fd"))
    session = target.watch(trace_frames=2)
    shows(session, lambda state: state.tracing and state.tracing.on, "tracing")
    assert len(tasks(target.pid)) == 2
    session.close()
    wait_until(lambda: len(tasks(target.pid)) == 1 and not anonymous_code(target.pid), "the agent ends")
    assert sorted(os.listdir(f"/proc/{target.pid}/fd")) == fds
    again = target.watch(agent_at_once=True)
    state = shows(again, lambda state: state.tracing, "the agent once more")
    assert state.tracing is not None
    assert not state.tracing.on
    assert not state.tracing.found_on
    again.close()
    target.tell("cycles")
    assert len(os.listdir("/proc/self/fd")) == own


def test_two_sessions_on_one_target(leaking: Start) -> None:
    target = leaking(current())
    first, second = target.watch(trace_frames=1), target.watch(agent_at_once=True)
    shows(first, lambda state: state.tracing and state.tracing.on, "the first traces")
    state = shows(second, lambda state: state.tracing and state.tracing.on, "the second sees that")
    assert len(tasks(target.pid)) == 2
    first.close()
    shows(second, lambda state: state.tracing and not state.tracing.on, "the tracing goes with the first")
    assert second.state.rung is Rung.AGENT
    second.request(c.TakeSnapshot())
    assert shows(second, lambda state: state.snapshots, "a snapshot").snapshots[0].objects > 1000
    second.close()
    wait_until(lambda: len(tasks(target.pid)) == 1, "the agent ends")
    assert state.ending is None


@pytest.mark.parametrize("with_agent", [True, False], ids=["with agent", "from outside"])
@pytest.mark.parametrize("how", ["killed", "exits"])
def test_the_end_of_the_target(how: str, with_agent: bool, leaking: Start) -> None:
    target = leaking(current())
    session = target.watch(agent_at_once=with_agent)
    if with_agent:
        shows(session, lambda state: state.rung is Rung.AGENT, "the agent")
    looks = shows(session, lambda state: state.series.looks > 2, "some looks").series.looks
    if how == "killed":
        target.process.kill()
    else:
        target.tell("exit", answer="")
    target.process.wait()
    state = shows(session, lambda state: state.ending, "its end")
    assert state.ending is not None
    assert str(target.pid) in state.ending.text
    assert state.series.looks >= looks
    assert events(state, EventKind.ENDED) == [state.ending.text]
    assert events(state, EventKind.ERROR) == []
    session.request(c.TakeSnapshot())
    shows(session, lambda state: "has ended" in state.events[-1].text, "it says that it is too late")
    session.close()


@pytest.mark.parametrize("program", ["python", "other"])
def test_another_program_in_the_process(program: str, leaking: Start) -> None:
    target = leaking(current())
    session = target.watch(agent_at_once=True)
    shows(session, lambda state: state.rung is Rung.AGENT, "the agent")
    target.tell(program, answer="new" if program == "python" else "")
    state = shows(session, lambda state: any("exec" in one.text for one in state.events), "the exec")
    assert state.ending is None
    if program == "python":
        state = shows(session, lambda state: state.rung is Rung.OBSERVE and state.gc, "the new Python from outside")
        assert str(PROGRAM) not in state.target.command
        session.request(c.StartTracing())
        shows(session, lambda state: state.tracing and state.tracing.on, "the agent in the new program")
    else:
        state = shows(session, lambda state: "sleep" in state.target.command, "the new program")
        shows(session, lambda state: state.rung is Rung.PROCESS and state.note, "that it is no Python")
        looks = session.state.series.looks
        shows(session, lambda state: state.series.looks > looks + 1, "its memory, further on")
        session.request(c.StartTracing())
        shows(session, lambda state: events(state, EventKind.ERROR), "why no agent goes in")
    target.process.kill()
    shows(session, lambda state: state.ending, "its end")


def test_children_are_told_of(leaking: Start) -> None:
    target = leaking(current())
    session = target.watch(agent_at_once=True)
    shows(session, lambda state: state.rung is Rung.AGENT, "the agent")
    target.tell("fork")
    child = Path(f"/proc/{target.pid}/task/{target.pid}/children").read_text().split()[0]
    shows(session, lambda state: any(child in one.text for one in state.events), "the child")
    session.request(c.TakeSnapshot())
    shows(session, lambda state: state.snapshots, "a snapshot of the parent")
    session.close()
    wait_until(lambda: len(tasks(target.pid)) == 1, "the agent ends although a child has its files")
    target.tell("reap")


def test_a_connection_that_is_cut_is_told_and_can_be_made_anew(leaking: Start) -> None:
    target = leaking(current())
    session = target.watch(agent_at_once=True)
    shows(session, lambda state: state.rung is Rung.AGENT, "the agent")
    cut_connections(target.pid)
    state = shows(session, lambda state: state.rung is Rung.OBSERVE, "the rung below")
    assert "cut" in state.events[-1].text
    assert state.ending is None
    session.request(c.StartTracing())
    shows(session, lambda state: state.tracing and state.tracing.on, "the agent once more")


def cut_connections(pid: int) -> None:
    """Shut down the one socket of another process: what an over-eager program may do with files it does not know."""
    for name in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
            with socket.socket(fileno=fetch._copy(pid, int(name), "not fetched")) as copied:
                copied.shutdown(socket.SHUT_RDWR)
            return


def test_closing_while_the_agent_is_on_its_way(leaking: Start) -> None:
    target = leaking(current())
    for _ in range(5):
        session = target.watch()
        session.request(c.StartTracing())
        session.close()
    wait_until(lambda: len(tasks(target.pid)) == 1, "whatever came in goes")
    target.tell("cycles")


def test_a_stopped_target_is_watched_and_refused_the_agent(leaking: Start) -> None:
    target = leaking(current())
    os.kill(target.pid, signal.SIGSTOP)
    session = target.watch(agent_at_once=True)
    shows(session, lambda state: "stopped" in state.note, "why there is no agent")
    assert session.state.rung is Rung.OBSERVE
    os.kill(target.pid, signal.SIGCONT)
    session.request(c.ClimbToAgent())
    shows(session, lambda state: state.rung is Rung.AGENT, "the agent")


def test_what_cannot_be_watched_is_refused_at_once() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        for pid in (process.pid, 2**22 + 1):
            session = LiveSession(LiveOptions(pid=pid))
            with pytest.raises(RefusedError):
                session.start()
        process.kill()
