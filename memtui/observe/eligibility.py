"""May this process be watched, may it be attached to, and if not: why, and what to do about it."""

from __future__ import annotations

import os
import time

from memtui.errors import RefusedError, TargetDiedError
from memtui.observe.interpreter import Interpreter, find_interpreter
from memtui.observe.permission import Standing, explain, may_trace_all, ptrace_scope
from memtui.observe.process import ProcessReader

_PF_KTHREAD = 0x00200000
_TRACED_PATIENCE_SECONDS = 0.1
_PAUSE_SECONDS = 0.005


def check_observable(pid: int) -> Interpreter:
    """The CPython in ``pid``, when its memory may be read; changes nothing and stops nothing.

    Raises :class:`RefusedError` that says why not.
    """
    check_process(pid)
    check_readable(pid)
    return find_interpreter(pid)


def check_attachable(pid: int) -> Interpreter:
    """The CPython in ``pid``, when nothing is known that would keep the agent out; changes nothing.

    Raises :class:`RefusedError` that says why not.
    """
    check_other(pid)
    interpreter = check_observable(pid)
    for check in CHECKS_OF_THE_MOMENT:
        check(pid)
    return interpreter


def check_other(pid: int) -> None:
    """Raise :class:`RefusedError` when ``pid`` is memtui itself."""
    if pid == os.getpid():
        raise RefusedError(
            f"Process {pid} is memtui itself.", next_step="Give the pid of another process; to find one: memtui ps"
        )


def check_process(pid: int) -> None:
    """Raise :class:`RefusedError` unless ``pid`` is a process, in user space, that has not ended."""
    try:
        with ProcessReader(pid) as process:
            status, state, flags = process.status(), process.state(), process.flags()
    except TargetDiedError as error:
        raise _no_process(pid) from error
    if int(status["Tgid"]) != pid:
        owner = status["Tgid"]
        raise RefusedError(f"{pid} is a thread of process {owner}.", next_step=f"Use that pid: {owner}.")
    if flags & _PF_KTHREAD:
        raise RefusedError(f"Process {pid} ({status['Name']}) is a thread of the kernel.", why="It has no memory.")
    if state in ("Z", "X"):
        raise RefusedError(
            f"Process {pid} has ended.", why=f"Only its exit code is left for its parent ({status['PPid']}) to fetch."
        )


def check_readable(pid: int) -> None:
    """Raise :class:`RefusedError`, with the reason, unless the memory of ``pid`` may really be read."""
    try:
        os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError as error:
        raise _not_permitted(pid) from error
    except (FileNotFoundError, ProcessLookupError) as error:
        raise _no_process(pid) from error


def _no_process(pid: int) -> RefusedError:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return RefusedError(
            f"Process {pid} is hidden from you.",
            why="It belongs to another user, and /proc is mounted so that only its owner sees it.",
            next_step="Run memtui as its owner or with sudo.",
        )
    except (ProcessLookupError, OverflowError):
        pass
    return RefusedError(f"There is no process {pid}.", next_step="To find one: memtui ps")


def _not_permitted(pid: int) -> RefusedError:
    try:
        with ProcessReader(pid) as process:
            owners = [int(uid) for uid in process.status()["Uid"].split()]
        memory_owner = os.stat(f"/proc/{pid}/mem").st_uid
    except (TargetDiedError, OSError):
        return _no_process(pid)
    return explain(Standing(pid, owners, memory_owner, os.geteuid(), ptrace_scope(), may_trace_all()))


def check_untraced(pid: int) -> None:
    """Refuse a process that a debugger holds; another memtui coming in holds it for a few milliseconds only."""
    end = time.monotonic() + _TRACED_PATIENCE_SECONDS
    with ProcessReader(pid) as process:
        while tracer := int(process.status()["TracerPid"]):
            if time.monotonic() > end:
                raise RefusedError(
                    f"Process {pid} is being traced by {tracer} ({_name(tracer)}).",
                    next_step=f"End that first: `kill -INT {tracer}` for strace, `detach` in gdb.",
                )
            time.sleep(_PAUSE_SECONDS)


def check_not_stopped(pid: int) -> None:
    """Refuse a process that is stopped by job control."""
    with ProcessReader(pid) as process:
        state = process.state()
    if state == "T":
        raise RefusedError(f"Process {pid} is stopped.", next_step=f"Continue it first: kill -CONT {pid}.")


def check_no_shadow_stack(pid: int) -> None:
    """Refuse a process whose return addresses the kernel watches over."""
    with ProcessReader(pid) as process:
        features = process.status().get("x86_Thread_features", "")
    if "shstk" in features.split():
        raise RefusedError(
            f"Process {pid} runs with a shadow stack.",
            why="The kernel would end it when a thread of it is borrowed to bring the agent in.",
            next_step="Watch it from outside with --observe-only, or start it with `memtui run`.",
        )


CHECKS_OF_THE_MOMENT = (check_untraced, check_not_stopped, check_no_shadow_stack)
"""What may be in the way of the agent in a process that can be observed; each raises :class:`RefusedError`."""


def _name(pid: int) -> str:
    try:
        with ProcessReader(pid) as process:
            return process.status()["Name"]
    except TargetDiedError:
        return "ended"
