"""The ptrace calls memtui uses, through ctypes; Linux only.

Everything here is one system call and its error. What they mean together is in :mod:`memtui.attach.borrow`.
Source of the numbers: ``include/uapi/linux/ptrace.h`` of the Linux kernel.
"""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long
_libc.process_vm_readv.argtypes = [
    ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong,
]  # fmt: skip
_libc.process_vm_readv.restype = ctypes.c_ssize_t

_CONT, _DETACH, _SYSCALL = 7, 17, 24
_SETOPTIONS, _GETEVENTMSG, _GETREGSET, _SETREGSET, _SEIZE, _INTERRUPT = 0x4200, 0x4201, 0x4204, 0x4205, 0x4206, 0x4207
_GETSIGMASK, _SETSIGMASK, _GET_SYSCALL_INFO, _GET_RSEQ = 0x420A, 0x420B, 0x420E, 0x420F

NT_PRSTATUS, NT_X86_XSTATE = 1, 0x202
O_TRACESYSGOOD, O_TRACECLONE, O_EXITKILL, O_SUSPEND_SECCOMP = 1, 8, 0x100000, 0x200000
EVENT_CLONE, EVENT_STOP = 3, 128
SYSCALL_STOP_SIGNAL = 5 | 0x80
WALL = 0x40000000


class _IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def _call(request: int, tid: int, address: int = 0, data: int = 0) -> int:
    result: int = _libc.ptrace(request, tid, address, data)
    if result == -1 and (error := ctypes.get_errno()):
        raise OSError(error, os.strerror(error))
    return result


def seize(tid: int) -> None:
    """Attach to one thread without stopping it; no signal reaches the process."""
    _call(_SEIZE, tid, 0, O_TRACESYSGOOD)


def interrupt(tid: int) -> None:
    """Ask a seized thread to stop (it reports EVENT_STOP)."""
    _call(_INTERRUPT, tid)


def resume(tid: int, signal: int = 0) -> None:
    """Let a stopped thread run, delivering ``signal`` when it stopped for one."""
    _call(_CONT, tid, 0, signal)


def resume_to_syscall(tid: int) -> None:
    """Let a stopped thread run up to its next system call entry or exit. Its stops are no signals."""
    _call(_SYSCALL, tid)


def detach(tid: int, signal: int = 0) -> None:
    """Let go of a stopped thread, delivering ``signal`` when it stopped for one."""
    _call(_DETACH, tid, 0, signal)


def set_options(tid: int, options: int) -> None:
    """Replace the options (``O_...``) of a stopped thread."""
    _call(_SETOPTIONS, tid, 0, options)


def event_message(tid: int) -> int:
    """What the event that a thread stopped for tells; at EVENT_CLONE the number of the new process."""
    message = ctypes.c_ulong()
    _call(_GETEVENTMSG, tid, 0, ctypes.addressof(message))
    return message.value


def read_registers(tid: int, kind: int, limit_bytes: int = 16384) -> bytes:
    """The register set ``kind`` of a stopped thread."""
    buffer = ctypes.create_string_buffer(limit_bytes)
    vector = _IoVec(ctypes.addressof(buffer), limit_bytes)
    _call(_GETREGSET, tid, kind, ctypes.addressof(vector))
    return buffer.raw[: vector.length]


def write_registers(tid: int, kind: int, data: bytes) -> None:
    """Set the register set ``kind`` of a stopped thread, in one step."""
    buffer = ctypes.create_string_buffer(data, len(data))
    vector = _IoVec(ctypes.addressof(buffer), len(data))
    _call(_SETREGSET, tid, kind, ctypes.addressof(vector))


def read_signal_mask(tid: int) -> int:
    """The blocked signals of a stopped thread as a bit set."""
    mask = ctypes.c_uint64()
    _call(_GETSIGMASK, tid, 8, ctypes.addressof(mask))
    return mask.value


def write_signal_mask(tid: int, mask: int) -> None:
    """Set the blocked signals of a stopped thread."""
    value = ctypes.c_uint64(mask)
    _call(_SETSIGMASK, tid, 8, ctypes.addressof(value))


def syscall_info(tid: int) -> tuple[int, int, int]:
    """``(kind, stack pointer, number or result)`` at a system call stop; kind 1 is entry, 2 is exit (Linux 5.3)."""
    buffer = ctypes.create_string_buffer(88)
    _call(_GET_SYSCALL_INFO, tid, len(buffer), ctypes.addressof(buffer))
    raw = buffer.raw
    kind = raw[0]
    stack_pointer = int.from_bytes(raw[16:24], "little")
    return kind, stack_pointer, int.from_bytes(raw[24:32], "little", signed=kind == 2)


def rseq_area(tid: int) -> int:
    """Address of the thread's restartable-sequence area; 0 when it has none or the kernel cannot tell (< 5.13)."""
    buffer = ctypes.create_string_buffer(24)
    if _libc.ptrace(_GET_RSEQ, tid, len(buffer), ctypes.addressof(buffer)) < 16:
        return 0
    return int.from_bytes(buffer.raw[:8], "little")


def may_read(pid: int, address: int, size: int) -> bool:
    """Whether all of this memory is mapped and readable by the process itself."""
    buffer = ctypes.create_string_buffer(size)
    here = _IoVec(ctypes.addressof(buffer), size)
    there = _IoVec(address, size)
    copied: int = _libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    return copied == size


def queue_signal(tgkill: int, pid: int, tid: int, number: int) -> None:
    """Send a signal to one thread of another process; ``tgkill`` is the number of that system call."""
    _libc.syscall(tgkill, pid, tid, number)
