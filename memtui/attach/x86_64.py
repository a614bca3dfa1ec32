"""What is particular to Linux on x86-64: registers, the self-healing frame, harmless waits.

Sources: the System V ABI for x86-64 (calling convention, red zone), ``arch/x86/include/uapi/asm/sigcontext.h`` and
``arch/x86/kernel/signal_64.c`` of the Linux kernel (layout of a signal frame and what ``rt_sigreturn`` reads).
"""

from __future__ import annotations

import struct

from memtui.attach import ptrace
from memtui.attach.heal import HealFrame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from memtui.attach.heal import Changes, Read

REGISTERS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi", "orig_rax",
    "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs",
)  # fmt: skip
_REGISTER_SET = struct.Struct("<27Q")
_WORD = (1 << 64) - 1

_SYSCALL_ARGUMENTS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")
_CALL_ARGUMENTS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
FLOAT_SET = ptrace.NT_X86_XSTATE
SYS_MMAP, SYS_MUNMAP, SYS_RT_SIGRETURN = 9, 11, 15
SYS_CLONE, SYS_CLONE3, SYS_FUTEX, SYS_TGKILL, SYS_RT_SIGTIMEDWAIT, SYS_WAIT4 = 56, 435, 202, 234, 128, 61
_NO_SYSCALL = _WORD

GADGETS: Mapping[str, tuple[bytes, ...]] = {
    "syscall_ret": (b"\x0f\x05\xc3",),  # syscall; ret
    "restore_rt": (b"\x48\xc7\xc0\x0f\x00\x00\x00\x0f\x05",),  # mov $15, %rax; syscall: libc's return from a handler
    "leave_zero": (b"\x31\xc0\x48\x83\xc4\x08\xc3",),  # xor %eax, %eax; add $8, %rsp; ret: so C functions return 0
}
INSTRUCTION_ALIGNMENT = 1

_RESTARTED = {-512, -513, -514, -516}
"""Results of an interrupted call that the kernel restarts by itself (``include/linux/errno.h``)."""
_EINTR = -4
_ERESTARTNOHAND = -514
_RED_ZONE_BYTES = 128
_EXIT_FRAME_BYTES = 64
_NOT_INHERITED_FLAGS = 0x100 | 0x400 | 0x10000
_FX_SIZE_OFFSET = 464
_LARGEST_PLAIN_XSAVE_BYTES = 2696
_AMX_FEATURES = 3 << 17

HARMLESS_WAITS: Mapping[int, str] = {
    0: "read", 1: "write", 7: "poll", 20: "writev", 23: "select", 34: "pause", 35: "nanosleep", 42: "connect",
    43: "accept", 44: "sendto", 45: "recvfrom", 46: "sendmsg", 47: "recvmsg", 61: "wait4", 72: "fcntl", 73: "flock",
    128: "rt_sigtimedwait", 202: "futex", 220: "semtimedop", 230: "clock_nanosleep", 232: "epoll_wait", 243:
    "mq_timedreceive", 247: "waitid", 270: "pselect6", 271: "ppoll", 281: "epoll_pwait", 288: "accept4",
    441: "epoll_pwait2",
}  # fmt: skip
"""Calls in which a thread sleeps outside of any allocator."""
FUTEX_WAIT_BITSET = 9
INTERRUPTED_FOR_C_CODE: Collection[int] = frozenset(
    {42, 43, 44, 45, 46, 47, 65, 128, 208, 220, 232, 281, 288, 299, 333, 441}
)
"""Waits that C code may see end with EINTR after a stop (Python itself goes on waiting, PEP 475)."""
# write, writev, sendfile, sendto, sendmsg, splice, tee, vmsplice, sendmmsg
SENDING: Mapping[int, int] = {1: 2, 20: -1, 40: 3, 44: 2, 46: -1, 275: 4, 276: 2, 278: -1, 307: -1}
RECEIVING: Mapping[int, int] = {45: 3, 47: 2}  # recvfrom, recvmsg


def unpack(raw: bytes) -> dict[str, int]:
    """Registers by name from the kernel's ``user_regs_struct``."""
    return dict(zip(REGISTERS, _REGISTER_SET.unpack_from(raw), strict=True))


def pack(registers: Mapping[str, int]) -> bytes:
    """The kernel's ``user_regs_struct`` from registers by name."""
    return _REGISTER_SET.pack(*(registers[name] & _WORD for name in REGISTERS))


def signed(value: int) -> int:
    """A register read as a signed number."""
    return value - (1 << 64) if value >> 63 else value


def stack_pointer(raw: bytes) -> int:
    """Where the thread's stack ends."""
    return unpack(raw)["rsp"]


def instruction(raw: bytes) -> int:
    """What the thread runs next."""
    return unpack(raw)["rip"]


