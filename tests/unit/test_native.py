"""Native recordings, the pure parts: stacks to sites, names of libraries, symbol tables, foreign files, text."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from memtui.analysis.native import WHAT_IS_LISTED
from memtui.cli import main, native_report
from memtui.errors import UsageError
from memtui.model.native import NativeFrame, NativeKind, NativeLibrary, NativeReport, NativeResult, NativeSite
from memtui.native.frames import NativeFrames
from memtui.native.libraries import extension_name, is_python, is_runtime
from memtui.native.reader import Recorded
from memtui.native.recording import Requirement
from memtui.native.sites import Sites
from memtui.native.speedscope import speedscope_profile
from memtui.native.symbols import Functions
from memtui.report.native import load_native_schema, native_as_json, native_as_text
from memtui.session.messages import Message, NativeRecorded
from memtui.session.recording.codec import Codec

SITE = "/venv/lib/python3.11/site-packages"


def library_with(symbol: str) -> tuple[str, int]:
    """The file that holds a function of this process, and the function's address as the file has it."""
    address = ctypes.cast(getattr(ctypes.CDLL(None), symbol), ctypes.c_void_p).value or 0
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    spans = [(*(int(one, 16) for one in row[0].split("-")), row) for row in maps if len(row) > 5]
    path = next(row[5] for start, end, row in spans if start <= address < end)
    return path, address - min(start for start, _, row in spans if row[5] == path)


def test_functions_are_found_by_address() -> None:
    path, address = library_with("strdup")
    assert "strdup" in (Functions(path).at(address + 3) or "")


@pytest.mark.parametrize("content", [b"", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + b"\xff" * 200, b"no library" * 20])
def test_a_file_that_is_no_library_has_no_functions(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.so"
    path.write_bytes(content)
    assert Functions(str(path)).at(0x1000) is None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"{SITE}/ujson.cpython-311-x86_64-linux-gnu.so", "ujson"),
        (f"{SITE}/multidict/_multidict.cpython-311-x86_64-linux-gnu.so", "multidict._multidict"),
        (f"{SITE}/cryptography/hazmat/bindings/_rust.abi3.so", "cryptography.hazmat.bindings._rust"),
        (f"{SITE}/numpy.libs/libopenblas64_p-r0.so", "libopenblas64_p-r0.so"),
        ("/usr/lib/python3.11/lib-dynload/_ctypes.cpython-311-x86_64-linux-gnu.so", "_ctypes"),
        ("/lib/x86_64-linux-gnu/libgmp.so.10", "libgmp.so.10"),
    ],
)
def test_a_library_has_the_name_that_people_know(path: str, name: str) -> None:
    assert extension_name(path) == name


def test_roles_of_libraries() -> None:
    assert all(map(is_runtime, ("/lib/libc.so.6", "/lib/libc-2.31.so", "/lib/libstdc++.so.6", "/lib/libffi.so.8")))
    assert not any(map(is_runtime, ("/lib/libcrypto.so.3", "/lib/libcurl.so.4", f"{SITE}/ujson.so")))
    assert all(map(is_python, ("/usr/bin/python3.11", "/usr/lib/libpython3.8.so.1.0", "/usr/bin/python")))
    assert not is_python(f"{SITE}/python_magic.so")


class Stripped:
    """Libraries in which an address is its own name."""

    def __init__(self, path: str) -> None:
        self._names = NAMES.get(path, {})

    def at(self, address: int) -> str | None:
        return self._names.get(address + 1)

    def has(self, name: str) -> bool:
        return False


EXTENSION, PYTHON, LIBC = f"{SITE}/ujson.so", "/usr/bin/python3.11", "/lib/libc.so.6"
NAMES = {
    PYTHON: {0x10: "_PyEval_EvalFrameDefault", 0x20: "PyObject_Malloc", 0x30: "list_resize"},
    EXTENSION: {0x10: "decode"},
    LIBC: {0x10: "strdup"},
}
BASES = {PYTHON: 0x1000, EXTENSION: 0x2000, LIBC: 0x3000}


