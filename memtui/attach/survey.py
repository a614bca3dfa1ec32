"""What attaching would meet, found out without touching the process: doctor's part of the facts."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, replace
from typing import Any

from memtui.attach import harmless, ptrace
from memtui.attach.remote_exec import SINCE
from memtui.attach.room import check_room
from memtui.attach.seccomp import may_read_filters, mode
from memtui.attach.ways import choose
from memtui.channel.fetch import check_supported
from memtui.channel.meeting import can_fetch
from memtui.errors import RefusedError
from memtui.model.diagnosis import Obstacle
from memtui.observe.access import reading
from memtui.observe.diagnosis import Facts, obstacle
from memtui.observe.machine import Machine, check_machine
from memtui.observe.permission import about_scope
from memtui.observe.process import ProcessReader

_RUNNING = 1
"""The rank of a main thread that is not known to sleep."""


@dataclass(frozen=True, slots=True)
class Entry:
    """How the agent would come in now. ``thread`` would be borrowed: None when no thread is at a harmless point."""

    thread: int | None
    sleeps: bool
    fetched: bool
    """The channel is a socket that memtui fetches, else one that it listens at."""
    filtered: bool = False
    """A filter (seccomp) is over its system calls, which is not read now because that stops a thread."""
    filter_readable: bool = False
    """memtui may read that filter."""


def survey(facts: Facts, machine: Machine) -> Facts:
    """``facts`` with what only attaching needs: functions the process exports, this machine, the right to trace."""
    if facts.interpreter is None:
        return facts
    found = [obstacle(check_machine, machine)] if facts.interpreter.minor < SINCE else []
    if not any(found):
        with ProcessReader(facts.pid) as process:
            identity = process.identity()
        way = obstacle(choose, facts.interpreter, identity, "auto", False, _not_run)
        found = [way, obstacle(check_room, facts.pid), tracing_refused(machine)]
    return replace(facts, entry=tuple(one for one in found if one is not None))


def _not_run(plan: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError("a way that is only looked at is not gone")


def find_entry(pid: int) -> Entry:
    """The thread that the first attempt would borrow, and the kind of channel. Raises TargetDiedError."""
    with reading(pid, "threads"):
        threads = harmless.candidates(pid, "auto", 1, may_cut_short=True)
    thread = threads[0] if threads else None
    sleeps = thread is not None and harmless.rank(pid, thread) != _RUNNING
    return Entry(thread, sleeps, can_fetch(), mode(pid) > 0, may_read_filters())


def tracing_refused(machine: Machine) -> Obstacle | None:
    """Whether ptrace itself is refused to memtui: tried on a child of its own that only waits."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(writer)
            os.read(reader, 1)  # until memtui is through with it, or gone
        finally:
            os._exit(0)
    try:
        ptrace.seize(child)
    except OSError as error:
        return explain_refusal(str(error.strerror), machine)
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reader)
        os.close(writer)
        os.waitpid(child, 0)
    return None


def explain_refusal(error: str, machine: Machine) -> Obstacle:
    """Why memtui may not trace its own child, which needs no right but that to trace at all."""
    what = f"The kernel refuses ptrace to memtui: {error}."
    if machine.ptrace_scope > 1:
        return Obstacle(what, *about_scope(machine.ptrace_scope, "PID"))
    if machine.seccomp:
        return Obstacle(
            what,
            "A filter over memtui (seccomp, as in containers) forbids it.",
            "Allow it: docker run --cap-add=SYS_PTRACE, or --security-opt seccomp=unconfined on old kernels.",
        )
    return Obstacle(what, "A security policy of this machine forbids it.", "Ask whoever administers it.")


def fetching_refused() -> str:
    """Why sockets cannot be fetched on this machine; empty when they can."""
    try:
        check_supported()
    except RefusedError as error:
        return error.why
    return ""
