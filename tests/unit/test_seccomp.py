"""Filters of system calls, run as the kernel would run them."""

from __future__ import annotations

import pytest

from memtui.attach.seccomp import NEEDED
from memtui.observe.seccomp import ARCHITECTURES, INSTRUCTION, Instruction, parse, verdict

X86 = ARCHITECTURES["x86_64"]
KILL, TRAP, ERRNO, ALLOW = 0x80000000, 0x00030000, 0x00050001, 0x7FFF0000
LOAD_NUMBER: Instruction = (0x20, 0, 0, 0)
LOAD_ARCHITECTURE: Instruction = (0x20, 0, 0, 4)
LOAD_ARGUMENT: Instruction = (0x20, 0, 0, 16)


def answer(value: int) -> Instruction:
    return (0x06, 0, 0, value)


def deny(number: int, action: int) -> list[Instruction]:
    return [LOAD_NUMBER, (0x15, 0, 1, number), answer(action), answer(ALLOW)]


@pytest.mark.parametrize(
    ("action", "word"),
    [(KILL, "kill"), (0, "kill-thread"), (TRAP, "trap"), (ERRNO, "errno"), (0x7FFC0000, "log"), (ALLOW, "allow")],
)
def test_one_call_is_denied_the_others_pass(action: int, word: str) -> None:
    assert verdict([deny(319, action)], X86, 319, ()) == word
    assert verdict([deny(319, action)], X86, 318, ()) == "allow"


def test_of_several_filters_the_gravest_counts() -> None:
    filters = [deny(56, ERRNO), deny(56, ALLOW), deny(53, TRAP), deny(53, KILL), deny(41, 0), deny(41, TRAP)]
    assert verdict(filters, X86, 56, ()) == "errno"
    assert verdict(filters, X86, 53, ()) == "kill"
    assert verdict(filters, X86, 41, ()) == "kill-thread"
    assert verdict([], X86, 41, ()) == "allow"


def test_another_architecture_and_arguments() -> None:
    other = [LOAD_ARCHITECTURE, (0x15, 1, 0, X86), answer(KILL), answer(ALLOW)]
    assert verdict([other], X86, 0, ()) == "allow"
    assert verdict([other], ARCHITECTURES["aarch64"], 0, ()) == "kill"
    flags = [LOAD_ARGUMENT, (0x45, 0, 1, 0x10000), answer(ERRNO), answer(ALLOW)]
    assert verdict([flags], X86, 56, (0x10200,)) == "errno"
    assert verdict([flags], X86, 56, ()) == "allow"


def computed(*code: Instruction) -> int:
    """What the program leaves in the accumulator, told by a test for each bit."""
    found = 0
    for bit in range(32):
        program = [*code, (0x45, 0, 1, 1 << bit), answer(KILL), answer(ALLOW)]
        found |= (verdict([program], X86, 0, ()) == "kill") << bit
    return found


LOAD_7: Instruction = (0x00, 0, 0, 7)


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ((0x04, 0, 0, 3), 10), ((0x14, 0, 0, 9), 0xFFFFFFFE), ((0x24, 0, 0, 5), 35), ((0x34, 0, 0, 2), 3),
        ((0x44, 0, 0, 8), 15), ((0x54, 0, 0, 5), 5), ((0x64, 0, 0, 30), 0xC0000000), ((0x74, 0, 0, 1), 3),
        ((0xA4, 0, 0, 2), 5), ((0x84, 0, 0, 0), 0xFFFFFFF9), ((0x80, 0, 0, 0), 64),
    ],
)  # fmt: skip
def test_arithmetic(code: Instruction, result: int) -> None:
    assert computed(LOAD_7, code) == result


def test_memory_and_the_index_register() -> None:
    store, load, to_index, from_index = (0x02, 0, 0, 3), (0x60, 0, 0, 3), (0x07, 0, 0, 0), (0x87, 0, 0, 0)
    assert computed(LOAD_7, store, (0x00, 0, 0, 1), load) == 7
    assert computed(LOAD_7, to_index, (0x00, 0, 0, 1), from_index) == 7
    assert computed(LOAD_7, to_index, (0x00, 0, 0, 5), (0x2C, 0, 0, 0)) == 35
    assert computed((0x01, 0, 0, 9), (0x03, 0, 0, 2), (0x60, 0, 0, 2)) == 9


def test_jumps_and_an_answer_from_the_accumulator() -> None:
    over = [(0x05, 0, 0, 1), answer(KILL), LOAD_NUMBER, (0x25, 0, 1, 100), answer(TRAP), (0x35, 0, 1, 50)]
    over += [answer(ERRNO), (0x00, 0, 0, ALLOW), (0x16, 0, 0, 0)]
    assert [verdict([over], X86, one, ()) for one in (101, 100, 50, 49)] == ["trap", "errno", "errno", "allow"]


def test_a_program_that_does_not_end_in_an_answer_kills() -> None:
    assert verdict([[LOAD_NUMBER]], X86, 0, ()) == "kill"
    assert verdict([[(0x20, 0, 0, 4096), answer(ALLOW)]], X86, 0, ()) == "allow"


def test_programs_as_the_kernel_hands_them_out() -> None:
    program = deny(319, KILL)
    assert parse(b"".join(INSTRUCTION.pack(*one) for one in program)) == program


def test_both_processors_need_the_same_calls() -> None:
    one, other = (NEEDED[name].keys() - {"poll", "ppoll"} for name in ("x86_64", "aarch64"))
    assert one == other
