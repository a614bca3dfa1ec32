"""What is particular to Linux on aarch64: registers, the self-healing frame, harmless waits.

Written from the Procedure Call Standard of the Arm architecture and from the kernel's sources, tried under an
emulator only: ``arch/arm64/include/uapi/asm/{ptrace,sigcontext}.h`` (layouts), ``arch/arm64/kernel/signal.c`` (what
``rt_sigreturn`` reads, how interrupted calls are made again) and ``include/uapi/asm-generic/unistd.h`` (numbers).

Unlike on x86-64 a function returns to the address in a register (x30), so the frame needs no room for it; and the
kernel winds an interrupted call back to its ``svc`` before the tracer sees the registers.
"""

from __future__ import annotations

import struct

from memtui.attach import ptrace
from memtui.attach.heal import HealFrame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from memtui.attach.heal import Changes, Read

_REGISTER_SET = struct.Struct("<34Q")
_SP, _PC, _PSTATE = 31, 32, 33
_WORD = (1 << 64) - 1
_EINTR = 4
_ARGUMENTS = 8
_SVC = b"\x01\x00\x00\xd4"
_RET = b"\xc0\x03\x5f\xd6"
_SVC_BYTES = 4
_NOT_INHERITED_FLAGS = 1 << 21 | 3 << 10
"""In pstate: single step, and the kind of branch that led here, which a function may check (BTI)."""

_NT_ARM_SYSTEM_CALL, _NT_ARM_SVE = 0x404, 0x405
_SVE_HEADER = struct.Struct("<IIHHHH")
_SVE_LIVE_REGISTERS = 1
_FPSIMD_MAGIC, _FPSIMD_BYTES = 0x46508001, 528
_SIGINFO_BYTES, _RESERVED_BYTES, _FRAME_BYTES = 128, 4096, 128 + 464 + 4096
_SYS_CLOCK_NANOSLEEP, _TIMER_ABSTIME = 115, 1


FLOAT_SET = 2
SYS_MMAP, SYS_MUNMAP, SYS_RT_SIGRETURN = 222, 215, 139
SYS_CLONE, SYS_CLONE3, SYS_FUTEX, SYS_TGKILL, SYS_RT_SIGTIMEDWAIT, SYS_WAIT4 = 220, 435, 98, 131, 137, 260
FUTEX_WAIT_BITSET = 9
INSTRUCTION_ALIGNMENT = 4

GADGETS: Mapping[str, tuple[bytes, ...]] = {
    # The second is the end of the C library's syscall(): compare, skip to the error's handling, return.
    "syscall_ret": (_SVC + _RET, _SVC + b"\x1f\xfc\x3f\xb1" + b"\x42\x00\x00\x54" + _RET),
    "restore_rt": (b"\x68\x11\x80\xd2" + _SVC,),  # mov x8, #139; svc #0: the vdso's return from a handler
    "leave_zero": (b"\x00\x00\x80\x52" + b"\xfd\x7b\xc2\xa8" + _RET,),  # mov w0, #0; ldp x29, x30, [sp], #32; ret
}

HARMLESS_WAITS: Mapping[int, str] = {
    22: "epoll_pwait", 32: "flock", 63: "read", 64: "write", 66: "writev", 72: "pselect6", 73: "ppoll",
    95: "waitid", 98: "futex", 115: "clock_nanosleep", 137: "rt_sigtimedwait", 183: "mq_timedreceive",
    192: "semtimedop", 202: "accept", 203: "connect", 206: "sendto", 207: "recvfrom", 211: "sendmsg",
    212: "recvmsg", 242: "accept4", 260: "wait4", 441: "epoll_pwait2",
}  # fmt: skip
"""Without nanosleep, nor clock_nanosleep of a duration: they would be made again from their beginning."""
INTERRUPTED_FOR_C_CODE: Collection[int] = frozenset(
    {4, 22, 137, 192, 193, 202, 203, 206, 207, 211, 212, 242, 243, 292, 441}
)
# write, writev, sendfile, vmsplice, splice, tee, sendto, sendmsg, sendmmsg
SENDING: Mapping[int, int] = {64: 2, 66: -1, 71: 3, 75: -1, 76: 4, 77: 2, 206: 2, 211: -1, 269: -1}
RECEIVING: Mapping[int, int] = {207: 3, 212: 2}  # recvfrom, recvmsg


def stack_pointer(raw: bytes) -> int:
    """Where the thread's stack ends."""
    return _unpack(raw)[_SP]


def instruction(raw: bytes) -> int:
    """What the thread runs next."""
    return _unpack(raw)[_PC]


def below_red_zone(raw: bytes) -> int:
    """The ABI has no red zone: whatever lies below the stack pointer is free."""
    return _unpack(raw)[_SP]


def interrupted_call(raw: bytes, read: Read) -> int | None:
    """The call at whose ``svc`` the thread stands (wound back by the kernel), or that just ended with EINTR.

    A thread that was about to make the call for the first time looks the same, and is as harmless.
    """
    registers = _unpack(raw)
    if read(registers[_PC], _SVC_BYTES) == _SVC:
        return registers[8]
    ended = registers[0] == -_EINTR & _WORD and read(registers[_PC] - _SVC_BYTES, _SVC_BYTES) == _SVC
    return registers[8] if ended else None


