"""All threads of another process stopped together, for a moment, without a signal.

Threads are seized and interrupted (``ptrace(2)``): when memtui dies they go on by themselves. Some are left alone:

* those in an uninterruptible wait (a parent during ``vfork``, a disk): they do not stop, and touch no memory there;
* those in ``sigtimedwait``: CPython would take its interruption for a signal when its time is over meanwhile;
* with ``gentle`` also those asleep in calls whose interruption C code would see (``EINTR``). One that enters such a
  call in just this moment is made to enter it once more.

Whether one of them ran nevertheless is told by the number of times it was given a processor: :meth:`undisturbed`.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import errno
import os
import time

from memtui.attach import harmless, ptrace
from memtui.attach.borrow import pause_seconds
from memtui.attach.native import arch
from memtui.attach.outcome import EndedError, NotNowError, StoppedByUserError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_STOP_PATIENCE_SECONDS = 0.25
_SPINS = 20


class Standstill:
    """The threads of one process, to be stopped and released any number of times."""

    def __init__(self, pid: int, checkpoint: Callable[[str], None]) -> None:
        self.pid, self._checkpoint = pid, checkpoint
        self.stopped: list[int] = []
        """The stopped threads, those first that are the most harmless to borrow."""
        self.left_alone: dict[int, int | None] = {}
        """Threads that were not stopped, with the number of their time slices."""
        self.late: set[int] = set()
        """Threads that were asked to stop and have not yet: they are let go as soon as they arrive."""
        self._awake: set[int] = set()
        """Threads that were not asleep, just before, in calls whose interruption C code sees."""
        self._began = 0.0
        self.stopped_seconds = 0.0
        """All standstills together."""
        self.longest_seconds = 0.0
        """The longest standstill."""

    def stop(self, gentle: bool) -> None:
        """Stop all threads, also those that are just being started.

        Raises NotNowError, StoppedByUserError, EndedError, PermissionError; some may be stopped then: release them.
        """
        self.left_alone.clear()
        self._awake.clear()
        self._began = 0.0
        seen: set[int] = set()
        self._collect_late(seen)
        fresh = self._ranked(seen, gentle)
        self._began = time.monotonic()
        while fresh:
            asked = [tid for tid in fresh if self._ask(tid)]
            self._checkpoint("asked-to-stop")
            end = time.monotonic() + _STOP_PATIENCE_SECONDS
            for tid in asked:
                self._await(tid, end)
            fresh = self._ranked(seen, gentle)
        self._checkpoint("all-stopped")
        if not self.stopped:
            raise NotNowError("no thread can be stopped at a harmless point")
        if any(harmless.slices(self.pid, tid) is None for tid in self.left_alone):
            raise NotNowError("a thread in an uninterruptible wait cannot be watched")

    def keep_late(self) -> None:
        """For a long standstill: threads that wait uninterruptibly are to stop too, as soon as they can.

        To be called again from time to time, until the release.
        """
        for tid in self.left_alone:
            if tid not in self.late and tid not in self.stopped and self._waits_uninterruptibly(tid):
                self._ask(tid)
        for tid in list(self.late):
            status = self._poll(tid)
            if status is None:
                continue
            try:
                self._arrived(tid, status)
            except StoppedByUserError:
                pass  # it stays stopped when it is released

    def undisturbed(self) -> bool:
        """Whether no thread that was left alone has run since."""
        return all(harmless.slices(self.pid, tid) == before for tid, before in self.left_alone.items())

    def release(self) -> float:
        """Let all threads go; returns for how many seconds they stood still."""
        for tid in self.stopped:
            try:
                ptrace.detach(tid)
            except OSError:
                self.late.add(tid)  # killed, or it never finished a call it was lent for
        self.stopped = []
        self._checkpoint("all-released")
        seconds = time.monotonic() - self._began if self._began else 0.0
        self.stopped_seconds += seconds
        self.longest_seconds = max(self.longest_seconds, seconds)
        self.settle()
        return seconds

    def settle(self) -> None:
        """Let go of threads that stopped late. Call it from time to time while there are any."""
        for tid in list(self.late):
            try:
                found, status = os.waitpid(tid, os.WNOHANG | ptrace.WALL)
            except ChildProcessError:
                self.late.discard(tid)
                continue
            if found:
                self.late.discard(tid)
                if os.WIFSTOPPED(status):
                    _let_go(tid, status)

    def _ranked(self, seen: set[int], gentle: bool) -> list[int]:
        """The threads not seen yet that are to be stopped, the most harmless first."""
        found = []
        for tid in _threads(self.pid):
            if tid in seen:
                continue
            seen.add(tid)
            slices = harmless.slices(self.pid, tid)  # before the rank: should it wake between, it is noticed
            found.append((harmless.rank_for_one_call(self.pid, tid), tid != self.pid, tid, slices))
        found.sort()
        wanted: list[int] = []
        for rank, _, tid, slices in found:
            spare = gentle and rank == harmless.C_CODE_MAY_SEE and slices is not None and bool(wanted or self.stopped)
            if rank == harmless.NEVER or spare:
                self._leave(tid, slices)
                continue
            wanted.append(tid)
            if rank != harmless.C_CODE_MAY_SEE:
                self._awake.add(tid)
        return wanted

    def _leave(self, tid: int, slices: int | None) -> None:
        try:
            if harmless.thread_state(self.pid, tid) in "ZX":
                return
        except OSError:
            return
        self.left_alone[tid] = slices

    def _ask(self, tid: int) -> bool:
        """Seize one thread and ask it to stop; until it does it counts as late. False when it has ended."""
        try:
            ptrace.seize(tid)
            self.late.add(tid)
            ptrace.interrupt(tid)
        except OSError as error:
            if error.errno == errno.ESRCH or self._ending(tid):
                return False
            raise
        return True

    def _ending(self, tid: int) -> bool:
        try:
            return harmless.thread_state(self.pid, tid) in "ZX"
        except OSError:
            return True

    def _await(self, tid: int, end: float) -> None:
        """Wait for the stop of a thread; one that is in an uninterruptible wait by now is left alone."""
        spins = 0
        while True:
            status = self._poll(tid)
            if status is not None:
                self._arrived(tid, status)
                return
            spins += 1
            if spins < _SPINS:
                continue
            slices = harmless.slices(self.pid, tid)
            if self._waits_uninterruptibly(tid):
                self.left_alone[tid] = slices
                return
            if time.monotonic() > end:
                raise NotNowError("a thread did not stop in time")
            time.sleep(pause_seconds(spins))

    def _poll(self, tid: int) -> int | None:
        """The status of a thread that has stopped for us, or ended; None while it has not."""
        while True:
            try:
                found, status = os.waitpid(tid, os.WNOHANG | ptrace.WALL)
            except ChildProcessError:
                return 0
            if not found:
                return None
            if not os.WIFSTOPPED(status) or status >> 16 == ptrace.EVENT_STOP:
                return status
            ptrace.resume(tid, _signal_of(status))  # a signal was on its way: deliver it

    def _arrived(self, tid: int, status: int) -> None:
        self.late.discard(tid)
        if not os.WIFSTOPPED(status):
            if tid == self.pid:
                raise EndedError
            return
        self.stopped.append(tid)
        if os.WSTOPSIG(status) != signal.SIGTRAP:
            raise StoppedByUserError
        if tid in self._awake:
            registers = arch.made_to_wait_on(ptrace.read_registers(tid, ptrace.NT_PRSTATUS))
            if registers is not None:
                ptrace.write_registers(tid, ptrace.NT_PRSTATUS, registers)

    def _collect_late(self, seen: set[int]) -> None:
        """Threads that were asked to stop earlier: those that have, count; the others are left alone."""
        for tid in list(self.late):
            slices = harmless.slices(self.pid, tid)
            status = self._poll(tid)
            seen.add(tid)
            if status is not None:
                self._arrived(tid, status)
            elif self._waits_uninterruptibly(tid):
                self.left_alone[tid] = slices
            else:
                raise NotNowError("a thread did not stop in time")

    def _waits_uninterruptibly(self, tid: int) -> bool:
        try:
            return harmless.thread_state(self.pid, tid) == "D"
        except OSError:
            return False


def _threads(pid: int) -> list[int]:
    """The thread numbers of a process. Raises EndedError."""
    try:
        return [int(one) for one in os.listdir(f"/proc/{pid}/task")]
    except (FileNotFoundError, ProcessLookupError) as error:
        raise EndedError from error


def _let_go(tid: int, status: int) -> None:
    try:
        ptrace.detach(tid, _signal_of(status))
    except OSError:
        pass  # it was killed meanwhile


def _signal_of(status: int) -> int:
    """The signal that a thread stopped for; 0 at the stops that are no signals."""
    number = 0 if status >> 16 else os.WSTOPSIG(status)
    return 0 if number == ptrace.SYSCALL_STOP_SIGNAL else number
