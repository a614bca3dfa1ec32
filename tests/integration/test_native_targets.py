"""``memtui native`` on real processes: what does not free is named, and nothing stays behind, however it ends."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from interpreters import interpreters
from jsonschema import Draft202012Validator

from memtui.errors import UsageError
from memtui.native.reader import Recorded
from memtui.report.native import load_native_schema

LEAK = Path(__file__).parents[1] / "programs" / "native_leak.py"
AGENT = Path(__file__).parents[2] / "memtui" / "agent" / "native.py"

THREADING = """
import _thread, sys, time, types
sys.modules["a"] = types.ModuleType("a"); sys.modules["a"].__path__ = []
originals = types.ModuleType("a.originals")
originals.original = lambda module, name: getattr(__import__(module), name)
sys.modules["a.originals"] = originals
native = types.ModuleType("a.native"); native.__package__ = "a"
exec(compile(open(sys.argv[1]).read(), "native", "exec", 0, True), native.__dict__)
assert "threading" not in sys.modules
done = []
def first():
    import threading
    native.give_main_thread_back(threading)
    done.append(True)
_thread.start_new_thread(first, ())
while not done:
    time.sleep(0.01)
time.sleep(0.1)
import threading
assert threading.current_thread() is threading.main_thread()
assert threading.active_count() == 1
thread = threading.Thread(target=time.sleep, args=(0.1,))
thread.start()
print("through")
"""


@contextmanager
def target(kind: str = "leak", seconds: float = 60, python: str = sys.executable) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([python, str(LEAK), kind, str(seconds)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        try:
            yield process
        finally:
            process.kill()


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "memtui", "native", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def native(*arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of ``memtui native ARGUMENTS``."""
    with start(*arguments) as process:
        out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def residue(pid: int) -> list[str]:
    """What of memtui there is in the process and in its temporary directories."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed just now
            found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    found = [one for one in found if "memtui" in one]
    return found + [name for name in os.listdir(f"/proc/{pid}/task") if int(name) != pid]


def wait_until(what: object, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def recording(pid: int) -> bool:
    return any("recording" in one for one in residue(pid))


def test_a_leak_is_named_and_nothing_stays(tmp_path: Path) -> None:
    kept = tmp_path / "x.bin"
    with target() as process:
        code, out, _ = native(str(process.pid), "--for", "2s", "--json", "-o", str(kept))
        wait_until(lambda: residue(process.pid) == [])
    found = json.loads(out)
    first = found["sites"][0]
    assert code == 0
    Draft202012Validator(load_native_schema()).validate(found)
    assert (found["ended"], found["file"]) == ("time", str(kept))
    assert (first["kind"], first["extension"]) == ("extension", "_ctypes")
    assert first["size_bytes"] == 3001 * first["count"] > 300_000
    assert (first["python"][0]["function"], first["python"][0]["file"]) == ("take", str(LEAK))
    assert Recorded(kept).report(1).size_bytes == found["size_bytes"]


def test_what_is_freed_is_not_listed() -> None:
    with target("healthy") as process:
        code, out, _ = native(str(process.pid), "--for", "2s", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["allocations"] > 100, "it was recorded"
    assert found["size_bytes"] < 50_000
    assert all(one["extension"] != "_ctypes" or one["size_bytes"] < 10_000 for one in found["libraries"])


def test_the_program_ends_as_ever_afterwards() -> None:
    with target(seconds=9) as process:
        assert native(str(process.pid), "--for", "1s")[0] == 0
        assert process.wait(30) == 0


def test_cost_and_note_are_said() -> None:
    with target() as process:
        code, out, err = native(str(process.pid), "--for", "1s", "--limit", "1")
    assert code == 0
    assert "1.1 to 5 times slower" in err
    assert "_ctypes" in out
    assert "Caches" in out


def without_memray() -> list[str]:
    found = []
    for one in interpreters():
        command = [one.path, "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('memray') is not None)"]
        if subprocess.run(command, check=False).returncode == 0:
            found.append(one.path)
    return found


def test_no_memray_in_the_process() -> None:
    lacking = without_memray()
    if not lacking:
        pytest.skip("every interpreter here has memray")
    with target(python=lacking[0]) as process:
        code, out, err = native(str(process.pid), "--for", "1s")
        wait_until(lambda: residue(process.pid) == [])
        assert process.poll() is None
    assert (code, out) == (3, "")
    assert "memray is not installed for its interpreter" in err
    assert "-m pip install memray" in err


def test_a_program_that_memray_records_already_is_refused() -> None:
    code = "import memray, sys, time\nwith memray.Tracker(sys.argv[1]):\n print('ready', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, "/dev/null"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        status, out, err = native(str(process.pid), "--for", "1s")
        process.kill()
    assert (status, out) == (3, "")
    assert "profiler is active" in err or "tracker is active" in err


def test_the_process_dies_while_it_is_recorded() -> None:
    with target() as process, start(str(process.pid), "--for", "60s", "--json") as tool:
        wait_until(lambda: recording(process.pid))
        time.sleep(1.0)
        process.kill()
        out, err = tool.communicate(timeout=60)
    found = json.loads(out)
    assert tool.returncode == 4
    assert "ended while it was recorded" in err
    assert found["ended"] == "died"
    assert found["sites"][0]["extension"] == "_ctypes"


def test_memtui_is_killed() -> None:
    with target() as process, start(str(process.pid), "--for", "60s") as tool:
        wait_until(lambda: recording(process.pid))
        tool.kill()
        wait_until(lambda: residue(process.pid) == [], seconds=10)
        assert process.poll() is None
        code, _, _ = native(str(process.pid), "--for", "1s")
        assert code == 0, "the tracker is free again"


def test_ctrl_c_stops_it_and_reports() -> None:
    with target() as process, start(str(process.pid), "--for", "60s", "--json") as tool:
        wait_until(lambda: recording(process.pid))
        time.sleep(1.0)
        tool.send_signal(signal.SIGINT)
        out, err = tool.communicate(timeout=60)
        wait_until(lambda: residue(process.pid) == [])
    assert tool.returncode == 130, err
    assert json.loads(out)["sites"][0]["extension"] == "_ctypes"


def test_a_program_is_run_under_memray(tmp_path: Path) -> None:
    kept = tmp_path / "x.bin"
    code, out, _ = native("run", "--for", "30s", "--json", "-o", str(kept), str(LEAK), "leak", "1")
    assert code == 0
    found = json.loads(out)
    Draft202012Validator(load_native_schema()).validate(found)
    assert found["ended"] == "itself"
    assert any(one["extension"] == "_ctypes" and one["size_bytes"] > 100_000 for one in found["libraries"])


def test_a_program_is_ended_after_its_time() -> None:
    code, out, _ = native("run", "--for", "2s", "--json", str(LEAK), "leak", "100")
    assert code == 0
    assert json.loads(out)["ended"] == "time"


def test_run_without_memray() -> None:
    lacking = without_memray()
    if not lacking:
        pytest.skip("every interpreter here has memray")
    code, _, err = native("run", "--python", lacking[0], str(LEAK), "leak", "1")
    assert code == 3
    assert f"{lacking[0]} -m pip install memray" in err


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("native") / "x.bin"
    code, _, err = native("run", "-o", str(path), str(LEAK), "leak", "0.5")
    assert code == 0, err
    return path


def test_memrays_reports(recorded: Path) -> None:
    code, out, _ = native("report", str(recorded))
    assert code == 0
    assert "Total allocations" in out
    assert "By call site" in out
    for page in ("table", "flamegraph"):
        text = recorded.with_name(f"x.{page}.html").read_text("utf-8")
        assert text.lstrip().lower().startswith("<!doctype html")
        assert "take" in text
    profile = json.loads(recorded.with_name("x.speedscope.json").read_text("utf-8"))
    memory = next(one for one in profile["profiles"] if one["unit"] == "bytes")
    names = [profile["shared"]["frames"][place]["name"] for stack in memory["samples"] for place in stack]
    assert sum(memory["weights"]) > 100_000
    assert {"take", "_PyEval_EvalFrameDefault"} <= set(names), "native frames are in it"
    stats = json.loads(native("report", str(recorded), "--stats", "--json")[1])
    assert stats["total_allocations"] > 50


def what_is_said_of(path: Path) -> str:
    try:
        return str(Recorded(path).report(3).pid)
    except UsageError as error:
        return str(error)


def test_a_damaged_recording_is_one_sentence(recorded: Path, tmp_path: Path) -> None:
    content, chance = recorded.read_bytes(), random.Random(5)
    for number in range(6):
        damaged = bytearray(content[: chance.randrange(8, len(content))] if number % 2 else content)
        for _ in range(20):
            damaged[chance.randrange(7, len(damaged))] = chance.randrange(256)
        path = tmp_path / f"{number}.bin"
        path.write_bytes(damaged)
        said = what_is_said_of(path)
        assert said.lstrip("-").isdigit() or "cannot be read" in said
        assert "\n" not in said


def test_a_foreign_file_is_one_sentence(tmp_path: Path) -> None:
    shutil.copy(LEAK, tmp_path / "x.bin")
    code, out, err = native("report", str(tmp_path / "x.bin"))
    assert (code, out) == (2, "")
    assert [line for line in err.splitlines() if "no recording of memray" in line]


@pytest.mark.parametrize("python", interpreters(), ids=str)
def test_the_main_thread_stays_the_main_thread(python: object) -> None:
    command = [python.path, "-S", "-c", THREADING, str(AGENT)]  # type: ignore[attr-defined]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "through\n", "")