def sleeps_harmlessly(raw: bytes, read: Read) -> bool:
    """Whether the thread sleeps in a call outside of any allocator or lock of the C library."""
    number, registers = interrupted_call(raw, read), _unpack(raw)
    if number == SYS_FUTEX:
        return registers[1] & 0x7F == FUTEX_WAIT_BITSET
    if number == _SYS_CLOCK_NANOSLEEP:
        return bool(registers[1] & _TIMER_ABSTIME)
    return number in HARMLESS_WAITS


def made_to_wait_on(raw: bytes) -> bytes | None:
    """Never: what the call was given first is gone from the registers that a tracer sees."""
    return None


def can_restore(tid: int) -> bool:
    """False while the thread keeps something in vector registers beyond the 128 bits that the frame holds."""
    try:
        header = ptrace.read_registers(tid, _NT_ARM_SVE, 1 << 16)
    except OSError:
        return True  # a processor without them
    return not _SVE_HEADER.unpack_from(header)[4] & _SVE_LIVE_REGISTERS


def heal_frame(raw: bytes, floats: bytes, mask: int, restore_rt: int, below: int) -> HealFrame:
    """The frame ``struct rt_sigframe``, with the stack pointer at its beginning."""
    base = (below - _FRAME_BYTES) & ~15
    return HealFrame(((base, _signal_frame(raw, floats, mask)),), base, base, restore_rt)


def exit_frame(raw: bytes, floats: bytes, mask: int, restore_rt: int, below: int, exit_function: int) -> HealFrame:
    """A frame like the healing one (both return to ``restore_rt``), that restores into ``exit_function``."""
    registers = _unpack(raw)
    registers[_PC], registers[_SP] = exit_function, below & ~15
    registers[_PSTATE] &= ~_NOT_INHERITED_FLAGS
    return heal_frame(_REGISTER_SET.pack(*registers), floats, mask, restore_rt, below)


def to_system_call(
    raw: bytes, instruction: int, number: int, arguments: tuple[int, ...], frame: HealFrame
) -> Changes:
    """Registers with which the thread makes one system call at ``instruction``."""
    return _set_off(raw, instruction, arguments, frame, {8: number})


def to_call(raw: bytes, function: int, arguments: tuple[int, ...], frame: HealFrame) -> Changes:
    """Registers with which the thread calls ``function``, and returns from it into ``rt_sigreturn``."""
    return _set_off(raw, function, arguments, frame, {29: 0})


def made_again(raw: bytes, frame: HealFrame) -> Changes:
    """At the entry of ``rt_sigreturn``: registers that cancel it, and make it again when the thread goes on."""
    registers = _unpack(raw)
    registers[_PC] = frame.restore_rt
    return _changes(registers)


def _set_off(
    raw: bytes, target: int, arguments: tuple[int, ...], frame: HealFrame, also: Mapping[int, int]
) -> Changes:
    registers = _unpack(raw)
    registers[: len(arguments)] = arguments[:_ARGUMENTS]
    for number, value in {30: frame.restore_rt, **also}.items():
        registers[number] = value
    registers[_SP], registers[_PC] = frame.stack_pointer, target
    registers[_PSTATE] &= ~_NOT_INHERITED_FLAGS
    return _changes(registers)


def _unpack(raw: bytes) -> list[int]:
    """x0 to x30, sp, pc and pstate from the kernel's ``user_pt_regs``."""
    return list(_REGISTER_SET.unpack_from(raw))


def _changes(registers: list[int]) -> Changes:
    """The registers, then that no system call is under way. In this order: should memtui die between, it is made."""
    general = _REGISTER_SET.pack(*(one & _WORD for one in registers))
    return ((ptrace.NT_PRSTATUS, general), (_NT_ARM_SYSTEM_CALL, struct.pack("<i", -1)))


def _signal_frame(raw: bytes, floats: bytes, mask: int) -> bytes:
    """``struct rt_sigframe`` with the thread as it was; a call that was wound back is made again."""
    invalid_altstack = struct.pack("<QiiQ", 0, 0x7EADBEE, 0, 0)  # refused by the kernel: the alternate stack stays
    context = struct.pack("<QQ", 0, 0) + invalid_altstack + struct.pack("<Q", mask) + bytes(120)
    context += bytes(-len(context) % 16)
    context += struct.pack("<Q", 0) + raw[: _REGISTER_SET.size]
    context += bytes(-len(context) % 16)
    vectors, (fpsr, fpcr) = floats[:512], struct.unpack_from("<II", floats, 512)
    record = struct.pack("<IIII", _FPSIMD_MAGIC, _FPSIMD_BYTES, fpsr, fpcr) + vectors
    return bytes(_SIGINFO_BYTES) + context + record + bytes(_RESERVED_BYTES - len(record))
