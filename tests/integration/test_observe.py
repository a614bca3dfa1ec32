from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from interpreters import Interpreter
from observed import line_from, reporting, running, until

from memtui.errors import RefusedError, TargetDiedError
from memtui.model.gc import GcState
from memtui.observe import gcstate
from memtui.observe.elf import exported
from memtui.observe.gcstate import GcReader
from memtui.observe.interpreter import find_interpreter
from memtui.observe.maps import MappedFile, open_mapped, read_maps
from memtui.observe.offsets import offsets_for

TOOLS = Path(__file__).parents[1] / "tools"

KEEPING = "gc.disable(); gc.collect(); kept = [[] for _ in range(30_000)]"
THRESHOLDS = "gc.set_threshold(901, 11, 12)"
FROZEN = "kept = [[] for _ in range(30_000)]; gc.collect(); gc.freeze(); gc.disable()"
CYCLES = """
class A: pass
for _ in range(50):
    a = A(); a.a = a
del a
gc.collect(0); gc.collect(1); gc.collect()
gc.disable()
"""
BUSY = "while True: x = [[] for _ in range(1000)]; y = []; y.append(y)"


def read(pid: int) -> GcState:
    with GcReader(find_interpreter(pid)) as reader:
        return reader.read()


def agrees(state: GcState, said: Any) -> None:
    """The state is what the process said; since then it may have made a few objects more."""
    enabled, thresholds, counts, stats = said
    assert state.enabled is enabled
    assert [one.threshold for one in state.generations] == thresholds
    assert counts[0] <= state.generations[0].count <= counts[0] + 600
    assert [one.count for one in state.generations[1:]] == counts[1:]
    assert [
        {"collections": one.collections, "collected": one.collected, "uncollectable": one.uncollectable}
        for one in state.generations
    ] == stats


@pytest.mark.parametrize("setup", [KEEPING, f"{THRESHOLDS}\n{KEEPING}", FROZEN, CYCLES])
def test_the_collector_is_what_the_process_itself_says(interpreter: Interpreter, setup: str) -> None:
    with reporting(interpreter.path, setup) as (process, said):
        agrees(read(process.pid), said)


def test_an_enabled_collector(interpreter: Interpreter) -> None:
    with reporting(interpreter.path, "gc.collect()") as (process, said):
        agrees(read(process.pid), said)


def test_survivors_of_a_full_collection(interpreter: Interpreter) -> None:
    setup = "gc.disable(); kept = [[] for _ in range(30_000)]; gc.collect(); print(len(gc.get_objects()), flush=True)"
    with running(interpreter.path, "-c", f"import gc, sys; {setup}; sys.stdin.read()") as process:
        tracked = int(line_from(process))
        objects = read(process.pid).objects
        assert objects is not None
        assert 30_000 < objects <= tracked + 100


def test_a_busy_process_is_read_without_nonsense(interpreter: Interpreter) -> None:
    with reporting(interpreter.path, "", BUSY) as (process, _), GcReader(find_interpreter(process.pid)) as reader:
        collections = [0]

        def collects() -> bool:
            states = [reader.read() for _ in range(50)]
            assert all(state.enabled and state.generations[0].count < 10_000 for state in states)
            collections.append(states[-1].generations[0].collections)
            assert collections == sorted(collections)
            return collections[-1] > collections[1] + 10

        until(collects)


def test_a_process_that_collects_all_the_time_is_believed(interpreter: Interpreter) -> None:
    with reporting(interpreter.path, "kept = [[] for _ in range(200_000)]", "while True: gc.collect()") as (
        process,
        _,
    ):
        found = find_interpreter(process.pid)
        first = read(process.pid).generations[2].collections

        def collects() -> bool:
            with GcReader(found) as reader:
                return reader.read().generations[2].collections > first + 5

        until(collects)


