"""What a processor has to tell before memtui can borrow a thread on it; two modules implement it.

Registers are passed about as the kernel gives them (``raw``, the set NT_PRSTATUS): only the module knows their names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from memtui.attach.heal import Changes, HealFrame, Read


class Architecture(Protocol):
    """Implemented by the modules :mod:`memtui.attach.x86_64` and :mod:`memtui.attach.aarch64`."""

    FLOAT_SET: int
    """Register set of the FPU and vector registers, as ptrace numbers it."""
    SYS_MMAP: int
    SYS_MUNMAP: int
    SYS_RT_SIGRETURN: int
    SYS_CLONE: int
    SYS_CLONE3: int
    SYS_FUTEX: int
    SYS_RT_SIGTIMEDWAIT: int
    SYS_TGKILL: int
    SYS_WAIT4: int
    FUTEX_WAIT_BITSET: int
    GADGETS: Mapping[str, tuple[bytes, ...]]
    """Pieces of code to be found in the target, and how each may look: ``syscall_ret`` makes a system call and
    returns, ``restore_rt`` makes ``rt_sigreturn``; ``leave_zero`` (optional) drops the pending stub's frame and
    returns 0."""
    INSTRUCTION_ALIGNMENT: int
    HARMLESS_WAITS: Mapping[int, str]
    """Calls in which a thread sleeps outside of any allocator."""
    INTERRUPTED_FOR_C_CODE: Collection[int]
    """Waits that C code may see end with EINTR after a stop (Python itself goes on waiting, PEP 475)."""
    SENDING: Mapping[int, int]
    """Calls that end with a part sent when they are stopped on the way; which argument is the size, -1 for none."""
    RECEIVING: Mapping[int, int]
    """Calls that end with a part received when they are to wait for all; which argument are the flags."""

    def stack_pointer(self, raw: bytes) -> int:
        """Where the thread's stack ends."""
        ...

    def instruction(self, raw: bytes) -> int:
        """What the thread runs next."""
        ...

    def below_red_zone(self, raw: bytes) -> int:
        """First address below the stack that a leaf function may be using."""
        ...

    def interrupted_call(self, raw: bytes, read: Read) -> int | None:
        """Number of the system call the thread was sleeping in when it was stopped; None when it was running."""
        ...

    def sleeps_harmlessly(self, raw: bytes, read: Read) -> bool:
        """True when the stopped thread sleeps in a call outside of any allocator or libc-internal lock."""
        ...

    def made_to_wait_on(self, raw: bytes) -> bytes | None:
        """Registers of a stopped thread with which it does not see that its wait was interrupted (EINTR).

        The wait begins anew, with all of its time: for waits that have only just begun. None when that is not so.
        """
        ...

    def can_restore(self, tid: int) -> bool:
        """Whether a signal frame holds all that the stopped thread has in its registers."""
        ...

    def heal_frame(self, raw: bytes, floats: bytes, mask: int, restore_rt: int, below: int) -> HealFrame:
        """The frame that restores the thread, to be placed under the address ``below``."""
        ...

    def exit_frame(
        self, raw: bytes, floats: bytes, mask: int, restore_rt: int, below: int, exit_function: int
    ) -> HealFrame:
        """A stack, under the address ``below``, on which a new process that returns from its ``clone`` calls
        ``exit_function``, should it ever run."""
        ...

    def to_system_call(
        self, raw: bytes, instruction: int, number: int, arguments: tuple[int, ...], frame: HealFrame
    ) -> Changes:
        """Register sets with which the thread makes one system call at ``instruction``, and none it was making."""
        ...

    def to_call(self, raw: bytes, function: int, arguments: tuple[int, ...], frame: HealFrame) -> Changes:
        """Register sets with which the thread calls ``function`` and returns from it into ``rt_sigreturn``."""
        ...

    def made_again(self, raw: bytes, frame: HealFrame) -> Changes:
        """At the entry of ``rt_sigreturn``: cancels that call, and has it made again when the thread goes on."""
        ...


class StubCode(Protocol):
    """The machine code that starts the agent; see :mod:`memtui.attach.stubs` for what each piece does."""

    def queue_stub(self, symbols: Mapping[str, int], result: int) -> bytes:
        """Calls ``Py_AddPendingCall`` with its own two arguments and stores the result at ``result``."""
        ...

    def pending_stub(self, symbols: Mapping[str, int], thread: int, source: int, leave_zero: int | None) -> bytes:
        """``pthread_create(&handle, NULL, thread, source); return 0``, whatever pthread_create said."""
        ...

    def thread_stub(
        self, symbols: Mapping[str, int], removal: tuple[int, int] | None, then: Sequence[int] = ()
    ) -> bytes:
        """Runs the source with the GIL in a fresh thread, then those at ``then``; removes the page."""
        ...
