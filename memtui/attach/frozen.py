"""A frozen copy of another process: how it is made, and how it is removed without a trace.

A thread of the target is made to call a bare ``clone``. The copy-on-write child is caught before its first
instruction and never runs; it is read, killed, and reaped by the target without the target knowing.

* The child is born without an exit signal: no SIGCHLD, and no wait call of the application sees it (``wait(2)``,
  __WALL and __WCLONE aside).
* It shares the target's table of open files (CLONE_FILES), so whatever the target closes is closed.
* Its stack holds the address of ``_exit``: should memtui die before it holds the child, the child leaves at once.
  From then on EXITKILL ends it, which is set on the child only.
* No collection is half-way: the collector's flag is looked at in the stopped process.
* With ``own_child`` the copy becomes a child of the target's parent, memtui itself, which waits for it: nothing is
  left in the target and no second stop is needed.
"""

from __future__ import annotations

import os
import time

from memtui.attach import borrow, harmless, outcome, ptrace
from memtui.attach.killpoint import checkpoint
from memtui.attach.native import arch
from memtui.attach.standstill import Standstill

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

_CLONE_FILES, _CLONE_PARENT = 0x400, 0x8000
_TRIES = 200
_GENTLE_TRIES = 8
_PAUSES_SECONDS = (0.001, 0.0015, 0.002, 0.0025, 0.003)
_SIGKILL = 9
_WNOHANG = 1
_WAIT_OPTIONS = _WNOHANG | ptrace.WALL
_INT_BYTES = 4
_NOBODY = -1
_ERESTARTNOINTR = 513
"""What ``clone`` returns inside the kernel when a signal is waiting (``include/linux/errno.h``)."""
_OOM_FIRST = b"1000"