def test_sub_interpreters_do_not_hide_the_main_one(interpreter: Interpreter) -> None:
    module = "_interpreters" if interpreter.minor >= (3, 13) else "_xxsubinterpreters"
    setup = f"import {module} as subs; other = [subs.create(), subs.create()]; {THRESHOLDS}; {KEEPING}"
    with reporting(interpreter.path, setup) as (process, said):
        agrees(read(process.pid), said)


@pytest.mark.parametrize("shift", [-64, -24, -8, 8, 24, 64])
def test_a_collector_that_is_elsewhere_is_refused(
    interpreter: Interpreter, shift: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reporting(interpreter.path, KEEPING) as (process, _):
        found = find_interpreter(process.pid)
        true = offsets_for(found.minor)
        wrong = replace(true, **{name: getattr(true, name) + shift for name in ("gc_generations", "gc_permanent")})
        monkeypatch.setattr(gcstate, "offsets_for", lambda minor: wrong)
        with GcReader(found) as reader, pytest.raises(RefusedError, match="not where memtui expects it"):
            reader.read()


def test_versions_that_are_not_known_are_refused() -> None:
    with reporting(sys.executable, "") as (process, _):
        found = find_interpreter(process.pid)
        with pytest.raises(RefusedError, match=r"Python 3\.14 cannot be read"):
            GcReader(replace(found, version=(3, 14, 0)))
        with pytest.raises(RefusedError, match="free-threaded"):
            GcReader(replace(found, free_threaded=True))


def test_the_interpreter_is_found_with_its_exact_version(interpreter: Interpreter) -> None:
    with reporting(interpreter.path, "") as (process, _):
        found = find_interpreter(process.pid)
    assert found.version == interpreter.version
    assert found.minor == interpreter.minor
    assert not found.free_threaded
    assert set(found.symbols) == {
        "_PyRuntime", "Py_AddPendingCall", "PyRun_SimpleString",
        "PyGILState_Ensure", "PyGILState_Release", "Py_IsInitialized",
    }  # fmt: skip


def test_addresses_are_those_the_process_uses(interpreter: Interpreter) -> None:
    show = "import ctypes; print(ctypes.cast(ctypes.pythonapi.PyRun_SimpleString, ctypes.c_void_p).value, flush=True)"
    with running(interpreter.path, "-c", f"import sys; {show}; sys.stdin.read()") as process:
        address = int(line_from(process))
        assert find_interpreter(process.pid).symbols["PyRun_SimpleString"] == address


def test_a_library_is_also_read_from_memory_alone(interpreter: Interpreter) -> None:
    names = ("PyRun_SimpleString", "_PyRuntime", "Py_Version", "nothing_of_the_kind")
    with reporting(interpreter.path, "") as (process, _):
        maps = read_maps(process.pid)
        path = find_interpreter(process.pid).library
        with open_mapped(process.pid, maps, path) as file:
            expected = exported(file, names)
        assert "PyRun_SimpleString" in expected.values
        with MappedFile(process.pid, path, [one for one in maps if one.path == path]) as mapped:
            assert exported(mapped, names) == expected


def test_a_program_whose_file_was_deleted_and_is_not_named_python(interpreter: Interpreter, tmp_path: Path) -> None:
    with reporting(interpreter.path, "") as (process, _):
        library = find_interpreter(process.pid).library
        original = os.readlink(f"/proc/{process.pid}/exe")
    program = tmp_path / "server"
    shutil.copy(original, program)
    home = subprocess.check_output([interpreter.path, "-c", "import sys; print(sys.base_prefix)"], text=True).strip()
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    environment = {**os.environ, "PYTHONHOME": home}
    with running(str(program), "-c", code, env=environment) as process:
        line_from(process)
        program.unlink()
        found = find_interpreter(process.pid)
        assert found.version == interpreter.version
        assert found.library == (f"{program} (deleted)" if library == original else library)
        assert read(process.pid).enabled


def test_finalizing_is_noticed(interpreter: Interpreter) -> None:
    code = (
        "import os, time\n"
        "class Late:\n"
        "    def __del__(self, write=os.write, sleep=time.sleep):\n"
        "        write(1, b'finalizing\\n'); sleep(60)\n"
        "late = Late()\n"
        "print('running', flush=True); input()\n"
    )
    with running(interpreter.path, "-c", code) as process:
        line_from(process)
        with GcReader(find_interpreter(process.pid)) as reader:
            assert reader.ready()
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert line_from(process) == b"finalizing\n"
            assert not reader.ready()
            with pytest.raises(RefusedError, match="shutting down"):
                reader.read()


def test_an_exec_ends_the_reading() -> None:
    again = "import sys; print('again', flush=True); sys.stdin.read()"
    then = f"os.execv(sys.executable, [sys.executable, '-c', {again!r}])"
    code = f"import os, sys\nprint('first', flush=True); input(); {then}"
    with running(sys.executable, "-c", code) as process:
        line_from(process)
        with GcReader(find_interpreter(process.pid)) as reader:
            assert reader.ready()
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert line_from(process) == b"again\n"
            with pytest.raises(TargetDiedError):
                reader.read()


def test_the_end_of_the_process_ends_the_reading() -> None:
    with reporting(sys.executable, "") as (process, _), GcReader(find_interpreter(process.pid)) as reader:
        assert reader.ready()
        process.kill()
        process.wait()
        with pytest.raises(TargetDiedError):
            reader.read()


EMBEDDING = r"""
#include <stdio.h>
extern void Py_Initialize(void);
extern int PyRun_SimpleString(const char *);
extern char _PyRuntime[%d];
int main(void)
{
    Py_Initialize();
    printf("%%lu\n", (unsigned long)(void *)_PyRuntime);
    fflush(stdout);
    return PyRun_SimpleString("import sys; sys.stdin.read()");
}
"""
CONFIGURATION = """
import json, sys, sysconfig
names = ("LIBDIR", "LDLIBRARY", "Py_ENABLE_SHARED", "LDVERSION")
print(json.dumps([sys.base_prefix, *map(sysconfig.get_config_var, names)]))
"""


@pytest.mark.parametrize("flags", [["-fPIE", "-pie"], ["-fno-pie", "-no-pie"]], ids=["pie", "fixed"])
def test_a_program_that_embeds_python(interpreter: Interpreter, tmp_path: Path, flags: list[str]) -> None:
    """Without -fPIE the program holds a copy of the library's data: then that copy is the one in use."""
    answer = subprocess.check_output([interpreter.path, "-c", CONFIGURATION], text=True)
    home, directory, name, shared, version = json.loads(answer)
    if not shared or not shutil.which("cc"):
        pytest.skip("needs a C compiler and a shared libpython")
    size = subprocess.check_output(["nm", "-DS", f"{directory}/{name}"], text=True)
    runtime_size = next(int(line.split()[1], 16) for line in size.splitlines() if line.endswith(" _PyRuntime"))
    source, program = tmp_path / "embedding.c", tmp_path / "embedding"
    source.write_text(EMBEDDING % runtime_size)
    library = [f"-L{directory}", f"-Wl,-rpath,{directory}", f"-lpython{version}"]
    subprocess.run(["cc", *flags, "-o", str(program), str(source), *library], check=True)
    with running(str(program), env={**os.environ, "PYTHONHOME": home}) as process:
        runtime = int(line_from(process))
        found = find_interpreter(process.pid)
        assert found.version == interpreter.version
        assert found.symbols["_PyRuntime"] == runtime
        with GcReader(found) as reader:
            until(reader.ready)
            assert reader.read().generations[0].threshold in (700, 2000)


def test_the_offsets_are_those_of_the_headers(interpreter: Interpreter) -> None:
    include = "import sysconfig; print(sysconfig.get_path('include'))"
    headers = Path(subprocess.check_output([interpreter.path, "-c", include], text=True).strip())
    if not (headers / "internal").is_dir() or not shutil.which("cc"):
        pytest.skip("needs a C compiler and the headers of this interpreter")
    subprocess.run([sys.executable, str(TOOLS / "dump_offsets.py"), "--check", interpreter.path], check=True)
