"""The x86-64 frame that heals a borrowed thread, byte by byte as the kernel's rt_sigreturn will read it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.attach import ptrace
from memtui.attach import x86_64 as arch
from memtui.attach.heal import HealFrame

RESTORE_RT, MASK, FEATURES = 0x7F0000001234, 0xDEADBEEF, 0x602E7
WORD = st.integers(0, (1 << 64) - 1)
REGISTERS_AT, FPU_POINTER_AT, MASK_AT = 40, 40 + 23 * 8, 40 + 256
IN_CONTEXT = (
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp",
    "rip", "eflags",
)  # fmt: skip
"""The order in ``struct sigcontext``."""


def registers(**changes: int) -> dict[str, int]:
    """A thread that runs, with a number of its own in each register."""
    own = {name: 0x1000 + number for number, name in enumerate(arch.REGISTERS)}
    return {**own, "orig_rax": (1 << 64) - 1, "cs": 0x33, "ss": 0x2B, "rsp": 0x7FFF_FFFF_E0C4, **changes}


def xsave(size: int, features: int = 7) -> bytes:
    """An image as ptrace gives it: the features that may be used stand in the part that hardware leaves free."""
    image = bytearray(number % 251 for number in range(size))
    struct.pack_into("<Q", image, 464, FEATURES)
    struct.pack_into("<Q", image, 512, features)
    return bytes(image)


def frame(below: int | None = None, image: bytes = xsave(2696), **changes: int) -> HealFrame:
    raw = arch.pack(registers(**changes))
    return arch.heal_frame(raw, image, MASK, RESTORE_RT, arch.below_red_zone(raw) if below is None else below)


def context_of(made: HealFrame) -> bytes:
    """``struct ucontext``, as it will lie in memory."""
    return dict(made.blocks)[made.stack_pointer][8:]


def restored(made: HealFrame) -> dict[str, int]:
    values = struct.unpack_from("<18Q", context_of(made), REGISTERS_AT)
    return dict(zip(IN_CONTEXT, values, strict=True))


@given(st.integers(1 << 20, 1 << 47), st.sampled_from([512 + 64, 832, 2440, 2696, 11008]))
def test_it_lies_in_order_below_and_aligned(below: int, size: int) -> None:
    made = frame(below, xsave(size))
    (fpu, image), (bottom, block) = made.blocks
    assert fpu % 64 == 0
    assert made.context % 16 == 0
    assert bottom == made.stack_pointer == made.context - 8
    assert bottom + len(block) <= fpu < fpu + len(image) <= below
    assert below - bottom < size + 700, "it does not reach deeper than it has to"
    assert struct.unpack_from("<Q", block) == (RESTORE_RT,)
    assert struct.unpack_from("<Q", context_of(made), FPU_POINTER_AT) == (fpu,)


def test_the_red_zone_is_left_alone() -> None:
    made = frame()
    assert max(address + len(data) for address, data in made.blocks) <= registers()["rsp"] - 128


@given(st.fixed_dictionaries({name: WORD for name in IN_CONTEXT if name not in ("rax", "rip", "rsp")}))
def test_every_register_is_in_its_place(values: dict[str, int]) -> None:
    expected = {name: {**registers(), **values}[name] for name in IN_CONTEXT}
    assert restored(frame(**values)) == expected


def test_segments_mask_and_alternate_stack() -> None:
    context = context_of(frame())
    assert struct.unpack_from("<4H", context, REGISTERS_AT + 18 * 8) == (0x33, 0, 0, 0x2B)
    assert struct.unpack_from("<Q", context, MASK_AT) == (MASK,)
    assert len(context) == MASK_AT + 8
    flags, _, _, stack_flags = struct.unpack_from("<QQQi", context)
    assert flags == 7  # UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
    assert stack_flags not in (0, 1, 2, 4), "the kernel has to refuse it, so that the alternate stack stays as it is"


@pytest.mark.parametrize("error", [-512, -513, -514])
def test_an_interrupted_call_is_made_again(error: int) -> None:
    back = restored(frame(orig_rax=7, rax=error, rip=0x5000))
    assert (back["rax"], back["rip"]) == (7, 0x4FFE)


def test_a_timed_wait_that_cannot_be_made_again_says_that_it_was_interrupted() -> None:
    back = restored(frame(orig_rax=230, rax=-516, rip=0x5000))
    assert (arch.signed(back["rax"]), back["rip"]) == (-4, 0x5000)


@pytest.mark.parametrize(("orig_rax", "rax"), [(7, 1), (7, -4), (7, -11), (-1, -512), (-1, -516)])
def test_a_call_that_is_over_or_never_was_stays_as_it_is(orig_rax: int, rax: int) -> None:
    back = restored(frame(orig_rax=orig_rax, rax=rax, rip=0x5000))
    assert (arch.signed(back["rax"]), back["rip"]) == (rax, 0x5000)


def check_image(image: bytes, size: int, source: bytes) -> None:
    assert image[:464] == source[:464]
    assert image[512:size] == source[512:size]
    magic, extended_size, features, state_size = struct.unpack_from("<IIQI", image, 464)
    assert (magic, extended_size, features, state_size) == (0x46505853, size + 4, FEATURES, size)
    assert image[464 + 20 : 512] == bytes(28)
    assert image[size:] == struct.pack("<I", 0x46505845)


@pytest.mark.parametrize("size", [832, 2440, 2696])
def test_the_fpu_image_is_as_the_kernel_writes_it(size: int) -> None:
    check_image(frame(image=xsave(size)).blocks[0][1], size, xsave(size))


def test_amx_state_is_kept_only_where_there_is_some() -> None:
    without, used = xsave(11008), xsave(11008, features=7 | 1 << 18)
    check_image(frame(image=without).blocks[0][1], 2696, without)
    check_image(frame(image=used).blocks[0][1], 11008, used)


@given(st.fixed_dictionaries(dict.fromkeys(arch.REGISTERS, WORD)))
def test_registers_pack_as_they_unpack(values: dict[str, int]) -> None:
    assert arch.unpack(arch.pack(values)) == values


def test_a_call_is_set_up_as_a_function_expects_it() -> None:
    made, direction, trap = frame(), 0x400, 0x100
    raw = arch.pack(registers(eflags=0x246 | direction | trap, orig_rax=7, rax=-512))
    ((kind, changed),) = arch.to_call(raw, 0xABC0, (1, 2, 3, 4), made)
    now = arch.unpack(changed)
    assert kind == ptrace.NT_PRSTATUS
    assert [now[name] for name in ("rip", "rdi", "rsi", "rdx", "rcx")] == [0xABC0, 1, 2, 3, 4]
    assert now["rsp"] % 16 == 8, "as after a call instruction"
    assert now["eflags"] == 0x246
    assert now["orig_rax"] >> 63, "the call that was interrupted is not to be made again now"
    ((_, changed),) = arch.to_system_call(raw, 0xDEF0, 9, (1, 2, 3, 4), made)
    now = arch.unpack(changed)
    assert [now[name] for name in ("rip", "rax", "rdi", "rsi", "rdx", "r10")] == [0xDEF0, 9, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("changes", "sleeps"),
    [
        ({"orig_rax": 7, "rax": -516}, True),  # poll
        ({"orig_rax": 232, "rax": -4}, True),  # epoll_wait
        ({"orig_rax": 202, "rax": -512, "rsi": 0x189}, True),  # a condition: FUTEX_WAIT_BITSET, private, real time
        ({"orig_rax": 202, "rax": -512, "rsi": 0x80}, False),  # one of libc's own locks: FUTEX_WAIT
        ({"orig_rax": 9, "rax": -512}, False),  # mmap
        ({"orig_rax": 7, "rax": 0}, False),  # over
        ({"orig_rax": -1, "rax": -512}, False),  # no call at all
    ],
)
def test_harmless_waits(changes: dict[str, int], sleeps: bool) -> None:
    assert arch.sleeps_harmlessly(arch.pack(registers(**changes)), lambda address, size: b"") is sleeps
