"""The short-lived process that does the dangerous millisecond: it borrows one thread and starts the agent.

It is told everything beforehand (a plan on stdin, as ``marshal`` writes it), blocks its own signals, makes one
attempt, writes one answer and exits. If it is killed at any instruction, the borrowed thread restores itself.

What it imports is imported while somebody waits: no json, typing, dataclasses, collections, nor signal
(which loads enum).
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import errno
import gc
import marshal
import os
import sys
import time

from memtui.attach import borrow, harmless, outcome, stubs
from memtui.attach.native import arch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from memtui.attach.heal import HealFrame

KILL_POINT_VARIABLE = "MEMTUI_KILL_HELPER_AT"
"""Test hook: the helper kills itself at the named step, ``name`` or ``name#2`` for the second time it gets there."""

_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4
_MAP_PRIVATE_ANONYMOUS = 0x22
_SCRATCH_BYTES = 128 * 1024
_SLOT_BYTES = 64
_ANY_ADDRESS, _NO_FILE = 0, (1 << 64) - 1
_PENDING_PATIENCE_SECONDS = 0.5
_THREAD_PATIENCE_SECONDS = 3.0
_THREADS_TRIED = 12
_BETTER_MOMENT_SECONDS, _LOOK_SECONDS, _LOOKS = 0.3, 0.00003, 3
_REFUSALS_BELIEVED = 3
_REFUSAL_PAUSE_SECONDS = 0.005


class Attempt:
    """One try to start the agent from one thread of the target."""

    def __init__(self, plan: Mapping[str, Any], tid: int) -> None:
        self._plan, self._tid = plan, tid
        self._pid: int = plan["pid"]
        self._symbols: Mapping[str, int] = plan["symbols"]
        self._source = plan["source"].encode()
        self._instruction: int = plan["gadgets"]["syscall_ret"]
        self._restore_rt: int = plan["gadgets"]["restore_rt"]

    def run(self) -> dict[str, Any]:
        """Borrow the thread, start the agent, give the thread back. Returns the answer."""
        began = time.monotonic()
        with borrow.BorrowedThread(self._pid, self._tid, _checkpoint) as thread:
            self._check_same_process()
            asleep = arch.sleeps_harmlessly(thread.registers, thread.read)
            if not asleep and (self._plan["route"] == "thread" or self._tid != self._pid):
                raise outcome.NotNowError("the thread is not in a harmless wait")
            thread.take(self._restore_rt)
            route = self._start(thread, asleep)
        return {"outcome": route, "tid": self._tid, "stop_seconds": time.monotonic() - began}

    def _check_same_process(self) -> None:
        if program_identity(self._pid) != self._plan["identity"]:
            raise outcome.ReplacedError

    def _start(self, thread: borrow.BorrowedThread, asleep: bool) -> str:
        size = stubs.page_bytes(self._source)
        executable = self._plan["route"] != "no-exec"
        base = self._map(thread, size, _PROT_READ | (_PROT_EXEC if executable else _PROT_WRITE))
        if executable and base in (-errno.EACCES, -errno.EPERM):
            raise outcome.NoExecutableMemoryError
        _require(base, "memory could not be mapped")
        try:
            return self._start_from(thread, base, executable, asleep)
        except (outcome.FailedCallError, outcome.NoExecutableMemoryError):
            thread.syscall(self._instruction, arch.SYS_MUNMAP, base, size)
            raise

    def _start_from(self, thread: borrow.BorrowedThread, base: int, executable: bool, asleep: bool) -> str:
        """Start the agent from the mapping at ``base``, by calls on a stack of memtui's own."""
        scratch = self._map(thread, _SCRATCH_BYTES, _PROT_READ | _PROT_WRITE)
        _require(scratch, "memory could not be mapped")
        try:
            result = scratch + _SCRATCH_BYTES - _SLOT_BYTES
            stack = thread.heal_frame(self._restore_rt, result)
            for address, data in stack.blocks:
                thread.write(address, data)
            if not executable:
                return self._queue_without_code(thread, base, stack)
            page = self._write_page(thread, base, result)
            return (self._begin_thread if asleep else self._queue)(thread, page, stack, result)
        finally:
            if sys.exc_info()[0] is not outcome.UnfinishedCallError:
                thread.syscall(self._instruction, arch.SYS_MUNMAP, scratch, _SCRATCH_BYTES)

    def _write_page(self, thread: borrow.BorrowedThread, base: int, result: int) -> stubs.Page:
        page = stubs.build_page(base, self._source, self._symbols, result, self._plan["gadgets"].get("leave_zero"))
        try:
            thread.write(base, page.content)
        except outcome.FailedCallError as error:
            raise outcome.NoExecutableMemoryError from error  # a kernel that lets nobody write to read-only pages
        return page

    def _map(self, thread: borrow.BorrowedThread, size: int, protection: int) -> int:
        arguments = (_ANY_ADDRESS, size, protection, _MAP_PRIVATE_ANONYMOUS, _NO_FILE, 0)
        return thread.syscall(self._instruction, arch.SYS_MMAP, *arguments)

    def _begin_thread(self, thread: borrow.BorrowedThread, page: stubs.Page, stack: HealFrame, handle: int) -> str:
        arguments = (handle, 0, page.thread, page.source)
        made = thread.call(self._symbols["pthread_create"], arguments, stack, _THREAD_PATIENCE_SECONDS, False)
        cloned = made.get(arch.SYS_CLONE3, -errno.ENOSYS)
        if cloned == -errno.ENOSYS:
            cloned = made.get(arch.SYS_CLONE, -errno.ENOSYS)
        _require(cloned, "the process may not start another thread")
        return "started"

    def _queue(self, thread: borrow.BorrowedThread, page: stubs.Page, stack: HealFrame, result: int) -> str:
        thread.write(result, b"\xff" * 4)
        thread.call(page.queue, (page.pending, page.source), stack, _PENDING_PATIENCE_SECONDS, True)
        if int.from_bytes(thread.read(result, 4), "little", signed=True) != 0:
            raise outcome.FailedCallError("the interpreter's queue of pending calls is full")
        return "queued"

    def _queue_without_code(self, thread: borrow.BorrowedThread, base: int, stack: HealFrame) -> str:
        thread.write(base, self._source + b"\0")
        arguments = (self._symbols["PyRun_SimpleString"], base)
        thread.call(self._symbols["Py_AddPendingCall"], arguments, stack, _PENDING_PATIENCE_SECONDS, True)
        return "queued-without-code"


