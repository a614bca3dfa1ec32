"""The short-lived process that does the dangerous millisecond: it borrows one thread and starts the agent.

It is told everything beforehand (one JSON plan on stdin), blocks its own signals, makes one attempt, prints one JSON
answer and exits. If it is killed at any instruction, the borrowed thread restores itself.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from memtui.attach import borrow, stubs
from memtui.attach import x86_64 as arch

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
            asleep = arch.sleeps_harmlessly(thread.registers)
            if not asleep and (self._plan["route"] == "thread" or self._tid != self._pid):
                raise borrow.NotNowError("the thread is not in a harmless wait")
            thread.take(self._restore_rt)
            route = self._start(thread, asleep)
        return {"outcome": route, "tid": self._tid, "stop_seconds": time.monotonic() - began}

    def _check_same_process(self) -> None:
        if _start_code(self._pid) != self._plan["start_code"]:
            raise borrow.NotNowError("the process has replaced its program (exec)")

    def _start(self, thread: borrow.BorrowedThread, asleep: bool) -> str:
        size = stubs.page_bytes(self._source)
        executable = self._plan["route"] != "no-exec"
        base = self._map(thread, size, _PROT_READ | _PROT_EXEC) if executable else -errno.EACCES
        if base in (-errno.EACCES, -errno.EPERM):
            executable = False
            base = self._map(thread, size, _PROT_READ | _PROT_WRITE)
        _require(base, "memory could not be mapped")
        scratch = self._map(thread, _SCRATCH_BYTES, _PROT_READ | _PROT_WRITE)
        _require(scratch, "memory could not be mapped")
        result = scratch + _SCRATCH_BYTES - _SLOT_BYTES
        stack = thread.heal_frame(self._restore_rt, result)
        for address, data in stack.blocks:
            thread.write(address, data)
        try:
            if not executable:
                return self._queue_without_code(thread, base, stack)
            page = stubs.build_page(
                base, self._source, self._symbols, result, self._plan["gadgets"].get("zero_drop_ret")
            )
            thread.write(base, page.content)
            return (
                self._begin_thread(thread, page, stack, result)
                if asleep
                else self._queue(thread, page, stack, result)
            )
        except borrow.FailedCallError:
            thread.syscall(self._instruction, arch.SYS_MUNMAP, base, size)
            raise
        finally:
            if sys.exc_info()[0] is not borrow.UnfinishedCallError:
                thread.syscall(self._instruction, arch.SYS_MUNMAP, scratch, _SCRATCH_BYTES)

    def _map(self, thread: borrow.BorrowedThread, size: int, protection: int) -> int:
        arguments = (_ANY_ADDRESS, size, protection, _MAP_PRIVATE_ANONYMOUS, _NO_FILE, 0)
        return thread.syscall(self._instruction, arch.SYS_MMAP, *arguments)

    def _begin_thread(
        self, thread: borrow.BorrowedThread, page: stubs.Page, stack: arch.HealFrame, handle: int
    ) -> str:
        arguments = (handle, 0, page.thread, page.source)
        made = thread.call(self._symbols["pthread_create"], arguments, stack, _THREAD_PATIENCE_SECONDS, False)
        cloned = made.get(arch.SYS_CLONE3, -errno.ENOSYS)
        if cloned == -errno.ENOSYS:
            cloned = made.get(arch.SYS_CLONE, -errno.ENOSYS)
        _require(cloned, "the process may not start another thread")
        return "started"

    def _queue(self, thread: borrow.BorrowedThread, page: stubs.Page, stack: arch.HealFrame, result: int) -> str:
        thread.write(result, b"\xff" * 4)
        thread.call(page.queue, (page.pending, page.source), stack, _PENDING_PATIENCE_SECONDS, True)
        if int.from_bytes(thread.read(result, 4), "little", signed=True) != 0:
            raise borrow.FailedCallError("the interpreter's queue of pending calls is full")
        return "queued"

    def _queue_without_code(self, thread: borrow.BorrowedThread, base: int, stack: arch.HealFrame) -> str:
        thread.write(base, self._source + b"\0")
        arguments = (self._symbols["PyRun_SimpleString"], base)
        thread.call(self._symbols["Py_AddPendingCall"], arguments, stack, _PENDING_PATIENCE_SECONDS, True)
        return "queued-without-code"


def _require(result: int, complaint: str) -> None:
    if result < 0:
        raise borrow.FailedCallError(f"{complaint}: {os.strerror(-result)}")


def _start_code(pid: int) -> int:
    """Start of the program's code, from ``/proc/PID/stat``: changes when the process executes another program."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[23])


def _rank(pid: int, tid: int) -> int:
    """Which thread to borrow first: 0 asleep where the kernel restarts the call, 1 the running main thread,
    2 asleep where C code may see EINTR, 9 none of them."""
    try:
        with open(f"/proc/{pid}/task/{tid}/syscall") as file:
            fields = file.read().split()
    except OSError:
        return 9
    if not fields or fields[0] in ("running", "-1"):
        return 1 if tid == pid else 9
    number = int(fields[0])
    if number == arch.SYS_FUTEX and int(fields[2], 16) & 0x7F != arch.FUTEX_WAIT_BITSET:
        return 1 if tid == pid else 9
    if number not in arch.HARMLESS_WAITS:
        return 1 if tid == pid else 9
    return 2 if number in arch.INTERRUPTED_FOR_C_CODE else 0


def _candidates(plan: Mapping[str, Any]) -> list[int]:
    pid: int = plan["pid"]
    ranked = sorted((_rank(pid, tid), tid != pid, tid) for tid in map(int, os.listdir(f"/proc/{pid}/task")))
    wanted = [tid for rank, _, tid in ranked if rank < (9 if plan["route"] != "thread" else 3)]
    if plan["route"] == "no-exec":
        wanted = [pid]
    return wanted[:_THREADS_TRIED]


def attempt(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Try the threads of the target in order of harmlessness; the first that serves is used."""
    reasons: list[str] = []
    try:
        for tid in _candidates(plan):
            try:
                return Attempt(plan, tid).run()
            except borrow.NotNowError as error:
                reasons.append(str(error))
            except PermissionError as error:
                return {"outcome": "refused", "reason": f"the kernel refused ptrace ({error.strerror})"}
    except (borrow.EndedError, FileNotFoundError, ProcessLookupError):
        return {"outcome": "ended"}
    except borrow.StoppedByUserError:
        return {"outcome": "stopped"}
    except borrow.UnfinishedCallError:
        return {"outcome": "busy", "reason": "a call in the process did not return in time"}
    except borrow.FailedCallError as error:
        return {"outcome": "failed", "reason": str(error)}
    return {"outcome": "busy", "reason": "; ".join(dict.fromkeys(reasons)) or "no thread is at a harmless point"}


_passed: Counter[str] = Counter()


def _checkpoint(name: str) -> None:
    if KILL_POINT_VARIABLE not in os.environ:
        return
    _passed[name] += 1
    if os.environ[KILL_POINT_VARIABLE] in (name, f"{name}#{_passed[name]}"):
        os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Read the plan, make the attempt, print the answer."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()) - {signal.SIGCHLD})
    plan = json.loads(sys.stdin.readline())
    gc.disable()
    answer = attempt(plan)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
