"""The aarch64 part of the attach: its code by a disassembler, frames and stubs in an emulator, where they exist."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from memtui.attach import aarch64, aarch64_stubs, ptrace, stubs
from memtui.attach.heal import HealFrame

OBJDUMP = shutil.which("aarch64-linux-gnu-objdump")
EMULATOR = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
NAMES = (
    "Py_AddPendingCall", "Py_IsInitialized", "PyRun_SimpleString", "PyGILState_Ensure", "PyGILState_Release",
    "pthread_create", "pthread_self", "pthread_detach", "munmap",
)  # fmt: skip
SYMBOLS = {name: 0x123456789000 + 0x100 * at for at, name in enumerate(NAMES)}
BASE, LEAVE_ZERO, RESULT = 0x7F0000400000, 0x7F0000300000, 0x7F0000200000
SVC, RET = 0xD4000001, 0xD65F03C0
REGISTERS = [*(0x1111 * (at + 1) for at in range(31)), 0x7FFFFFFF0008, 0x400100, 0x60000000]

needs_objdump = pytest.mark.skipif(OBJDUMP is None, reason="no disassembler (binutils-aarch64-linux-gnu)")
needs_emulator = pytest.mark.skipif(EMULATOR is None, reason="no emulator (qemu-user)")


def raw(**changes: int) -> bytes:
    values = dict(enumerate(REGISTERS))
    values |= {int(name[1:]) if name[0] == "x" else {"sp": 31, "pc": 32}[name]: one for name, one in changes.items()}
    return struct.pack("<34Q", *(one & (1 << 64) - 1 for one in values.values()))


def code(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


def load(register: int, value: int) -> bytes:
    words = [0xD2800000, 0xF2A00000, 0xF2C00000, 0xF2E00000]
    return code(*(one | (value >> 16 * at & 0xFFFF) << 5 | register for at, one in enumerate(words)))


def disassemble(data: bytes, folder: Path) -> list[str]:
    assert OBJDUMP is not None
    file = folder / "code"
    file.write_bytes(data)
    command = [OBJDUMP, "-D", "-b", "binary", "-m", "aarch64", "--no-show-raw-insn", str(file)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^\s*[0-9a-f]+:\t(.*)$", text, re.MULTILINE)
    return [re.sub(r"\s+", " ", line.split("//")[0]).strip() for line in lines]


def loads(register: str, value: int) -> list[str]:
    """What a disassembler shows for the four instructions that load a number."""
    parts = [f"{value >> shift & 0xFFFF:#x}" for shift in (0, 16, 32, 48)]
    shown = [f"mov {register}, #{parts[0]}"]
    return shown + [f"movk {register}, #{part}, lsl #{16 * at}" for at, part in enumerate(parts[1:], 1)]


def call(name: str) -> list[str]:
    return [*loads("x16", SYMBOLS[name]), "blr x16"]


@needs_objdump
def test_queue_stub(tmp_path: Path) -> None:
    assert disassemble(aarch64_stubs.queue_stub(SYMBOLS, RESULT), tmp_path) == [
        "stp x29, x30, [sp, #-16]!", *call("Py_AddPendingCall"), *loads("x1", RESULT), "str w0, [x1]",
        "ldp x29, x30, [sp], #16", "ret",
    ]  # fmt: skip


@needs_objdump
def test_pending_stub_that_leaves_the_page(tmp_path: Path) -> None:
    assert disassemble(aarch64_stubs.pending_stub(SYMBOLS, BASE + 192, BASE + 512, LEAVE_ZERO), tmp_path) == [
        "stp x29, x30, [sp, #-32]!", "add x0, sp, #0x10", "mov x1, #0x0", *loads("x2", BASE + 192),
        *loads("x3", BASE + 512), *loads("x30", LEAVE_ZERO), *loads("x16", SYMBOLS["pthread_create"]), "br x16",
    ]  # fmt: skip


@needs_objdump
def test_pending_stub_that_returns_by_itself(tmp_path: Path) -> None:
    assert disassemble(aarch64_stubs.pending_stub(SYMBOLS, BASE + 192, BASE + 512, None), tmp_path) == [
        "stp x29, x30, [sp, #-16]!", "sub sp, sp, #0x10", "mov x0, sp", "mov x1, #0x0", *loads("x2", BASE + 192),
        *loads("x3", BASE + 512), *call("pthread_create"), "mov w0, #0x0", "add sp, sp, #0x10",
        "ldp x29, x30, [sp], #16", "ret",
    ]  # fmt: skip


@needs_objdump
@pytest.mark.parametrize("removal", [None, (BASE, 8192)])
def test_thread_stub(tmp_path: Path, removal: tuple[int, int] | None) -> None:
    shown = disassemble(aarch64_stubs.thread_stub(SYMBOLS, removal), tmp_path)
    end = ["ret"]
    if removal is not None:
        end = [*loads("x0", BASE), *loads("x1", 8192), *loads("x16", SYMBOLS["munmap"]), "br x16"]
    skip = next(at for at, one in enumerate(shown) if one.startswith("cbz"))
    assert shown[:skip] == [
        "stp x29, x30, [sp, #-16]!", "stp x19, x20, [sp, #-16]!", "mov x19, x0", *call("pthread_self"),
        *call("pthread_detach"), *call("Py_IsInitialized"),
    ]  # fmt: skip
    after = ["mov w0, #0x0", "ldp x19, x20, [sp], #16", "ldp x29, x30, [sp], #16", *end]
    assert shown[skip + 1 :] == [
        *call("PyGILState_Ensure"), "mov w20, w0", "mov x0, x19", *call("PyRun_SimpleString"), "mov w0, w20",
        *call("PyGILState_Release"), *after,
    ]  # fmt: skip
    assert shown[skip] == f"cbz w0, {4 * (len(shown) - len(after)):#x}"


@needs_objdump
def test_a_second_text_is_run_with_the_gil_too(tmp_path: Path) -> None:
    shown = disassemble(aarch64_stubs.thread_stub(SYMBOLS, None, [BASE + 777]), tmp_path)
    begin = shown.index("mov w20, w0")
    assert shown[begin : begin + 20] == [
        "mov w20, w0", "mov x0, x19", *call("PyRun_SimpleString"), *loads("x0", BASE + 777),
        *call("PyRun_SimpleString"), "mov w0, w20", *call("PyGILState_Release")[:3],
    ]  # fmt: skip
    skip = next(one for one in shown if one.startswith("cbz"))
    assert shown[int(skip.split("#")[1], 16) // 4] == "mov w0, #0x0"


@needs_objdump
def test_pieces_of_code_looked_for(tmp_path: Path) -> None:
    shown = {name: [disassemble(one, tmp_path) for one in forms] for name, forms in aarch64.GADGETS.items()}
    assert shown == {
        "syscall_ret": [["svc #0x0", "ret"], ["svc #0x0", "cmn x0, #0xfff", "b.cs 0x10", "ret"]],
        "restore_rt": [["mov x8, #0x8b", "svc #0x0"]],
        "leave_zero": [["mov w0, #0x0", "ldp x29, x30, [sp], #32", "ret"]],
    }


def test_the_stubs_fit_their_page() -> None:
    for leave_zero in (None, LEAVE_ZERO):
        page = stubs.build_page(BASE, b"pass", SYMBOLS, RESULT, leave_zero, aarch64_stubs)
        assert page.content[page.source - BASE :][:5] == b"pass\0"
        assert not any(place % 4 for place in (page.queue, page.pending, page.thread))


def test_an_interrupted_call_is_seen_by_its_instruction() -> None:
    memory = {0x400100: code(SVC), 0x4000FC: code(RET)}
    asleep = raw(x8=98, x1=0x189)

    def read(address: int, size: int) -> bytes:
        return memory[address][:size]

    assert aarch64.interrupted_call(asleep, read) == 98
    assert aarch64.sleeps_harmlessly(asleep, read)
    assert not aarch64.sleeps_harmlessly(raw(x8=98, x1=0x80), read), "a lock of the C library"
    assert aarch64.sleeps_harmlessly(raw(x8=115, x1=1), read)
    assert not aarch64.sleeps_harmlessly(raw(x8=115, x1=0), read), "it would sleep again from the beginning"
    assert not aarch64.sleeps_harmlessly(raw(x8=222), read)
    memory = {0x400100: code(RET), 0x4000FC: code(SVC)}
    assert aarch64.interrupted_call(raw(x8=22, x0=-4), read) == 22
    assert aarch64.interrupted_call(raw(x8=22, x0=7), read) is None


def test_a_call_returns_into_the_frame() -> None:
    before = raw()
    frame = aarch64.heal_frame(before, bytes(528), 0, 0x7000, 0x7FFFFFFF0008)
    (kind, changed), cancelled = aarch64.to_call(before, 0x5000, (1, 2, 3), frame)
    assert kind == ptrace.NT_PRSTATUS
    assert cancelled == (0x404, b"\xff\xff\xff\xff")
    values = struct.unpack("<34Q", changed)
    assert values[:4] == (1, 2, 3, REGISTERS[3])
    assert (values[30], values[31], values[32]) == (0x7000, frame.stack_pointer, 0x5000)
    assert frame.stack_pointer % 16 == 0
    assert frame.blocks[0][0] + len(frame.blocks[0][1]) <= 0x7FFFFFFF0008


def test_a_system_call_has_its_number_in_x8() -> None:
    before = raw()
    frame = HealFrame((), 0x8000, 0x8000, 0x7000)
    values = struct.unpack("<34Q", aarch64.to_system_call(before, 0x5000, 222, (0, 4096), frame)[0][1])
    assert (values[0], values[1], values[8], values[30], values[31], values[32]) == (
        0,
        4096,
        222,
        0x7000,
        0x8000,
        0x5000,
    )


def elf(segments: dict[int, tuple[bytes, int]], entry: int) -> bytes:
    """A program: what is to be at which address, with which rights (4 read, 2 write, 1 execute)."""
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 183, 1, entry, 64, 0, 0, 64, 56, len(segments), 0, 0, 0
    )
    offset = 0x1000
    heads, bodies = b"", b""
    for address, (data, rights) in segments.items():
        heads += struct.pack("<IIQQQQQQ", 1, rights, offset, address, address, len(data), len(data), 0x1000)
        padded = data + bytes(-len(data) % 0x1000)
        offset, bodies = offset + len(padded), bodies + padded
    return (header + heads).ljust(0x1000, b"\0") + bodies


def emulate(program: bytes, folder: Path) -> subprocess.CompletedProcess[bytes]:
    assert EMULATOR is not None
    file = folder / "program"
    file.write_bytes(program)
    file.chmod(0o755)
    return subprocess.run([EMULATOR, str(file)], capture_output=True, timeout=60, check=False)


WRITE_AND_EXIT = (
    load(8, 64) + code(SVC)  # write(x0, x1, x2)
    + load(0, 0) + load(8, 94) + code(SVC)  # exit_group(0)
)  # fmt: skip


@needs_emulator
def test_a_thread_heals_by_the_frame(tmp_path: Path) -> None:
    """It goes on at its pc with its general and vector registers and its stack pointer as they were."""
    text, stack, data = 0x400000, 0x600000, 0x700000
    # The healed thread stores x0 to x30 (but x9, its pointer), d8 and its stack pointer, and writes them out.
    store = code(*(0xF9000000 | at << 10 | 9 << 5 | at for at in range(31)))
    store += code(0xFD000000 | 31 << 10 | 9 << 5 | 8, 0x910003EA, 0xF9000000 | 32 << 10 | 9 << 5 | 10)
    healed = store + load(0, 1) + load(1, data) + load(2, 33 * 8) + WRITE_AND_EXIT
    floats = b"".join(struct.pack("<QQ", 1000 + at, 0) for at in range(32)) + struct.pack("<II8x", 0, 0)
    assert len(floats) == 528
    before = raw(pc=text + 0x100, sp=stack + 0x7FF0, x9=data)
    restore = text + 0x80
    frame = aarch64.heal_frame(before, floats, 0, restore, stack + 0x7000)
    ((place, content),) = frame.blocks
    start = load(30, restore) + load(9, frame.stack_pointer) + code(0x9100013F, RET)  # mov sp, x9; ret
    body = start.ljust(0x80, b"\0") + aarch64.GADGETS["restore_rt"][0]
    program = {
        text: (body.ljust(0x100, b"\0") + healed, 5),
        stack: (bytes(place - stack) + content + bytes(0x8000 - (place - stack) - len(content)), 6),
        data: (bytes(0x1000), 6),
    }
    done = emulate(elf(program, text), tmp_path)
    assert done.returncode == 0, done
    values = struct.unpack("<33Q", done.stdout)
    expected = list(REGISTERS[:31])
    expected[9] = data
    assert list(values[:31]) == expected
    assert values[31] == 1008, "d8"
    assert values[32] == stack + 0x7FF0


@needs_emulator
@pytest.mark.parametrize("initialized", [1, 0])
def test_the_thread_stub_runs_the_source_with_the_gil(tmp_path: Path, initialized: int) -> None:
    """Each function it calls writes its letter and its argument; the last, the removal of the page, ends it all."""
    text, page_at, data = 0x400000, 0x500000, 0x700000
    letters = {"pthread_self": b"s", "pthread_detach": b"d", "Py_IsInitialized": b"i", "PyGILState_Ensure": b"e",
               "PyRun_SimpleString": b"r", "PyGILState_Release": b"l", "munmap": b"m"}  # fmt: skip
    results = {"Py_IsInitialized": initialized, "PyGILState_Ensure": 7, "pthread_self": 5}
    symbols = {name: text + 0x1000 + 0x100 * at for at, name in enumerate(NAMES)}
    functions = bytearray(0x1000)
    for number, name in enumerate(letters):
        at = data + 8 * number
        body = load(9, at) + code(0x39000520, 0xD2800020) + load(1, at) + load(2, 2) + load(8, 64) + code(SVC)
        body += load(0, results.get(name, 0)) + code(RET)
        if name == "munmap":
            body = body[:-4] + load(0, 0) + load(8, 94) + code(SVC)
        functions[symbols[name] - text - 0x1000 : symbols[name] - text - 0x1000 + len(body)] = body
    page = stubs.build_page(page_at, b"pass", symbols, data, LEAVE_ZERO, aarch64_stubs)
    start = load(0, page.source) + load(16, page.thread) + code(0xD63F0200)
    program = {
        text: (start.ljust(0x1000, b"\0") + bytes(functions), 5),
        page_at: (page.content, 5),
        data: (b"".join(letter.ljust(8, b"\0") for letter in letters.values()).ljust(0x1000, b"\0"), 6),
    }
    done = emulate(elf(program, text), tmp_path)
    assert done.returncode == 0, done
    written = [done.stdout[at : at + 2] for at in range(0, len(done.stdout), 2)]
    called = b"".join(one[:1] for one in written)
    assert called == (b"sdierlm" if initialized else b"sdim")
    arguments = {one[:1]: one[1] for one in written}
    assert arguments[b"d"] == 5, "the thread that is detached is the one pthread_self told"
    if initialized:
        assert arguments[b"r"] == page.source & 0xFF
        assert arguments[b"l"] == 7, "what PyGILState_Ensure gave is given back"