def _require(result: int, complaint: str) -> None:
    if result < 0:
        raise outcome.FailedCallError(f"{complaint}: {os.strerror(-result)}")


def program_identity(pid: int) -> list[int]:
    """Tells the program in the process from any that it executes later, and from a later process of this number.

    When it was started, where its code and where its stack begin; from ``/proc/PID/stat``.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return [int(fields[19]), int(fields[23]), int(fields[25])]


def attempt(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Try the threads of the target in order of harmlessness; the first that serves is used."""
    reasons: list[str] = []
    try:
        for tid in _candidates(plan):
            try:
                return _attempt_with(plan, tid)
            except outcome.NotNowError as error:
                reasons.append(str(error))
            except PermissionError as error:
                return {"outcome": "refused", "reason": f"the kernel refused ptrace ({error.strerror})"}
            except (outcome.EndedError, FileNotFoundError, ProcessLookupError):
                if not harmless.alive(plan["pid"]):
                    return {"outcome": "ended"}
                reasons.append("the thread ended")
    except FileNotFoundError:
        return {"outcome": "ended"}
    except TimeoutError:
        return {"outcome": "busy", "reason": "the process did not stop in time"}
    except outcome.AttemptError as error:
        return {"outcome": error.outcome, "reason": str(error)}
    return {"outcome": "busy", "reason": "; ".join(dict.fromkeys(reasons)) or "no thread is at a harmless point"}


def _candidates(plan: Mapping[str, Any]) -> list[int]:
    """Threads to be tried. Those that are sending are left out for a moment, unless the plan says otherwise.

    Whenever such a thread sends a little more it looks as if it ran. So the main thread, the only one that may be
    borrowed while it runs, is looked at repeatedly.
    """
    pid, may_cut_short = plan["pid"], plan.get("may_cut_short", False)
    end, looks = time.monotonic() + _BETTER_MOMENT_SECONDS, 0
    while True:
        found = harmless.candidates(pid, plan["route"], _THREADS_TRIED, may_cut_short)
        sending = not may_cut_short and harmless.cuts_short(pid)
        looks = 0 if sending else looks + 1
        sure = found if looks >= _LOOKS else [tid for tid in found if tid != pid]
        if sure or not (found or sending) or time.monotonic() > end:
            return sure
        time.sleep(_LOOK_SECONDS)


def _attempt_with(plan: Mapping[str, Any], tid: int) -> dict[str, Any]:
    """One thread. That ptrace is refused is believed when it happens again: another memtui may just have gone."""
    refusal = PermissionError()
    for _ in range(_REFUSALS_BELIEVED):
        try:
            return Attempt(plan, tid).run()
        except PermissionError as error:
            if _passing(plan["pid"], tid):
                raise outcome.NotNowError("another tracer holds the thread") from error
            refusal = error
        time.sleep(_REFUSAL_PAUSE_SECONDS)
    raise refusal


def _passing(pid: int, tid: int) -> bool:
    """Whether ptrace was refused for a passing reason: the thread is ending, or another memtui holds it just now."""
    try:
        with open(f"/proc/{pid}/task/{tid}/status") as file:
            status = file.read()
        return harmless.thread_state(pid, tid) in "ZX" or "\nTracerPid:\t0\n" not in status
    except OSError:
        return True


_passed: dict[str, int] = {}


def _checkpoint(name: str) -> None:
    if KILL_POINT_VARIABLE not in os.environ:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if os.environ[KILL_POINT_VARIABLE] in (name, f"{name}#{_passed[name]}"):
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Read the plan, make the attempt, print the answer. Without a plan nothing is done."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()) - {signal.SIGCHLD})
    gc.disable()
    plan = sys.stdin.buffer.read()
    if plan:
        sys.stdout.buffer.write(marshal.dumps(attempt(marshal.loads(plan))))
        sys.stdout.flush()
        os._exit(0)  # memtui waits for the end of the answer, and nothing is left to do


if __name__ == "__main__":
    main()
