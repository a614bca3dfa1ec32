"""Borrowing one thread of another process for a few calls, and giving it back unchanged.

The one dangerous millisecond of memtui. The rules that make it safe:

* Before the thread is touched, a signal frame with all its registers is written below its stack; the stack pointer of
  everything it is made to do points there, so if memtui dies at any instruction the thread falls into
  ``rt_sigreturn`` and is as it was.
* It is moved by system call stops only, never by single steps or breakpoints: their SIGTRAP would outlive a dying
  tracer and kill the process.
* Its signals are blocked meanwhile (not lost), and put back before it goes on.
* Registers of an interrupted system call are given back inside the kernel's signal path, where it restarts the call.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import os
import time

from memtui.attach import harmless, ptrace
from memtui.attach.native import arch
from memtui.attach.outcome import EndedError, FailedCallError, NotNowError, StoppedByUserError, UnfinishedCallError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from memtui.attach.heal import Changes, HealFrame

_SYNCHRONOUS = (signal.SIGILL, signal.SIGTRAP, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS)
_NEVER_BLOCKED = sum(1 << (int(one) - 1) for one in (*_SYNCHRONOUS, signal.SIGKILL, signal.SIGSTOP))
ALL_BLOCKED = ((1 << 64) - 1) & ~_NEVER_BLOCKED
_STOP_PATIENCE_SECONDS = 0.25
_KERNEL_PATIENCE_SECONDS = 20.0
_SPINS = 20
_PAUSE_SECONDS, _MORE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.00003, 0.000003, 0.0005
_PREEMPTED_PATIENCE_SECONDS = 10.0
"""A call that neither returns nor sleeps is being kept from the processor: it may hold a lock, so it has to go on."""


def pause_seconds(looks: int) -> float:
    """For how long to sleep before looking again whether a thread has stopped, after so many looks.

    It needs a processor to get there, perhaps the one that this process is on: so there are few looks in a row, and
    less and less often.
    """
    return min(_LONGEST_PAUSE_SECONDS, _PAUSE_SECONDS + _MORE_SECONDS * max(0, looks - _SPINS))


class BorrowedThread:
    """One stopped thread. Use as a context manager: leaving it gives the thread back and lets it go.

    ``checkpoint`` is called with a name before and after every step; tests kill the helper there. A thread that is
    ``lent`` was stopped by the caller (EVENT_STOP), who also lets it go: leaving only gives it back.
    """

    def __init__(
        self, pid: int, tid: int, checkpoint: Callable[[str], None] = lambda name: None, lent: bool = False
    ) -> None:
        self._pid, self._tid, self._checkpoint, self._lent = pid, tid, checkpoint, lent
        self._mem = -1
        self._stopped = False
        self._taken = False
        self._at_entry = False
        self._entered = -1
        self._call_cancelled = False
        self._held: list[int] = []
        self._raw = b""
        self._floats = b""
        self._mask = 0
        self._frame: HealFrame | None = None
        self.child = 0
        """The process that a ``clone`` made, stopped before its first instruction; 0 for none (O_TRACECLONE)."""
        self.child_stack = 0
        """For a ``clone``: should nobody trace the new process, this stack has it exit at once."""

    def __enter__(self) -> BorrowedThread:
        self._mem = os.open(f"/proc/{self._pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        try:
            if self._lent:
                self._stopped = True
            else:
                ptrace.seize(self._tid)
                ptrace.interrupt(self._tid)
                self._checkpoint("interrupted")
                self._await_stop()
            self._raw = ptrace.read_registers(self._tid, ptrace.NT_PRSTATUS)
        except BaseException:
            self._let_go()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._taken and self._stopped:
                self._give_back()
        finally:
            self._let_go()

    @property
    def registers(self) -> bytes:
        """The thread's registers as they were when it stopped, as the kernel gives them."""
        return self._raw

    def wait_on(self) -> None:
        """A wait that has only just begun begins anew, rather than that C code sees its interruption."""
        registers = arch.made_to_wait_on(self._raw)
        if registers is not None:
            ptrace.write_registers(self._tid, ptrace.NT_PRSTATUS, registers)
            self._raw = registers

    def write(self, address: int, data: bytes) -> None:
        """Write into the process, whatever the protection of the page. Raises FailedCallError."""
        try:
            written = os.pwrite(self._mem, data, address)
        except OSError as error:
            raise FailedCallError(f"memory of the process could not be written: {error.strerror}") from error
        if written != len(data):
            raise FailedCallError("memory of the process could not be written")

    def read(self, address: int, size: int) -> bytes:
        """Read from the process."""
        return os.pread(self._mem, size, address)

    def take(self, restore_rt: int, exit_function: int = 0) -> None:
        """Prepare the thread for calls: write the healing frame below its stack. Raises NotNowError.

        With the address of ``_exit`` also a stack for a child, see ``child_stack``.
        """
        if harmless.in_restartable_sequence(self._tid, arch.instruction(self._raw), self.read):
            raise NotNowError("the thread is inside a restartable sequence")
        if not arch.can_restore(self._tid):
            raise NotNowError("the thread keeps something in vector registers that memtui cannot give back")
        self._mask = ptrace.read_signal_mask(self._tid)
        self._floats = ptrace.read_registers(self._tid, arch.FLOAT_SET)
        self._frame = self.heal_frame(restore_rt, arch.below_red_zone(self._raw))
        blocks, lowest, top = self._frame.blocks, self._frame.stack_pointer, arch.stack_pointer(self._raw)
        if exit_function:
            leaving = (self._raw, self._floats, self._mask, restore_rt, lowest, exit_function)
            exit_frame = arch.exit_frame(*leaving)
            self.child_stack = lowest = exit_frame.stack_pointer
            blocks = (*blocks, *exit_frame.blocks)
        if not harmless.has_room(self._pid, lowest, top):
            raise NotNowError("the thread's stack has no room")
        try:
            for address, data in blocks:
                self.write(address, data)
        except FailedCallError as error:
            raise NotNowError("the thread's stack has no room") from error
        self._checkpoint("frame-written")

    def heal_frame(self, restore_rt: int, below: int) -> HealFrame:
        """A frame that restores this thread, to be placed under the address ``below``."""
        return arch.heal_frame(self._raw, self._floats, self._mask, restore_rt, below)

    def syscall(self, instruction: int, number: int, *arguments: int) -> int:
        """Make one system call at ``instruction`` (a ``syscall; ret``); returns its result, negative for an error."""
        assert self._frame is not None
        self._set_off(arch.to_system_call(self._raw, instruction, number, arguments, self._frame))
        end = time.monotonic() + _KERNEL_PATIENCE_SECONDS
        while True:
            try:
                kind, _, value = self._next_syscall_stop(end)
            except TimeoutError as error:
                self._taken = False  # it heals by itself once the call returns
                raise UnfinishedCallError("a call in the process did not return in time") from error
            if kind == 2:
                self._checkpoint("syscall-done")
                return value
            self._checkpoint("syscall-entered")

    def call(
        self,
        function: int,
        arguments: tuple[int, ...],
        stack: HealFrame,
        patience_seconds: float,
        can_abort: bool,
    ) -> dict[int, int]:
        """Call ``function`` on the stack under ``stack`` (a heal frame written there); wait for its return.

        Returns the results of the system calls it made, by number (the last of each). After ``patience_seconds``
        raises UnfinishedCallError: with ``can_abort`` a thread that sleeps in the call is given back as it was,
        otherwise it is let go to finish the call and restore itself.
        """
        self._set_off(arch.to_call(self._raw, function, arguments, stack))
        self._checkpoint("call-started")
        results: dict[int, int] = {}
        number = -1
        end = time.monotonic() + patience_seconds
        last = end + _PREEMPTED_PATIENCE_SECONDS if can_abort else end
        while True:
            try:
                kind, stack_pointer, value = self._next_syscall_stop(end)
            except TimeoutError as error:
                if (can_abort and self._stop_asleep()) or time.monotonic() >= last:
                    self._taken = self._stopped  # otherwise it heals by itself once the call returns
                    raise UnfinishedCallError("a call in the process did not return in time") from error
                end = min(last, time.monotonic() + patience_seconds)
                continue
            if kind == 2:
                results[number] = value
            elif value == arch.SYS_RT_SIGRETURN and stack_pointer == stack.context:
                self._checkpoint("call-returned")
                return results
            else:
                number = value

    def _set_off(self, changes: Changes) -> None:
        """Point the thread at what it is to do. At the entry of a system call this cancels that call."""
        first, self._taken = not self._taken, True
        self._call_cancelled, self._entered = self._at_entry, -1
        self._checkpoint("before-registers")
        self._change(changes)
        self._checkpoint("registers-set")
        if first:
            ptrace.write_signal_mask(self._tid, ALL_BLOCKED)
            self._checkpoint("mask-set")

    def _change(self, changes: Changes) -> None:
        for kind, data in changes:
            ptrace.write_registers(self._tid, kind, data)

    def _next_syscall_stop(self, end: float) -> tuple[int, int, int]:
        """Run to the next entry (1) or exit (2) of a system call. Raises TimeoutError."""
        while True:
            if self._stopped:
                ptrace.resume_to_syscall(self._tid)
            self._stopped = self._at_entry = False
            self._entered = -1
            self._checkpoint("running")
            status = self._wait(end)
            self._stopped = True
            event, stop_signal = status >> 16, os.WSTOPSIG(status)
            if event == ptrace.EVENT_CLONE:
                self.child = ptrace.event_message(self._tid)
                self._checkpoint("cloned")
            if event:
                continue
            if stop_signal != ptrace.SYSCALL_STOP_SIGNAL:
                self._keep_signal(stop_signal)
                continue
            info = ptrace.syscall_info(self._tid)
            cancelled, self._call_cancelled = self._call_cancelled, False
            self._at_entry = info[0] == 1
            self._entered = info[2] if self._at_entry else -1
            if not (cancelled and info[0] == 2):
                return info

    def _keep_signal(self, number: int) -> None:
        """A signal that arrived meanwhile is delivered when the thread is let go."""
        if number in _SYNCHRONOUS:
            raise FailedCallError(f"the call failed with signal {number}")
        self._held.append(number)

    def _stop_asleep(self) -> bool:
        """Stop a thread that sleeps in a lock; True when it does. One that merely was not scheduled goes on."""
        if not harmless.waits_for_lock(self._pid, self._tid):
            return False
        ptrace.interrupt(self._tid)
        try:
            self._run_into_stop(_STOP_PATIENCE_SECONDS)
        except TimeoutError:
            return False
        now = ptrace.read_registers(self._tid, ptrace.NT_PRSTATUS)
        return arch.interrupted_call(now, self.read) == arch.SYS_FUTEX

    def _run_into_stop(self, seconds: float) -> None:
        """Run on to the stop inside the kernel's signal path that was asked for. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while True:
            self._stopped = False
            status = self._wait(end)
            self._stopped = True
            if status >> 16 == ptrace.EVENT_STOP:
                return
            if not status >> 16 and os.WSTOPSIG(status) != ptrace.SYSCALL_STOP_SIGNAL:
                self._keep_signal(os.WSTOPSIG(status))
            ptrace.resume(self._tid)

    def _give_back(self) -> None:
        """Stop once more inside the kernel's signal path, then restore mask and registers."""
        assert self._frame is not None
        if self._entered == arch.SYS_RT_SIGRETURN:
            # At the entry of its own sigreturn: cancel that call, yet have it made should memtui die now.
            now = ptrace.read_registers(self._tid, ptrace.NT_PRSTATUS)
            self._change(arch.made_again(now, self._frame))
            self._checkpoint("sigreturn-cancelled")
        ptrace.interrupt(self._tid)
        ptrace.resume(self._tid)
        self._checkpoint("to-signal-path")
        self._run_into_stop(_KERNEL_PATIENCE_SECONDS)
        self._checkpoint("in-signal-path")
        ptrace.write_registers(self._tid, arch.FLOAT_SET, self._floats)
        self._checkpoint("fpu-restored")
        ptrace.write_signal_mask(self._tid, self._mask)
        self._checkpoint("mask-restored")
        ptrace.write_registers(self._tid, ptrace.NT_PRSTATUS, self._raw)
        self._checkpoint("registers-restored")

    def _let_go(self) -> None:
        if self._mem >= 0:
            os.close(self._mem)
            self._mem = -1
        for one in self._held:
            ptrace.queue_signal(
                arch.SYS_TGKILL, self._pid, self._tid, one
            )  # a detach from this kind of stop would lose it
        if self._lent:
            return
        try:
            ptrace.detach(self._tid)
        except OSError:
            return  # it is gone, or never stopped: the kernel detaches when this helper exits
        self._checkpoint("detached")

    def _await_stop(self) -> None:
        end = time.monotonic() + _STOP_PATIENCE_SECONDS
        while True:
            try:
                status = self._wait(end)
            except TimeoutError as error:
                raise NotNowError("the thread is in an uninterruptible wait") from error
            if status >> 16 == ptrace.EVENT_STOP:
                self._stopped = True
                if os.WSTOPSIG(status) != signal.SIGTRAP:
                    raise StoppedByUserError
                return
            # A signal was on its way: deliver it and go on waiting for the stop.
            ptrace.resume(self._tid, os.WSTOPSIG(status) if status >> 16 == 0 else 0)

    def _wait(self, end: float) -> int:
        """The next stop of the thread. Raises EndedError or TimeoutError."""
        spins = 0
        while True:
            try:
                found, status = os.waitpid(self._tid, os.WNOHANG | ptrace.WALL)
            except ChildProcessError as error:
                raise EndedError from error
            if found:
                if not os.WIFSTOPPED(status):
                    raise EndedError
                return status
            spins += 1
            if spins > _SPINS:
                if time.monotonic() > end:
                    raise TimeoutError
                time.sleep(pause_seconds(spins))
