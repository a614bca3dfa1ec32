"""What a filter of system calls (seccomp) would do with one: its program is run here, on what the kernel gives it.

Sources: ``kernel/seccomp.c`` (the instructions allowed, the order of the actions) and
``Documentation/networking/filter.rst`` of the Linux kernel.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Sequence

Instruction = tuple[int, int, int, int]
"""``struct sock_filter``: code, jump if true, jump if false, constant."""

INSTRUCTION = struct.Struct("=HBBI")
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""``AUDIT_ARCH_...`` by ``uname -m``."""
HARMFUL = ("kill", "kill-thread", "trap")
"""Verdicts that end the process (or the thread): the second and third unless it expects them."""

_ACTIONS = {
    0x80000000: "kill",
    0x00000000: "kill-thread",
    0x00030000: "trap",
    0x00050000: "errno",
    0x7FC00000: "notify",
    0x7FF00000: "trace",
    0x7FFC0000: "log",
    0x7FFF0000: "allow",
}
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_ACTION_BITS = 0xFFFF0000
_DATA = struct.Struct("=iIQ6Q")
_WORDS = 16
_MASK = 0xFFFFFFFF
_LD, _LDX, _ST, _STX, _ALU, _JMP, _RET, _MISC = range(8)
_ABSOLUTE, _MEMORY, _LENGTH = 0x20, 0x60, 0x80
_NEGATE = 0x80
_OPERATIONS: dict[int, Callable[[int, int], int]] = {
    0x00: operator.add, 0x10: operator.sub, 0x20: operator.mul, 0x40: operator.or_, 0x50: operator.and_,
    0x60: operator.lshift, 0x70: operator.rshift, 0xA0: operator.xor,
}  # fmt: skip
_DIVIDE = 0x30
_TESTS: dict[int, Callable[[int, int], bool]] = {
    0x10: operator.eq, 0x20: operator.gt, 0x30: operator.ge, 0x40: lambda a, b: bool(a & b),
}  # fmt: skip


def verdict(
    filters: Sequence[Sequence[Instruction]], architecture: int, number: int, arguments: Sequence[int]
) -> str:
    """What all ``filters`` of a thread together do with the call ``number``: the gravest of what each says.

    One of allow, log, trace, notify, errno, trap, kill-thread, kill. ``arguments`` not given count as 0. A program
    that is none of the kernel's counts as kill.
    """
    padded = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = _DATA.pack(number, architecture, 0, *(one & 0xFFFFFFFFFFFFFFFF for one in padded))
    results = [_run(one, data) & _ACTION_BITS for one in filters] or [_ALLOW]
    gravest = min(results, key=lambda action: action - (1 << 32) if action >> 31 else action)
    return _ACTIONS.get(gravest, "kill")


def parse(raw: bytes) -> list[Instruction]:
    """The program in the form in which the kernel hands it out."""
    return [(code, true, false, constant) for code, true, false, constant in INSTRUCTION.iter_unpack(raw)]


def _run(program: Sequence[Instruction], data: bytes) -> int:
    """The number that one filter returns. Jumps lead forward only, so it ends."""
    accumulator = index = at = 0
    memory = [0] * _WORDS
    while at < len(program):
        code, if_true, if_false, constant = program[at]
        at += 1
        kind, operand = code & 7, index if code & 8 else constant
        if kind in (_LD, _LDX):
            value = _load(code & 0xE0, constant, data, memory)
            accumulator, index = (value, index) if kind == _LD else (accumulator, value)
        elif kind in (_ST, _STX):
            memory[constant % _WORDS] = accumulator if kind == _ST else index
        elif kind == _ALU:
            accumulator = _compute(code & 0xF0, accumulator, operand)
        elif kind == _JMP:
            test = _TESTS.get(code & 0xF0)
            at += constant if test is None else if_true if test(accumulator, operand) else if_false
        elif kind == _RET:
            return accumulator if code & 0x18 == 0x10 else constant
        else:
            accumulator, index = (index, index) if code & 0x80 else (accumulator, accumulator)
    return _KILL


def _load(mode: int, constant: int, data: bytes, memory: Sequence[int]) -> int:
    if mode == _ABSOLUTE:
        return int(struct.unpack_from("=I", data, min(constant, len(data) - 4))[0])
    if mode == _MEMORY:
        return memory[constant % _WORDS]
    return len(data) if mode == _LENGTH else constant


def _compute(operation: int, left: int, right: int) -> int:
    if operation == _NEGATE:
        return -left & _MASK
    if operation == _DIVIDE:
        return left // right if right else 0
    if operation in (0x60, 0x70):
        right &= 31
    return _OPERATIONS[operation](left, right) & _MASK if operation in _OPERATIONS else 0