def interrupted_call(raw: bytes, read: Read) -> int | None:
    """Number of the system call the thread was sleeping in when it was stopped; None when it was running."""
    registers = unpack(raw)
    if registers["orig_rax"] >> 63:
        return None
    return registers["orig_rax"] if signed(registers["rax"]) in {*_RESTARTED, _EINTR} else None


def sleeps_harmlessly(raw: bytes, read: Read) -> bool:
    """True when the stopped thread sleeps in a call outside of any allocator or libc-internal lock.

    libc's own locks wait with plain FUTEX_WAIT, conditions and semaphores with FUTEX_WAIT_BITSET: only those count.
    """
    number = interrupted_call(raw, read)
    if number == SYS_FUTEX:
        return unpack(raw)["rsi"] & 0x7F == FUTEX_WAIT_BITSET
    return number in HARMLESS_WAITS


def made_to_wait_on(raw: bytes) -> bytes | None:
    """Registers with which the kernel makes an interrupted wait again, unless a handler of signals is to run."""
    registers = unpack(raw)
    if registers["orig_rax"] not in INTERRUPTED_FOR_C_CODE or signed(registers["rax"]) != _EINTR:
        return None
    return pack(registers | {"rax": _ERESTARTNOHAND})


def can_restore(tid: int) -> bool:
    """The saved FPU and vector state is always complete."""
    return True


def heal_frame(raw: bytes, floats: bytes, mask: int, restore_rt: int, below: int) -> HealFrame:
    """``struct rt_sigframe``, which begins with the address that a plain ``ret`` takes."""
    image = _signal_xsave(floats)
    fpu = (below - len(image)) & ~63
    context = (fpu - 304 - 64) & ~15
    frame = struct.pack("<Q", restore_rt) + _ucontext(unpack(raw), mask, fpu)
    return HealFrame(((fpu, image), (context - 8, frame)), context - 8, context, restore_rt)


def exit_frame(raw: bytes, floats: bytes, mask: int, restore_rt: int, below: int, exit_function: int) -> HealFrame:
    """The address of ``exit_function``: what a plain ``ret`` takes."""
    at = (below - _EXIT_FRAME_BYTES) & ~15
    return HealFrame(((at, struct.pack("<Q", exit_function)),), at, at, exit_function)


def to_system_call(
    raw: bytes, instruction: int, number: int, arguments: tuple[int, ...], frame: HealFrame
) -> Changes:
    """Registers with which the thread makes one system call at ``instruction``, and none it was making."""
    return _set_off(raw, instruction, number, dict(zip(_SYSCALL_ARGUMENTS, arguments, strict=False)), frame)


def to_call(raw: bytes, function: int, arguments: tuple[int, ...], frame: HealFrame) -> Changes:
    """Registers with which the thread calls ``function`` and returns from it into ``rt_sigreturn``."""
    return _set_off(raw, function, 0, dict(zip(_CALL_ARGUMENTS, arguments, strict=False)), frame)


def made_again(raw: bytes, frame: HealFrame) -> Changes:
    """At the entry of ``rt_sigreturn``: cancels that call, and has it made again when the thread goes on."""
    return ((ptrace.NT_PRSTATUS, pack(unpack(raw) | {"orig_rax": _NO_SYSCALL, "rip": frame.restore_rt})),)


def below_red_zone(raw: bytes) -> int:
    """First address below the stack that a leaf function may be using."""
    return unpack(raw)["rsp"] - _RED_ZONE_BYTES


def _set_off(raw: bytes, target: int, rax: int, arguments: Mapping[str, int], frame: HealFrame) -> Changes:
    before = unpack(raw)
    flags = before["eflags"] & ~_NOT_INHERITED_FLAGS  # direction forward, no trap, no resume flag
    at = {"rip": target, "rax": rax, "rsp": frame.stack_pointer, "orig_rax": _NO_SYSCALL, "eflags": flags}
    return ((ptrace.NT_PRSTATUS, pack({**before, **at, **arguments})),)


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
            rax = _EINTR & _WORD  # the kernel forgets how to restart a timed wait at a sigreturn
    general = [registers[name] for name in ("r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15")]
    general += [registers[name] for name in ("rdi", "rsi", "rbp", "rbx", "rdx")]
    general += [rax, registers["rcx"], registers["rsp"], rip, registers["eflags"]]
    context = struct.pack("<18Q", *general)
    context += struct.pack("<4H4QQ", registers["cs"], 0, 0, registers["ss"], 0, 0, 0, 0, fpu) + bytes(64)
    invalid_altstack = struct.pack("<QiiQ", 0, 0x7EADBEE, 0, 0)  # refused by the kernel: the alternate stack stays
    return struct.pack("<QQ", 7, 0) + invalid_altstack + context + struct.pack("<Q", mask)
