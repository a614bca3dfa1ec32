"""Starting the agent by means of gdb, for processes and machines that memtui's own injector refuses.

Dearer than the injector, and it may wait: the whole process is stopped while gdb looks at it (a tenth of a second to
a second), and Python code is run at one of two points only.

* The main thread was running code: a pending call is queued in it, which the interpreter itself runs between two
  bytecodes. The queue's lock is its only concern, and the interpreter holds that for an instant, when it has such
  calls to make.
* Otherwise a breakpoint waits, with all threads running, until any thread is about to release the GIL: there it
  holds the GIL, is in no allocator, and expects other code to run in between.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from memtui.attach.gdb_machine import Gdb, GdbError
from memtui.errors import RefusedError

COST = (
    "gdb stops the process for 0.1 to 1 s, longer when it is large or the machine is busy, and may wait until one of "
    "its threads is about to release the GIL."
)
"""What is said before it runs."""
PYTHON_FUNCTIONS = ("Py_AddPendingCall", "PyErr_Occurred", "PyEval_SaveThread", "PyRun_SimpleString")
C_FUNCTIONS = ("mmap", "munmap")
MAIN_INTERPRETER = ("PyInterpreterState_Get", "_PyInterpreterState_Get", "PyInterpreterState_Main")
"""Told apart where the interpreter exports how (the first name since 3.9, the second in 3.8)."""

_MAIN_THREAD = "1"
_READ_WRITE, _MAP_PRIVATE_ANONYMOUS = 3, 0x22
_PAGE_BYTES = 4096
_STOP_SECONDS = 15.0
_CALL_SECONDS = 30.0


def attempt(
    pid: int, symbols: Mapping[str, int], source: str, may_queue: bool, wait_seconds: float
) -> dict[str, Any]:
    """One try: ``outcome`` is "queued-by-gdb", "started-by-gdb" or "busy" (with a ``reason``); ``stop_seconds``.

    ``source`` is run by a thread that must not be held up, so it has to start one of its own. ``may_queue`` allows
    the pending call; ``wait_seconds`` is how long to wait at the breakpoint. Raises RefusedError when gdb cannot be
    used on the process.
    """
    with Gdb() as gdb:
        began = time.monotonic()
        try:
            gdb.do(f"-target-attach {pid}")
        except (GdbError, TimeoutError) as error:
            raise RefusedError(f"gdb could not attach to process {pid}.", why=f"It says: {error}") from error
        try:
            target = _Target(gdb, symbols, source.encode() + b"\0", _await_all(gdb, pid))
            if may_queue and _runs_code(pid):
                outcome = target.queue()
                stopped = time.monotonic() - began
            else:
                target.set_breakpoint()
                gdb.do("-exec-continue --all")
                stopped = time.monotonic() - began
                outcome = target.start_at_breakpoint(time.monotonic() + wait_seconds)
        except (GdbError, TimeoutError) as error:
            return {"outcome": "busy", "reason": f"gdb: {error or 'no answer in time'}"}
    return {"outcome": outcome, "stop_seconds": stopped, "reason": "no thread was about to release the GIL"}


def _await_all(gdb: Gdb, pid: int) -> list[str]:
    """Wait until every thread has stopped; returns gdb's numbers of them."""
    end = time.monotonic() + _STOP_SECONDS
    known = gdb.do("-thread-info").count("target-id=")
    stopped: set[str] = set()
    while len(stopped) < known:
        stopped.add(gdb.next_stop(end)[1])
    if _MAIN_THREAD not in stopped:
        raise GdbError(f"the main thread of {pid} did not stop")
    return sorted(stopped)


def _runs_code(pid: int) -> bool:
    """Whether the stopped main thread was running code, and not in a system call."""
    with open(f"/proc/{pid}/task/{pid}/syscall") as file:
        return file.read().split()[0] == "-1"


class _Target:
    """What is done in a process that gdb holds."""

    def __init__(self, gdb: Gdb, symbols: Mapping[str, int], source: bytes, threads: list[str]) -> None:
        self._gdb, self._symbols, self._source, self._threads = gdb, symbols, source, threads
        self._size = -(-len(source) // _PAGE_BYTES) * _PAGE_BYTES
        self._breakpoint = 0

    def queue(self) -> str:
        """Queue the source as a pending call, with the other threads running. The page it is on stays."""
        for thread in self._threads:
            if thread != _MAIN_THREAD:
                self._gdb.do(f"-exec-continue --thread {thread}")
        page = self._new_page(_MAIN_THREAD)
        result = self._call(_MAIN_THREAD, "Py_AddPendingCall", self._symbols["PyRun_SimpleString"], page)
        if result != 0:
            self._call(_MAIN_THREAD, "munmap", page, self._size)
            raise GdbError("the interpreter's queue of pending calls is full")
        return "queued-by-gdb"

    def set_breakpoint(self) -> None:
        """Have threads stop where they are about to release the GIL."""
        self._breakpoint += 1
        self._gdb.do(f"-break-insert *{self._symbols['PyEval_SaveThread']:#x}")

    def start_at_breakpoint(self, end: float) -> str:
        """Run the source in the first thread that stops at the breakpoint where it may be run."""
        while True:
            try:
                reason, thread = self._gdb.next_stop(end)
            except TimeoutError:
                self._give_up()
                return "busy"
            if reason != "breakpoint-hit":
                raise GdbError(f"a thread stopped unexpectedly ({reason or 'no reason given'})")
            self._remove_breakpoint()
            if self._may_run_here(thread):
                page = self._new_page(thread)
                self._call(thread, "PyRun_SimpleString", page)
                self._call(thread, "munmap", page, self._size)
                return "started-by-gdb"
            self.set_breakpoint()
            self._gdb.do(f"-exec-continue --thread {thread}")

    def _give_up(self) -> None:
        """Stop all threads once more: a gdb that goes while its stops are on their way leaves the process stopped."""
        self._gdb.do("-exec-interrupt --all")
        end = time.monotonic() + _STOP_SECONDS
        while 'state="running"' in self._gdb.do("-thread-info"):
            self._gdb.next_stop(end)
        self._remove_breakpoint()

    def _remove_breakpoint(self) -> None:
        self._gdb.do(f"-break-delete {self._breakpoint}")

    def _may_run_here(self, thread: str) -> bool:
        """Not with an exception on its way, nor in a sub-interpreter."""
        if self._call(thread, "PyErr_Occurred"):
            return False
        here = next((name for name in MAIN_INTERPRETER[:2] if name in self._symbols), None)
        main = MAIN_INTERPRETER[2]
        return here is None or main not in self._symbols or self._call(thread, here) == self._call(thread, main)

    def _new_page(self, thread: str) -> int:
        page = self._call(thread, "mmap", 0, self._size, _READ_WRITE, _MAP_PRIVATE_ANONYMOUS, -1, 0)
        if page < 0:
            raise GdbError("memory could not be mapped")
        self._gdb.do(f"-data-write-memory-bytes {page:#x} {self._source.hex()}")
        return page

    def _call(self, thread: str, function: str, *arguments: int) -> int:
        """Call a function of the process; its result as a signed number."""
        result = "int" if function in ("Py_AddPendingCall", "PyRun_SimpleString", "munmap") else "long"
        kinds = ",".join("long" for _ in arguments) or "void"
        given = ",".join(map(str, arguments))
        expression = f"(({result}(*)({kinds})){self._symbols[function]:#x})({given})"
        return self._gdb.value(expression, thread, _CALL_SECONDS)
