"""The machine code that starts the agent, on x86-64: its places on the page, and what a disassembler makes of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.attach import x86_64_stubs
from memtui.attach.plan import agent_text, bootstrap_source
from memtui.attach.stubs import PAGE_BYTES, Page, build_page, page_bytes

NAMES = (
    "Py_AddPendingCall", "Py_IsInitialized", "PyRun_SimpleString", "PyGILState_Ensure", "PyGILState_Release",
    "pthread_create", "pthread_self", "pthread_detach", "munmap",
)  # fmt: skip
SYMBOLS = {name: 0x7F11_2233_0000 + 0x1111 * number for number, name in enumerate(NAMES)}
BASE, RESULT, LEAVE = 0x7E00_0000_0000, 0x7D00_0000_0FC0, 0x7C00_0000_0123
SOURCE = b"pass\n" * 300


def texts_after(made: Page, source: bytes) -> list[int]:
    return [made.source + at + 1 for at, byte in enumerate(source) if byte == 0]


def page(leave_zero: int | None = LEAVE, source: bytes = SOURCE) -> Page:
    return build_page(BASE, source, SYMBOLS, RESULT, leave_zero, x86_64_stubs)


@given(st.binary(max_size=3 * PAGE_BYTES).filter(lambda source: b"\0" not in source))
def test_the_page_holds_the_source_and_an_end(source: bytes) -> None:
    made = page(source=source)
    assert len(made.content) == page_bytes(source)
    assert len(made.content) % PAGE_BYTES == 0
    start = made.source - BASE
    assert made.content[start:].startswith(source + b"\0")
    assert len(made.content) - start - len(source) - 1 < PAGE_BYTES, "not a page more than it needs"


def test_the_pieces_do_not_overlap_and_what_is_between_them_traps() -> None:
    made = page()
    assert BASE < made.queue < made.pending < made.thread < made.source
    assert made.content[made.queue - BASE - 1] == 0xCC
    for following in (made.pending, made.thread, made.source):
        assert made.content[following - BASE - 1] == 0xCC, "room is left before the next piece"


def test_a_piece_that_does_not_fit_is_refused() -> None:
    class TooLong:
        queue_stub = staticmethod(lambda symbols, result: b"\x90" * 200)
        pending_stub = staticmethod(x86_64_stubs.pending_stub)
        thread_stub = staticmethod(x86_64_stubs.thread_stub)

    with pytest.raises(ValueError, match="does not fit"):
        build_page(BASE, SOURCE, SYMBOLS, RESULT, LEAVE, TooLong())


def test_the_source_is_short_and_cannot_be_cut_by_a_zero() -> None:
    source = bootstrap_source("0123456789ab", 1e9, 1234, in_main_thread=True)
    assert "\0" not in source
    assert source.isascii()
    assert page_bytes(source.encode()) <= 5 * PAGE_BYTES
    compile(source, "<string>", "exec")
    whole = bootstrap_source("0123456789ab", 1e9, 1234, in_main_thread=False)
    assert whole.isascii()
    channel, follows = whole.split("\0")
    assert page_bytes(channel.encode()) <= 5 * PAGE_BYTES, "the viewer is greeted before the agent's text"
    assert repr(agent_text()) in follows
    compile(follows, "<string>", "exec")
    names, texts = agent_text().split(b"\0")[::2], agent_text().split(b"\0")[1::2]
    assert (names[0], names[-1]) == (b"originals", b"core")
    assert not any(b"__future__" in text for text in texts)


def disassembled(code: bytes, at: int, folder: Path) -> list[tuple[int, str]]:
    """Address and text of every instruction, up to the trap behind the piece."""
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("objdump is not installed")
    file = folder / "stub"
    file.write_bytes(code)
    command = [objdump, "-D", "-b", "binary", "-m", "i386:x86-64", f"--adjust-vma={at:#x}", str(file)]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    if out.returncode:
        pytest.skip("this objdump does not know x86-64")
    lines = re.findall(r"^\s*([0-9a-f]+):\t[0-9a-f ]+\t(.+?)\s*$", out.stdout, re.MULTILINE)
    found = [(int(address, 16), text) for address, text in lines]
    end = next(number for number, (_, text) in enumerate(found) if text == "int3")
    return found[:end]


def called(instructions: list[tuple[int, str]]) -> list[str]:
    """The functions that are called or jumped to, by name, in order."""
    names = {value: name for name, value in SYMBOLS.items()}
    found, loaded = [], 0
    for _, text in instructions:
        if match := re.fullmatch(r"movabs \$0x([0-9a-f]+),%rax", text):
            loaded = int(match[1], 16)
        elif re.fullmatch(r"(call|jmp) +\*%rax", text):
            found.append(names[loaded])
    return found


def depth_at_calls(instructions: list[tuple[int, str]]) -> list[int]:
    """How far below a 16 byte boundary the stack pointer is at each call (and the return address it pushes)."""
    depth, found = 8, []
    for _, text in instructions:
        if text.startswith("push"):
            depth += 8
        elif text.startswith("pop"):
            depth -= 8
        elif match := re.fullmatch(r"(sub|add) +\$0x([0-9a-f]+),%rsp", text):
            depth += int(match[2], 16) * (1 if match[1] == "sub" else -1)
        elif text.startswith("call"):
            found.append((depth + 8) % 16)
        elif text.startswith("jmp"):
            found.append(depth % 16)
    return found


@pytest.mark.parametrize("leave_zero", [LEAVE, None], ids=["removes itself", "stays"])
@pytest.mark.parametrize("name", ["queue", "pending", "thread"])
def test_a_disassembler_reads_what_is_meant(name: str, leave_zero: int | None, tmp_path: Path) -> None:
    made = page(leave_zero)
    start = getattr(made, name)
    code = disassembled(made.content[start - BASE : made.source - BASE], start, tmp_path)
    texts = [text for _, text in code]
    assert not [text for text in texts if "bad" in text]
    assert texts[-1].split()[0] in ("ret", "jmp")
    assert called(code) == {
        "queue": ["Py_AddPendingCall"],
        "pending": ["pthread_create"],
        "thread": [
            "pthread_self", "pthread_detach", "Py_IsInitialized", "PyGILState_Ensure", "PyRun_SimpleString",
            "PyGILState_Release", *(["munmap"] if leave_zero else []),
        ],
    }[name]  # fmt: skip
    assert set(depth_at_calls(code)) == {8}, "functions are entered with the stack they expect"


@pytest.mark.parametrize("more", [1, 2])
def test_texts_after_zeros_are_run_too(more: int, tmp_path: Path) -> None:
    source = b"\0".join([SOURCE, *[b"first", b"second"][:more]])
    made = page(source=source)
    code = disassembled(made.content[made.thread - BASE : made.source - BASE], made.thread, tmp_path)
    texts = "\n".join(text for _, text in code)
    run = f"{SYMBOLS['PyRun_SimpleString']:x},%rax"
    found = re.findall(rf"(?:mov +(%rbx)|movabs \$0x([0-9a-f]+)),%rdi\nmovabs \$0x{run}", texts)
    assert [given or int(at, 16) for given, at in found] == ["%rbx", *texts_after(made, source)]
    assert made.content[texts_after(made, source)[0] - BASE :].startswith(b"first\0")
    assert set(depth_at_calls(code)) == {8}


def test_an_ending_interpreter_is_jumped_over(tmp_path: Path) -> None:
    made = page()
    code = disassembled(made.content[made.thread - BASE : made.source - BASE], made.thread, tmp_path)
    address, jump = next((address, text) for address, text in code if text.startswith("je"))
    target = int(jump.split()[1], 16)
    between = [one for one in code if address < one[0] < target]
    assert called(between) == ["PyGILState_Ensure", "PyRun_SimpleString", "PyGILState_Release"]
    assert dict(code)[target] == "xor    %eax,%eax"
