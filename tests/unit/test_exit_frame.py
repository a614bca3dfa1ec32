"""The stack on which a copy that nobody traces calls ``_exit``."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from memtui.attach import aarch64, x86_64

EMULATOR = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
BELOW = 0x7FFF12345678
EXIT, RESTORE = 0x7F0000001230, 0x7F0000004560


def test_on_x86_64_a_plain_return_goes_there() -> None:
    frame = x86_64.exit_frame(bytes(216), b"", 0, RESTORE, BELOW, EXIT)
    assert BELOW - 96 <= frame.stack_pointer < BELOW
    assert frame.stack_pointer % 16 == 0
    assert frame.blocks == ((frame.stack_pointer, struct.pack("<Q", EXIT)),)


def test_on_aarch64_the_same_return_restores_into_it() -> None:
    raw = struct.pack("<34Q", *range(1, 35))
    floats = bytes(528)
    heal = aarch64.heal_frame(raw, floats, 5, RESTORE, BELOW)
    leave = aarch64.exit_frame(raw, floats, 5, RESTORE, heal.stack_pointer, EXIT)
    ((place, data),) = leave.blocks
    assert place == leave.stack_pointer
    assert place + len(data) <= heal.stack_pointer
    assert leave.restore_rt == heal.restore_rt
    assert struct.pack("<Q", EXIT) in data
    assert struct.pack("<Q", EXIT) not in heal.blocks[0][1]


def instructions(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


@pytest.mark.skipif(EMULATOR is None, reason="no emulator (qemu-user)")
def test_on_aarch64_the_emulator_leaves_there(tmp_path: Path) -> None:
    """A program whose stack pointer is at the frame calls ``rt_sigreturn`` and ends with the code of the function."""
    assert EMULATOR is not None
    base, stack = 0x400000, 0x500000
    leave_with_7 = instructions(0xD28000E0, 0xD2800BC8, 0xD4000001)  # mov x0, #7; mov x8, #94; svc #0
    registers = [0] * 34
    raw = struct.pack("<34Q", *registers)
    frame = aarch64.exit_frame(raw, bytes(528), 0, RESTORE, stack + 0x4000, base + 0x1000)
    ((place, data),) = frame.blocks
    high, low = frame.stack_pointer >> 16, frame.stack_pointer & 0xFFFF
    set_stack = instructions(0xD2A00000 | high << 5 | 9, 0xF2800000 | low << 5 | 9, 0x9100013F)
    start = set_stack + instructions(0xD2801168, 0xD4000001)  # mov x8, #139; svc #0
    file = tmp_path / "program"
    file.write_bytes(program({base: start.ljust(0x1000, b"\0") + leave_with_7, stack: bytes(0x8000)}, place, data))
    file.chmod(0o755)
    assert subprocess.run([EMULATOR, str(file)], check=False).returncode == 7


def program(segments: dict[int, bytes], place: int, data: bytes) -> bytes:
    """An ELF file that is loaded as it is and begins at its first segment; ``data`` is put at ``place``."""
    headers, content, offset = b"", b"", 0x1000
    for address, given in segments.items():
        text = given
        if address <= place < address + len(text):
            at = place - address
            text = text[:at] + data + text[at + len(data) :]
        headers += struct.pack("<IIQQQQQQ", 1, 7, offset, address, address, len(text), len(text), 0x1000)
        content += text.ljust(-(-len(text) // 0x1000) * 0x1000, b"\0")
        offset = 0x1000 + len(content)
    magic = b"\x7fELF\x02\x01\x01" + bytes(9)
    entry = next(iter(segments))
    elf = magic + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, entry, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return (elf + headers).ljust(0x1000, b"\0") + content
