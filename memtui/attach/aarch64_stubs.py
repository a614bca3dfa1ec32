"""The aarch64 code that starts the agent's thread (:mod:`memtui.attach.architecture` tells what each piece does)."""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CALL_X16, _JUMP_X16, _RET = 0xD63F0200, 0xD61F0200, 0xD65F03C0
_PUSH_FRAME, _POP_FRAME = 0xA9BF7BFD, 0xA8C17BFD  # stp x29, x30, [sp, #-16]!; ldp x29, x30, [sp], #16
_PUSH_SAVED, _POP_SAVED = 0xA9BF53F3, 0xA8C153F3  # the same with x19, x20
_PUSH_FRAME_OF_32 = 0xA9BE7BFD  # stp x29, x30, [sp, #-32]!
_SUB_16, _ADD_16 = 0xD10043FF, 0x910043FF  # of sp
_X0_FROM_SP, _X0_FROM_SP_16 = 0x910003E0, 0x910043E0
_ZERO_W0, _ZERO_X1 = 0x52800000, 0xD2800001
_STORE_W0_AT_X1 = 0xB9000020
_X19_FROM_X0, _X0_FROM_X19 = 0xAA0003F3, 0xAA1303E0
_W20_FROM_W0, _W0_FROM_W20 = 0x2A0003F4, 0x2A1403E0
_SKIP_IF_ZERO_W0 = 0x34000000


def _code(*parts: int | bytes) -> bytes:
    return b"".join(struct.pack("<I", part) if isinstance(part, int) else part for part in parts)


def _load(register: int, value: int) -> bytes:
    """``movz`` and three ``movk``: any 64-bit number, without a place in memory for it."""
    words = [(0xF2800000 if shift else 0xD2800000) | shift << 21 for shift in range(4)]
    return _code(*(word | (value >> 16 * at & 0xFFFF) << 5 | register for at, word in enumerate(words)))


def _call(address: int) -> bytes:
    return _code(_load(16, address), _CALL_X16)


def queue_stub(symbols: Mapping[str, int], result: int) -> bytes:
    """Calls ``Py_AddPendingCall`` with its own two arguments and stores the result at ``result``."""
    call = _call(symbols["Py_AddPendingCall"])
    return _code(_PUSH_FRAME, call, _load(1, result), _STORE_W0_AT_X1, _POP_FRAME, _RET)


def pending_stub(symbols: Mapping[str, int], thread: int, source: int, leave_zero: int | None) -> bytes:
    """``pthread_create(&handle, NULL, thread, source); return 0``, whatever pthread_create said.

    With ``leave_zero`` it leaves the page for good before the new thread exists (which removes the page): it jumps
    into pthread_create with a return into that piece of the target's own code, which drops the frame and returns 0.
    """
    arguments = _code(_ZERO_X1, _load(2, thread), _load(3, source))
    create = symbols["pthread_create"]
    if leave_zero is None:
        made = _code(_X0_FROM_SP, arguments, _call(create), _ZERO_W0)
        return _code(_PUSH_FRAME, _SUB_16, made, _ADD_16, _POP_FRAME, _RET)
    leave = _code(_load(30, leave_zero), _load(16, create), _JUMP_X16)
    return _code(_PUSH_FRAME_OF_32, _X0_FROM_SP_16, arguments, leave)


def thread_stub(symbols: Mapping[str, int], removal: tuple[int, int] | None, then: Sequence[int] = ()) -> bytes:
    """Detach the thread, take the GIL, run the source (the thread's argument), give the GIL back, remove the page.

    After the source the texts at the addresses ``then`` are run in turn.

    An interpreter that is ending meanwhile is left alone: taking its GIL would crash it once it has gone.
    """
    run = _call(symbols["PyRun_SimpleString"])
    with_gil = _code(
        _call(symbols["PyGILState_Ensure"]), _W20_FROM_W0,
        _X0_FROM_X19, run, *(_code(_load(0, text), run) for text in then),
        _W0_FROM_W20, _call(symbols["PyGILState_Release"]),
    )  # fmt: skip
    skip = _SKIP_IF_ZERO_W0 | (len(with_gil) // 4 + 1) << 5
    code = _code(_PUSH_FRAME, _PUSH_SAVED, _X19_FROM_X0)
    code += _call(symbols["pthread_self"]) + _call(symbols["pthread_detach"])
    code += _code(_call(symbols["Py_IsInitialized"]), skip, with_gil, _ZERO_W0, _POP_SAVED, _POP_FRAME)
    if removal is None:
        return _code(code, _RET)
    base, size = removal
    return _code(code, _load(0, base), _load(1, size), _load(16, symbols["munmap"]), _JUMP_X16)
