"""What is particular to Linux on x86-64: registers, the self-healing frame, and the machine code of the stubs.

Sources: the System V ABI for x86-64 (calling convention, red zone), ``arch/x86/include/uapi/asm/sigcontext.h`` and
``arch/x86/kernel/signal_64.c`` of the Linux kernel (layout of a signal frame and what ``rt_sigreturn`` reads).
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

REGISTERS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax",
    "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)  # fmt: skip
_REGISTER_SET = struct.Struct("<27Q")
_WORD = (1 << 64) - 1

SYSCALL_ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
CALL_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
SYS_MMAP, SYS_MUNMAP, SYS_RT_SIGRETURN, SYS_CLONE, SYS_CLONE3 = 9, 11, 15, 56, 435
NO_SYSCALL = _WORD

SYSCALL_RET = b"\x0f\x05\xc3"
"""``syscall; ret``: a place in libc where one system call can be made."""
RESTORE_RT = b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05"
"""``mov $15, %rax; syscall``: libc's own return from a signal handler."""
ZERO_DROP_RET = b"\x31\xc0\x48\x83\xc4\x08\xc3"
"""``xor %eax, %eax; add $8, %rsp; ret``: an everyday way for a C function to return 0."""

RESTARTED = {-512, -513, -514, -516}
"""Results of an interrupted call that the kernel restarts by itself (``include/linux/errno.h``)."""
EINTR = -4
_RED_ZONE_BYTES = 128
_NOT_INHERITED_FLAGS = 0x100 | 0x400 | 0x10000
_FX_SIZE_OFFSET = 464
_LARGEST_PLAIN_XSAVE_BYTES = 2696
_AMX_FEATURES = 3 << 17

HARMLESS_WAITS = {
    0: "read", 1: "write", 7: "poll", 20: "writev", 23: "select", 34: "pause", 35: "nanosleep", 42: "connect",
    43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 61: "wait4", 72: "fcntl", 73: "flock",
    128: "rt_sigtimedwait", 202: "futex", 220: "semtimedop", 230: "clock_nanosleep", 232: "epoll_wait", 243:
    "mq_timedreceive", 247: "waitid", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4",
    441: "epoll_pwait2",
}  # fmt: skip
"""Calls in which a thread sleeps outside of any allocator."""
SYS_FUTEX, FUTEX_WAIT_BITSET = 202, 9
INTERRUPTED_FOR_C_CODE = {232, 281, 441, 43, 288, 45, 47, 42}
"""Waits that C code may see end with EINTR after a stop (Python itself goes on waiting, PEP 475)."""


def unpack(raw: bytes) -> dict[str, int]:
    """Registers by name from the kernel's ``user_regs_struct``."""
    return dict(zip(REGISTERS, _REGISTER_SET.unpack_from(raw), strict=True))


def pack(registers: Mapping[str, int]) -> bytes:
    """The kernel's ``user_regs_struct`` from registers by name."""
    return _REGISTER_SET.pack(*(registers[name] & _WORD for name in REGISTERS))


def signed(value: int) -> int:
    """A register read as a signed number."""
    return value - (1 << 64) if value >> 63 else value


def calling_flags(eflags: int) -> int:
    """``eflags`` as a function may rely on it when it is called: direction forward, no trap, no resume flag."""
    return eflags & ~_NOT_INHERITED_FLAGS


def interrupted_call(registers: Mapping[str, int]) -> int | None:
    """Number of the system call the thread was sleeping in when it was stopped; None when it was running."""
    if registers["orig_rax"] >> 63:
        return None
    return registers["orig_rax"] if signed(registers["rax"]) in {*RESTARTED, EINTR} else None


def sleeps_harmlessly(registers: Mapping[str, int]) -> bool:
    """True when the stopped thread sleeps in a call outside of any allocator or libc-internal lock.

    libc's own locks wait with plain FUTEX_WAIT, conditions and semaphores with FUTEX_WAIT_BITSET: only those count.
    """
    number = interrupted_call(registers)
    if number == SYS_FUTEX:
        return registers["rsi"] & 0x7F == FUTEX_WAIT_BITSET
    return number in HARMLESS_WAITS


class HealFrame:
    """A signal frame that brings a borrowed thread back by itself.

    ``blocks`` are to be written into the target; with the stack pointer at ``stack_pointer`` a plain ``ret`` runs
    into ``rt_sigreturn``, which restores every register, the FPU and the signal mask as they were. ``context`` is
    what the stack pointer is when that call is made. ``below`` is the address under which there is room.
    """

    def __init__(self, raw: bytes, xsave: bytes, mask: int, restore_rt: int, below: int) -> None:
        image = _signal_xsave(xsave)
        fpu = (below - len(image)) & ~63
        self.context = (fpu - 304 - 64) & ~15
        self.stack_pointer = self.context - 8
        frame = struct.pack("<Q", restore_rt) + _ucontext(unpack(raw), mask, fpu)
        self.blocks = ((fpu, image), (self.stack_pointer, frame))


def below_red_zone(raw: bytes) -> int:
    """First address below the stack that a leaf function may be using."""
    return unpack(raw)["rsp"] - _RED_ZONE_BYTES


def _signal_xsave(xsave: bytes) -> bytes:
    """The FPU image as the kernel writes it into a signal frame: with its size and the two magic numbers.

    Without AMX state the image is cut to what a process without AMX permission may restore.
    """
    (features,) = struct.unpack_from("<Q", xsave, 512)
    size = len(xsave)
    if size > _LARGEST_PLAIN_XSAVE_BYTES and not features & _AMX_FEATURES:
        size = _LARGEST_PLAIN_XSAVE_BYTES
    image = bytearray(xsave[:size])
    (allowed,) = struct.unpack_from("<Q", xsave, _FX_SIZE_OFFSET)
    struct.pack_into("<IIQI", image, _FX_SIZE_OFFSET, 0x46505853, size + 4, allowed, size)
    image[_FX_SIZE_OFFSET + 20 : 512] = bytes(512 - _FX_SIZE_OFFSET - 20)
    return bytes(image) + struct.pack("<I", 0x46505845)


def _ucontext(registers: dict[str, int], mask: int, fpu: int) -> bytes:
    """``struct ucontext`` with the thread as it was; an interrupted call is set up to be made again."""
    rip, rax = registers["rip"], registers["rax"]
    if not registers["orig_rax"] >> 63:
        if signed(rax) in (-512, -513, -514):
            rip, rax = rip - 2, registers["orig_rax"]
        elif signed(rax) == -516:
            rax = EINTR & _WORD  # the kernel forgets how to restart a timed wait at a sigreturn
    general = [registers[name] for name in ("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")]
    general += [registers[name] for name in ("rdi", "rsi", "rbp", "rbx", "rdx")]
    general += [rax, registers["rcx"], registers["rsp"], rip, registers["eflags"]]
    context = struct.pack("<18Q", *general)
    context += struct.pack("<4H4QQ", registers["cs"], 0, 0, registers["ss"], 0, 0, 0, 0, fpu) + bytes(64)
    invalid_altstack = struct.pack("<QiiQ", 0, 0x7EADBEE, 0, 0)  # refused by the kernel: the alternate stack stays
    return struct.pack("<QQ", 7, 0) + invalid_altstack + context + struct.pack("<Q", mask)