class FrozenCopy:
    """One copy of the process that ``plan`` names; see :mod:`memtui.attach.camera` for what is in the plan."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self._plan, self._pid = plan, int(plan["pid"])
        self._footing: Mapping[str, int] = plan["footing"]
        self._mem = os.open(f"/proc/{self._pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
        self._end = time.monotonic() + float(plan["patience_seconds"])
        self.threads = Standstill(self._pid, checkpoint)
        """Of the target."""
        self.pid = 0
        """Of the copy; 0 while there is none."""
        self._inner = 0
        self.unreaped: list[int] = list(plan["leftovers"])
        """Dead children of the target, by the numbers it knows them by."""
        self.held: dict[str, Any] = {}
        """Of a target that was held: ``held_seconds``, and ``undisturbed``, see Standstill."""

    def take(self) -> dict[str, Any]:
        """Make the copy. Returns the answer; its outcome is "taken" when there is one. Raises AttemptError."""
        answer = self._patiently(self._attempt)
        return {
            **answer,
            "stopped_seconds": self.threads.stopped_seconds,
            "longest_stop_seconds": self.threads.longest_seconds,
        }

    def hold(self) -> dict[str, Any]:
        """Stop the target itself, to be read instead of a copy. Returns the answer; raises AttemptError."""
        return self._patiently(self._stop)

    def let_go(self, too_long: bool = False) -> None:
        """Let a target go that is held; when that became ``too_long``, whoever reads it is disturbed."""
        if self.threads.stopped:
            undisturbed = self.threads.undisturbed() and not too_long
            self.held = {"held_seconds": self.threads.release(), "undisturbed": undisturbed}

    def has_lost_target(self) -> bool:
        """Whether the target has ended or executed another program since."""
        try:
            return bool(self.identity() != self._plan["identity"])
        except OSError:
            return True

    def identity(self) -> list[int]:
        """Tells the program in the target from any that it executes later: its start, its code, its stack."""
        with open(f"/proc/{self._pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return [int(fields[19]), int(fields[23]), int(fields[25])]

    def kill(self) -> None:
        """End the copy and collect it as its tracer. What is left of it is a zombie that :meth:`reap` removes."""
        copy, self.pid = self.pid, 0
        if not copy:
            return
        if not self._plan["own_child"]:
            self.unreaped.append(self._inner or self._number_in_target(copy))
        self._inner = 0
        checkpoint("before-kill")
        try:
            os.kill(copy, _SIGKILL)
            checkpoint("copy-killed")
            while os.WIFSTOPPED(os.waitpid(copy, ptrace.WALL)[1]):
                pass
        except (ChildProcessError, ProcessLookupError):
            pass
        checkpoint("copy-collected")

    def reap(self) -> dict[str, Any]:
        """Have the target collect its dead children that are known here.

        Returns the answer: "reaped" with the seconds a thread was stopped, or "left" with a reason.
        """
        if not self.unreaped:
            return {"outcome": "reaped", "stop_seconds": 0.0}
        reason = "no thread is at a harmless point"
        for tries in range(_TRIES):
            if tries:
                time.sleep(_PAUSES_SECONDS[tries % len(_PAUSES_SECONDS)])
            self.threads.settle()
            try:
                ranked = self._candidates()
                if ranked:
                    return {"outcome": "reaped", "stop_seconds": self._reap_in(*ranked[tries % len(ranked)])}
            except (outcome.NotNowError, PermissionError) as error:
                reason = str(error)
            except (outcome.EndedError, FileNotFoundError, ProcessLookupError):
                pass
            except outcome.AttemptError as error:
                return {"outcome": "left", "reason": str(error)}
            if not harmless.alive(self._pid):
                break  # its children went with it
        return {"outcome": "left", "reason": reason}

    def _patiently(self, attempt: Callable[[bool], dict[str, Any]]) -> dict[str, Any]:
        """Try until a moment is good, a number of times. Raises AttemptError when none can be."""
        reasons: dict[str, None] = {}
        for retries in range(_TRIES):
            try:
                self._wait_for_collector()
                return {**attempt(self._plan["gentle"] and retries < _GENTLE_TRIES), "retries": retries}
            except outcome.NotNowError as error:
                reasons[str(error)] = None
            except PermissionError:
                if not harmless.traced(self._pid):
                    raise
                reasons["another tracer holds it"] = None
            if time.monotonic() > self._end:
                break
            time.sleep(_PAUSES_SECONDS[retries % len(_PAUSES_SECONDS)])
        raise outcome.NotNowError("; ".join(reasons))

    def _stop(self, gentle: bool) -> dict[str, Any]:
        try:
            self.threads.stop(gentle)
            self._check_moment()
        except BaseException:
            self.threads.release()
            raise
        self.threads.keep_late()
        return {"outcome": "stopped", "stop_seconds": 0.0, **self._counts()}

    def _attempt(self, gentle: bool) -> dict[str, Any]:
        try:
            try:
                self.threads.stop(gentle)
                self._check_moment()
                counts = self._counts()
                self._clone()
                disturbed = not self.threads.undisturbed()
            finally:
                seconds = self.threads.release()
            self._hold_on()
        except BaseException:
            self.kill()
            raise
        if disturbed:
            self.kill()
            self.reap()
            raise outcome.NotNowError("a thread that was left alone ran meanwhile")
        return {"outcome": "taken", "stop_seconds": seconds, **counts}

    def _counts(self) -> dict[str, int]:
        return {"threads": len(self.threads.stopped), "left_alone": len(self.threads.left_alone)}

    def _check_moment(self) -> None:
        """In the stopped target: it is still the same program, and its collector is at rest."""
        if self.identity() != self._plan["identity"]:
            raise outcome.ReplacedError
        if self._collecting():
            raise outcome.NotNowError("its garbage collector is at work")

    def _collecting(self) -> bool:
        return any(any(os.pread(self._mem, _INT_BYTES, address)) for address in self._plan["collecting"])

    def _wait_for_collector(self) -> None:
        """Long collections are waited for without stopping anything."""
        while self._collecting() and time.monotonic() < self._end:
            time.sleep(_PAUSES_SECONDS[0])

    def _clone(self) -> None:
        """Have the first stopped thread that can do it make the copy. Raises NotNowError, FailedCallError."""
        reason = "no thread is at a harmless point"
        for tid in self.threads.stopped:
            try:
                made = self._clone_in(tid)
            except outcome.NotNowError as error:
                reason = str(error)
                continue
            if made == -_ERESTARTNOINTR:
                raise outcome.NotNowError("a signal came just then")
            if made < 0:
                raise outcome.FailedCallError(f"it may not start another process: {os.strerror(-made)}")
            if not self.pid:
                raise outcome.FailedCallError("no process came of the call")
            self._inner = made
            return
        raise outcome.NotNowError(reason)

    def _clone_in(self, tid: int) -> int:
        flags = _CLONE_FILES | (_CLONE_PARENT if self._plan["own_child"] else 0)
        with borrow.BorrowedThread(self._pid, tid, checkpoint, lent=True) as thread:
            self._set_options(tid, ptrace.O_TRACECLONE)
            thread.take(self._footing["restore_rt"], self._footing["_exit"])
            try:
                instruction = self._footing["syscall_ret"]
                return thread.syscall(instruction, arch.SYS_CLONE, flags, thread.child_stack, 0, 0, 0)
            finally:
                self.pid = thread.child

    def _hold_on(self) -> None:
        """Collect the first stop of the copy; from now on it ends with this process."""
        if not os.WIFSTOPPED(os.waitpid(self.pid, ptrace.WALL)[1]):
            raise outcome.NotNowError("the copy was ended by somebody")
        checkpoint("copy-stopped")
        ptrace.set_options(self.pid, ptrace.O_EXITKILL)
        checkpoint("copy-held")
        try:
            with open(f"/proc/{self.pid}/oom_score_adj", "wb") as file:
                file.write(_OOM_FIRST)  # should memory run out, the copy goes and not the target
        except OSError:
            pass

    def _candidates(self) -> list[tuple[int, int]]:
        """Threads that may be borrowed to reap, the most harmless first; C code is spared where it can be.

        With the rank of each.
        """
        tids = [int(one) for one in os.listdir(f"/proc/{self._pid}/task")]
        ranked = [
            (harmless.rank_for_one_call(self._pid, tid), tid != self._pid, tid)
            for tid in tids
            if tid not in self.threads.late
        ]
        ranked.sort()
        usable = [one for one in ranked if one[0] < harmless.NEVER]
        spared = [one for one in usable if one[0] < harmless.C_CODE_MAY_SEE]
        return [(tid, rank) for rank, _, tid in (spared or usable)]

    def _reap_in(self, tid: int, rank: int) -> float:
        began = time.monotonic()
        with borrow.BorrowedThread(self._pid, tid, checkpoint) as thread:
            if rank != harmless.C_CODE_MAY_SEE:
                thread.wait_on()
            if self.identity() != self._plan["identity"]:
                raise outcome.ReplacedError("the process runs another program now")
            self._set_options(tid, 0)
            thread.take(self._footing["restore_rt"])
            while self.unreaped:
                if self.unreaped[-1] > 0:  # others would stand for any child
                    arguments = (self.unreaped[-1], 0, _WAIT_OPTIONS, 0)
                    thread.syscall(self._footing["syscall_ret"], arch.SYS_WAIT4, *arguments)
                self.unreaped.pop()
        checkpoint("reaped")
        return time.monotonic() - began

    def _number_in_target(self, copy: int) -> int:
        """The number of the copy in the target's namespace of processes; _NOBODY when it is gone."""
        try:
            return _numbers(copy)[len(_numbers(self._pid)) - 1]
        except (OSError, IndexError):
            return _NOBODY

    def _set_options(self, tid: int, more: int) -> None:
        if not self._plan["suspend_seccomp"]:
            ptrace.set_options(tid, ptrace.O_TRACESYSGOOD | more)
            return
        try:
            ptrace.set_options(tid, ptrace.O_TRACESYSGOOD | ptrace.O_SUSPEND_SECCOMP | more)
        except OSError as error:
            raise outcome.FailedCallError(f"its seccomp filter may not be suspended: {error.strerror}") from error


def _numbers(pid: int) -> list[int]:
    """The numbers of a process, one for each namespace of processes that it lives in, the outermost first."""
    with open(f"/proc/{pid}/status", "rb") as file:
        found = [line for line in file if line.startswith(b"NSpid:")]
    return [int(one) for one in found[0].split()[1:]]
