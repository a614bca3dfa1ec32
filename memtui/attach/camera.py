"""The helper process that takes a photograph of another process and keeps it while it is looked at.

Spoken to through a socket of packets at descriptor 0, in ``marshal``. A plan comes in:

* ``do``: "copy", "stop" (stop the process itself instead), "clean" (only reap ``leftovers``);
* ``pid``, ``identity`` of the program in it, and ``footing``, the addresses of :mod:`memtui.attach.footing`;
* ``collecting``: addresses of ints that are not 0 while a garbage collector works;
* ``gentle``, ``suspend_seccomp``, ``patience_seconds``; ``leftovers``: dead children that earlier helpers left;
* ``longest_seconds``: for how long the copy is kept, or the process held, at most;
* ``own_child``: the copy is to be a child of the target's parent, from which this process descends too.

An answer goes out, with the copy's memory, page map and map opened for reading. The end of the conversation, also by
the death of the other side, is the end of the copy; so is the end of the target, or that it executes another program.

What it imports is imported while somebody waits: see :mod:`memtui.attach.helper`.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import _socket
import gc
import marshal
import os
import select
import struct
import time

from memtui.attach import outcome
from memtui.attach.borrow import BorrowedThread
from memtui.attach.frozen import FrozenCopy
from memtui.attach.killpoint import checkpoint
from memtui.attach.standstill import Standstill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FILES = ("mem", "pagemap", "maps")
"""Of ``/proc/PID``, opened for reading and handed over in this order."""

_MOST_BYTES = 1 << 16
_WATCH_MILLISECONDS = 20
_LATE_MILLISECONDS = 1


def main() -> None:
    """One conversation, one photograph."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()) - {signal.SIGCHLD})
    caller = _socket.socket(fileno=0)
    gc.disable()
    _hurry()
    _rehearse()
    request = caller.recv(_MOST_BYTES)
    if not request:
        return  # the other side thought better of it
    plan = marshal.loads(request)
    if _hung_up(caller):
        return
    copy = None
    try:
        copy = FrozenCopy(plan)
        if plan["own_child"] and not _descends_from(_parent(plan["pid"])):
            raise outcome.FailedCallError("it is no child of memtui")
        answer = _do(copy, plan["do"])
        _send(caller, answer, copy.pid or plan["pid"] if answer["outcome"] in ("taken", "stopped") else 0)
        checkpoint("handed-over")
        _watch(caller, copy, time.monotonic() + plan["longest_seconds"])
        _send(caller, _end(copy), 0)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other side is told
        _send(caller, _explain(error), 0)
    finally:
        if copy is not None:
            copy.kill()
            copy.reap()


def _hung_up(caller: _socket.socket) -> bool:
    poll = select.poll()
    poll.register(caller.fileno(), 0)
    return bool(poll.poll(0))


def _hurry() -> None:
    """While the target stands still it waits for this process, so it is not to be nice, even if its parent is."""
    if os.getpriority(os.PRIO_PROCESS, 0) > 0:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, 0)
        except PermissionError:
            pass  # only root may


def _rehearse() -> None:
    """Stop a process of our own and prepare its thread, while the plan is still made: the second time is quicker."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        os.read(reader, 1)  # until this helper is through with it, or gone
        os._exit(0)
    threads = Standstill(child, lambda name: None)
    try:
        threads.stop(True)
        with BorrowedThread(child, child, lent=True) as thread:
            thread.take(0, 0)
    except (OSError, outcome.AttemptError):
        pass  # the real one will tell
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


def _do(copy: FrozenCopy, do: str) -> dict[str, Any]:
    if do == "clean":
        return {"outcome": "ready"}
    return copy.take() if do == "copy" else copy.hold()


def _end(copy: FrozenCopy) -> dict[str, Any]:
    """Remove the copy, or let the process go; and have what is dead reaped."""
    copy.kill()
    copy.let_go()
    return {**copy.reap(), **copy.held}


def _explain(error: Exception) -> dict[str, Any]:
    """The answer that tells of a failure."""
    if isinstance(error, outcome.AttemptError):
        return {"outcome": error.outcome, "reason": str(error)}
    if isinstance(error, PermissionError):
        return {"outcome": "refused", "reason": f"the kernel refused ptrace ({error.strerror})"}
    if isinstance(error, (FileNotFoundError, ProcessLookupError)):
        return {"outcome": "ended", "reason": ""}
    return {"outcome": "broken", "reason": f"{type(error).__name__}: {error}"}


def _watch(caller: _socket.socket, copy: FrozenCopy, end: float) -> None:
    """Until the other side is through, or dead. Nothing is kept beyond ``end``: the other side may be suspended."""
    poll = select.poll()
    poll.register(caller.fileno(), select.POLLIN)
    while not poll.poll(_LATE_MILLISECONDS if copy.threads.late else _WATCH_MILLISECONDS):
        if copy.threads.stopped:
            copy.threads.keep_late()
        else:
            copy.threads.settle()
        if time.monotonic() > end:
            copy.let_go(too_long=True)
            copy.kill()
        elif copy.pid and copy.has_lost_target():
            copy.kill()
    caller.recv(_MOST_BYTES)


def _send(caller: _socket.socket, answer: dict[str, Any], pid: int) -> None:
    """Send an answer, with the files of process ``pid`` if it is not 0. The other side may be gone."""
    files = [os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in FILES] if pid else []
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(files)}i", *files))] if files else []
    try:
        caller.sendmsg([marshal.dumps({**answer, "pid": pid})], rights)
    except OSError:
        pass
    for one in files:
        os.close(one)


def _descends_from(ancestor: int) -> bool:
    """Whether ``ancestor`` started this process, or one that did. The first of all processes only as its parent."""
    pid = os.getppid()
    while pid > 1 and pid != ancestor:
        pid = _parent(pid)
    return pid == ancestor and (pid > 1 or os.getppid() == pid)


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])