def site_of(
    monkeypatch: pytest.MonkeyPatch, *stack: tuple[str, int], is_mapping: bool = False
) -> tuple[NativeKind, str | None]:
    """NativeKind and function of the site of a stack, which is given innermost first."""
    monkeypatch.setattr("memtui.native.sites.Functions", Stripped)
    frames = NativeFrames()
    for library, base in BASES.items():
        frames.add_segment(library, base, 0, 0x100)
    for above, (library, address) in enumerate(reversed(stack)):
        frames.frames.append((BASES[library] + address, above))
    found = Sites(frames).find(len(stack), is_mapping)
    return found.kind, found.frame.function


EVAL, MALLOC, RESIZE, DECODE, STRDUP = (PYTHON, 0x10), (PYTHON, 0x20), (PYTHON, 0x30), (EXTENSION, 0x10), (LIBC, 0x10)


class TestSites:
    def test_the_extension_that_asked_python_for_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert site_of(monkeypatch, MALLOC, DECODE, EVAL) == (NativeKind.EXTENSION, "decode")

    def test_what_the_c_library_took_is_its_callers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert site_of(monkeypatch, STRDUP, DECODE, EVAL) == (NativeKind.EXTENSION, "decode")

    def test_an_extension_that_called_python_code_is_not_to_blame(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert site_of(monkeypatch, MALLOC, RESIZE, EVAL, DECODE, EVAL) == (NativeKind.PYTHON, "list_resize")

    def test_an_arena_is_nobodys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert site_of(monkeypatch, MALLOC, DECODE, EVAL, is_mapping=True)[0] is NativeKind.ARENA

    def test_an_extension_that_maps_memory_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert site_of(monkeypatch, DECODE, EVAL, is_mapping=True) == (NativeKind.EXTENSION, "decode")

    def test_a_stack_of_which_nothing_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert site_of(monkeypatch) == (NativeKind.UNKNOWN, None)

    def test_a_stack_that_goes_round_ends(self) -> None:
        frames = NativeFrames(frames=[(1, 2), (2, 1)])
        assert list(frames.stack(1)) == [1]
        assert list(frames.stack(2)) == [2, 1]


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "It is empty"), (b"not at all", "no recording"), (b"memray\0" + b"\xff" * 300, "memray says")],
)
def test_a_file_that_is_no_recording(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=why):
        Recorded(path).report(5)


def test_a_recording_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no such file"):
        Recorded(tmp_path / "none").check()
    with pytest.raises(UsageError, match="It is no file"):
        Recorded(tmp_path).check()


def test_how_to_get_memray_names_the_interpreter_of_the_process() -> None:
    Requirement("/venv/bin/python", "1.20.0").check(7)
    with pytest.raises(Exception, match="'/my venv/bin/python' -m pip install memray"):
        Requirement("/my venv/bin/python", None).check(7)


def parsed(*arguments: str) -> argparse.Namespace:
    parser = main.Parser(prog="memtui native report")
    native_report.configure(parser)
    return native_report.parse(parser, list(arguments))


class TestReportArguments:
    def test_without_options_it_is_all(self) -> None:
        args = parsed("x.bin")
        assert (args.all, args.table, args.flamegraph) == (True, Path("x.table.html"), Path("x.flamegraph.html"))
        assert args.speedscope == Path("x.speedscope.json")

    def test_one_page_alone(self) -> None:
        args = parsed("--table", "x.bin")
        assert (args.all, args.file, args.table, args.flamegraph) == (
            False,
            Path("x.bin"),
            Path("x.table.html"),
            None,
        )
        assert parsed("x.bin", "--flamegraph", "y.html").flamegraph == Path("y.html")

    def test_no_file(self) -> None:
        with pytest.raises(UsageError, match="FILE of a recording is missing"):
            parsed("--stats")


