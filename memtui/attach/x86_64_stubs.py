"""The x86-64 code that starts the agent's thread (:mod:`memtui.attach.architecture` tells what each piece does)."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RAX, _RCX, _RDX, _RDI, _RSI = b"\x48\xb8", b"\x48\xb9", b"\x48\xba", b"\x48\xbf", b"\x48\xbe"
_CALL_RAX, _JUMP_RAX, _PUSH_RAX = b"\xff\xd0", b"\xff\xe0", b"\x50"
_SUB_8, _ADD_8, _RET = b"\x48\x83\xec\x08", b"\x48\x83\xc4\x08", b"\xc3"
_XOR_EAX, _STORE_EAX_AT_RCX = b"\x31\xc0", b"\x89\x01"


def _load(register: bytes, value: int) -> bytes:
    return register + struct.pack("<Q", value)


def _call(address: int) -> bytes:
    return _load(_RAX, address) + _CALL_RAX


def queue_stub(symbols: Mapping[str, int], result: int) -> bytes:
    """Calls ``Py_AddPendingCall`` with its own two arguments and stores the result at ``result``."""
    return _SUB_8 + _call(symbols["Py_AddPendingCall"]) + _load(_RCX, result) + _STORE_EAX_AT_RCX + _ADD_8 + _RET


def pending_stub(symbols: Mapping[str, int], thread: int, source: int, leave_zero: int | None) -> bytes:
    """``pthread_create(&handle, NULL, thread, source); return 0`` — whatever pthread_create said.

    With ``leave_zero`` it leaves the page for good before the new thread exists (which removes the page): it jumps
    into pthread_create with a return into that piece of the target's own code, which drops the handle and returns 0.
    """
    arguments = b"\x31\xf6" + _load(_RDX, thread) + _load(_RCX, source)  # xor esi, esi
    if leave_zero is None:
        handle = b"\x48\x89\xe7"  # mov rdi, rsp
        return _SUB_8 + handle + arguments + _call(symbols["pthread_create"]) + _XOR_EAX + _ADD_8 + _RET
    handle = b"\x48\x8d\x7c\x24\x08"  # lea rdi, [rsp + 8]
    leave = _load(_RAX, leave_zero) + _PUSH_RAX + _PUSH_RAX
    return leave + handle + arguments + _load(_RAX, symbols["pthread_create"]) + _JUMP_RAX


def thread_stub(symbols: Mapping[str, int], removal: tuple[int, int] | None, then: Sequence[int] = ()) -> bytes:
    """Detach the thread, take the GIL, run the source (the thread's argument), give the GIL back, remove the page.

    After the source the texts at the addresses ``then`` are run in turn.

    An interpreter that is ending meanwhile is left alone: taking its GIL would crash it once it has gone.
    """
    with_gil = _call(symbols["PyGILState_Ensure"]) + b"\x89\xc5"  # mov ebp, eax
    with_gil += b"\x48\x89\xdf" + _call(symbols["PyRun_SimpleString"])  # mov rdi, rbx
    for text in then:
        with_gil += _load(_RDI, text) + _call(symbols["PyRun_SimpleString"])
    with_gil += b"\x89\xef" + _call(symbols["PyGILState_Release"])  # mov edi, ebp
    code = b"\x55\x53" + _SUB_8 + b"\x48\x89\xfb"  # push rbp; push rbx; sub rsp, 8; mov rbx, rdi
    code += _call(symbols["pthread_self"]) + b"\x48\x89\xc7" + _call(symbols["pthread_detach"])
    code += _call(symbols["Py_IsInitialized"]) + b"\x85\xc0\x74" + bytes([len(with_gil)]) + with_gil  # test eax; jz
    code += _XOR_EAX + _ADD_8 + b"\x5b\x5d"  # pop rbx; pop rbp
    if removal is None:
        return code + _RET
    base, size = removal
    return code + _load(_RDI, base) + _load(_RSI, size) + _load(_RAX, symbols["munmap"]) + _JUMP_RAX