def report() -> NativeReport:
    frame = NativeFrame(None, None, None, EXTENSION, 0x128A4)
    caller = NativeFrame("decode\x1b[31m", None, None, EXTENSION, 0x40)
    malloc = NativeFrame("strdup", None, None, LIBC, 0x10)
    site = NativeSite(
        NativeKind.EXTENSION,
        EXTENSION,
        "ujson",
        frame,
        2048,
        2,
        (NativeFrame("step", "app.py", 3),),
        (malloc, frame, caller),
    )
    library = NativeLibrary(NativeKind.EXTENSION, EXTENSION, "ujson", 2048, 2)
    return NativeReport(7, "app.py", 0.0, None, 9, 4096, 2048, 2, True, True, 1, (site,), (library,))


def test_text_names_extension_place_and_python_line() -> None:
    text = "\n".join(native_as_text(report()))
    assert "ujson: +0x128a4 (no symbols)" in text
    assert "through strdup (libc.so.6)" in text
    assert "within  decode\\x1b[31m" in text
    assert "step (app.py:3)" in text
    assert "cut off" in text
    assert WHAT_IS_LISTED in text


def test_json_has_plain_values() -> None:
    found = native_as_json(report(), "time", None)
    Draft202012Validator(load_native_schema()).validate(json.loads(json.dumps(found)))
    assert found["schema"] == "memtui.native/1"
    assert found["sites"][0]["kind"] == found["libraries"][0]["kind"] == "extension"
    assert found["seconds"] is None
    assert os.path.basename(found["libraries"][0]["library"]) == "ujson.so"


class Record:
    """An allocation record as memray's reader gives it."""

    def __init__(self, size: int, count: int, *places: tuple[str, str, int]) -> None:
        self.size, self.n_allocations, self._places = size, count, places

    def stack_trace(self) -> list[tuple[str, str, int]]:
        return list(self._places)[1:]

    def hybrid_stack_trace(self) -> list[tuple[str, str, int]]:
        return list(self._places)


def test_a_schema_that_refuses_what_is_wrong() -> None:
    found = native_as_json(report(), "time", None)
    for wrong in ({"ended": "never"}, {"schema": "memtui.native/2"}, {"count": -1}, {"more": 1}):
        assert not Draft202012Validator(load_native_schema()).is_valid(json.loads(json.dumps({**found, **wrong})))


def test_speedscope_without_memrays_own() -> None:
    inner, outer = ("decode", "ujson.c", 0), ("take", "app.py", 3)
    records: list[Any] = [Record(100, 2, inner, outer), Record(50, 1, inner, outer), Record(7, 1, outer, outer)]
    found = speedscope_profile(records, "app.py", native=True)
    assert found["shared"]["frames"][0] == {"name": "take", "file": "app.py", "line": 3}
    assert found["shared"]["frames"][1] == {"name": "decode", "file": "ujson.c"}
    memory, allocations = found["profiles"]
    assert (memory["samples"], memory["weights"], memory["endValue"]) == ([[0, 1], [0, 0]], [150, 7], 157)
    assert (allocations["weights"], allocations["unit"]) == ([3, 1], "none")
    assert speedscope_profile(records, "app.py", native=False)["profiles"][0]["samples"] == [[0]]


def test_a_result_is_recorded_whole() -> None:
    message = NativeRecorded(NativeResult(report(), "/x.bin", "time", 0.4, 40.0))
    written = json.loads(json.dumps(Codec().encode(message, Message)))
    assert Codec(Codec().field_table(Message)).decode(written, Message) == message


def test_reading_a_recording_takes_no_more_memory_than_it_can_need(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(1000))
    code = """
import sys
from memtui.native import reading_main
reading_main._do = lambda asked: len(bytearray(asked["most"]))
reading_main.main(sys.argv[1:])
"""
    said = {}
    for most in (1 << 20, 3 << 30):
        asked = json.dumps({"path": str(tmp_path / "x.bin"), "most": most})
        command, pipe = [sys.executable, "-c", code, asked], subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as reader:
            assert reader.stdout is not None
            said[most] = json.loads(reader.stdout.read())
    assert said[1 << 20] == {"ok": True, "result": 1 << 20}
    assert said[3 << 30]["ok"] is False
    assert "more memory than a recording of this size can need" in said[3 << 30]["why"]
