"""Types counted from outside: right, harmless, bounded, and clear about what cannot be counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from interpreters import Interpreter
from observed import line_from, running, until

from memtui.errors import MemtuiError, RefusedError, TargetDiedError
from memtui.heap import scanner, worker
from memtui.heap.scanner import Scan, TypeScan, scan_types
from memtui.observe.interpreter import find_interpreter

MIB = 1024 * 1024
NODES = 50_000
KEEPING = f"""
import gc, sys
from collections import deque
class Node:
    def __init__(self): self.me = [self]
class Outer:
    class Inner: pass
class Größe: pass
class Meta(type): pass
class Made(metaclass=Meta): pass
def local():
    class Local: pass
    return Local
kept = [Node() for _ in range({NODES})]
more = [[kind() for _ in range(700)] for kind in (Outer.Inner, Größe, Made, local(), deque)]
odd = type("Odd", (), dict(__module__=None))
odds = [odd() for _ in range(90)]
for one in odds + sum(more, []):
    if not gc.is_tracked(one): one.me = one
"""
COUNTING = """
def counted():
    numbers = {}
    for one in gc.get_objects():
        kind = type(one)
        name = "%s.%s" % (kind.__module__, kind.__qualname__)
        numbers[name] = numbers.get(name, 0) + 1
    return numbers
"""
IDLE = f"""{KEEPING}
{COUNTING}
import json
gc.collect(); gc.disable()
print(json.dumps(counted()), flush=True)
sys.stdin.read()
"""
BUSY = f"""{KEEPING}
{COUNTING}
import json
print(json.dumps(counted()), flush=True)
ticks = open(sys.argv[1], "wb", 0)
while True:
    junk = [dict(one=[]) for _ in range(100)]
    ticks.write(b".")
"""
COLLECTING = f"""{KEEPING}
{COUNTING}
import json
print(json.dumps(counted()), flush=True)
ticks = open(sys.argv[1], "wb", 0)
while True:
    gc.collect()
    ticks.write(b".")
"""
SPARSE = """
import mmap, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, 2 * resource.getrlimit(resource.RLIMIT_DATA)[1:])  # the tests have a bound
room = mmap.mmap(-1, 1 << 34, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
room[1 << 33] = 1
print(flush=True); sys.stdin.read()
"""
EXEC_ON_SIGNAL = """
import os, signal, sys
again = "print('again', flush=True); import sys; sys.stdin.read()"
signal.signal(signal.SIGUSR1, lambda *_: os.execv(sys.executable, [sys.executable, "-c", again]))
kept = [[] for _ in range(50_000)]
print(flush=True)
while True: signal.pause()
"""


def scan(pid: int) -> TypeScan:
    return scan_types(pid, find_interpreter(pid))


def numbers(seen: TypeScan) -> dict[str, int]:
    return {one.type: one.count for one in seen.types}


@contextmanager
def keeping(python: str, code: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, int]]]:
    """A process, and what its own gc module counted."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1"}
    with running(python, "-c", code, *arguments, env=environment) as process:
        yield process, json.loads(line_from(process))


def tracer(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text().split("TracerPid:")[1].split()[0]


def test_an_idle_process_is_counted_exactly(interpreter: Interpreter) -> None:
    with keeping(interpreter.path, IDLE) as (process, truth):
        seen = scan(process.pid)
        found = numbers(seen)
    assert found["__main__.Node"] == NODES
    for name in ("Outer.Inner", "Größe", "Made", "local.<locals>.Local"):
        assert found[f"__main__.{name}"] == 700
    assert found["collections.deque"] == truth["collections.deque"]
    assert found["Odd"] == 90  # its module is no text, so only the plain name is left
    assert seen.objects == pytest.approx(sum(truth.values()), rel=0.01)
    assert seen.objects == sum(found.values())
    # 3.12 hides its immortal tuples from gc.get_objects, although it tracks them.
    big = [name for name, count in truth.items() if count > 500 and name != "builtins.tuple"]
    assert {name: found.get(name) for name in big} == pytest.approx({name: truth[name] for name in big}, rel=0.03)


@pytest.mark.parametrize("code", [BUSY, COLLECTING], ids=["allocating", "collecting"])
def test_a_busy_process_is_counted_without_being_stopped(interpreter: Interpreter, code: str, tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    with keeping(interpreter.path, code, str(ticks)) as (process, truth):
        until(lambda: ticks.exists() and ticks.stat().st_size > 2)
        tracers: set[str] = set()
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.002):
                tracers.add(tracer(process.pid))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            seen = [numbers(scan(process.pid)) for _ in range(3)]
        finally:
            over.set()
            watching.join()
        before = ticks.stat().st_size
        until(lambda: ticks.stat().st_size > before)
    big = {name: count for name, count in truth.items() if count > 20_000}
    assert "__main__.Node" in big
    for one in seen:
        assert {name: one.get(name) for name in big} == pytest.approx(big, rel=0.01)
    assert tracers == {"0"}


def test_memory_that_was_never_touched_stays_untouched() -> None:
    def tables(pid: int) -> int:
        return int(Path(f"/proc/{pid}/status").read_text().split("VmPTE:")[1].split()[0])

    with running(sys.executable, "-c", SPARSE) as process:
        line_from(process)
        before = tables(process.pid)
        seen = scan(process.pid)
        assert tables(process.pid) == before
    assert seen.bytes_read < 64 * MIB
    assert seen.objects > 1000


def test_the_scan_of_a_large_process_stays_small() -> None:
    setup = f"import sys; kept = [[[]] for _ in range(2_000_000)]; rest = b'x' * {100 * MIB}"
    measure = (
        "import sys; from memtui.heap.worker import main; main(); "
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    with running(sys.executable, "-c", f"{setup}\nprint(flush=True); sys.stdin.read()") as process:
        line_from(process)
        resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert resident > 300 * MIB
        found = find_interpreter(process.pid)
        plan = {"pid": process.pid, "library": found.library, "minor": found.minor, "asked_by": os.getpid()}
        command = [sys.executable, "-c", measure, json.dumps(plan)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["objects"] > 4_000_000
    assert int(done.stderr.split()[-1]) * 1024 < 120 * MIB


def scan_interrupted(process: subprocess.Popen[bytes], interrupt: Callable[[], object]) -> dict[str, Any]:
    """Scan in this process; ``interrupt`` is called when the first piece has been read."""
    found = find_interpreter(process.pid)
    wanted = worker._while_wanted

    def interrupted(pieces: Any, asked_by: int) -> Iterator[Any]:
        for number, words in enumerate(wanted(pieces, asked_by)):
            yield words
            if number == 0:
                interrupt()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "_while_wanted", interrupted)
        return worker.scan(process.pid, found.library, found.minor, os.getppid())


def test_a_process_that_dies_half_way(interpreter: Interpreter) -> None:
    with keeping(interpreter.path, IDLE) as (process, _):

        def die() -> None:
            process.kill()
            process.wait()

        with pytest.raises(TargetDiedError):
            scan_interrupted(process, die)


def test_a_process_that_replaces_its_program_half_way(interpreter: Interpreter) -> None:
    with running(interpreter.path, "-c", EXEC_ON_SIGNAL) as process:
        line_from(process)

        def replace_program() -> None:
            process.send_signal(signal.SIGUSR1)
            assert line_from(process) == b"again\n"

        with pytest.raises(TargetDiedError):
            scan_interrupted(process, replace_program)
        assert scan(process.pid).objects > 1000


def test_memory_given_back_half_way_is_passed_over() -> None:
    code = """
import gc, mmap, signal, sys
room = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
room.write(b"x" * len(room))
def give_back(*_):
    room.close(); print(flush=True)
signal.signal(signal.SIGUSR1, give_back)
kept = [[] for _ in range(50_000)]
print(flush=True)
while True: signal.pause()
"""
    with running(sys.executable, "-c", code) as process:
        line_from(process)

        def give_back() -> None:
            process.send_signal(signal.SIGUSR1)
            line_from(process)

        seen = scan_interrupted(process, give_back)
    assert dict(seen["types"])["builtins.list"] >= 50_000


def test_a_process_that_has_ended() -> None:
    with running(sys.executable, "-c", "print(flush=True); input()") as process:
        line_from(process)
        found = find_interpreter(process.pid)
        process.kill()
        process.wait()
        with pytest.raises(TargetDiedError):
            scan_types(process.pid, found)


def test_another_program_than_the_one_that_was_looked_at() -> None:
    with running(sys.executable, "-c", "print(flush=True); input()") as process:
        line_from(process)
        found = replace(find_interpreter(process.pid), library="/usr/lib/libpython3.99.so")
        with pytest.raises(RefusedError, match="exec"):
            scan_types(process.pid, found)


def test_layouts_that_are_not_known_are_refused() -> None:
    found = find_interpreter(os.getpid())
    with pytest.raises(RefusedError, match=r"Python 3\.14 cannot be read"):
        Scan(os.getpid(), replace(found, version=(3, 14, 0)))
    with pytest.raises(RefusedError, match="free-threaded"):
        Scan(os.getpid(), replace(found, free_threaded=True))


def test_a_kernel_that_does_not_tell_which_pages_are_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memtui.heap.regions.os.path.exists", lambda path: False)
    found = find_interpreter(os.getpid())
    with pytest.raises(RefusedError, match="without harm"):
        worker.scan(os.getpid(), found.library, found.minor, os.getppid())


def test_a_scan_ends_with_the_one_who_asked() -> None:
    found = find_interpreter(os.getpid())
    with pytest.raises(SystemExit):
        worker.scan(os.getpid(), found.library, found.minor, asked_by=1)


def processes_of_scans() -> set[str]:
    """Child processes of this one that scan."""
    children = Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split()
    return {pid for pid in children if b"memtui.heap.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_a_scan_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "DEADLINE_SECONDS", 0.001)
    with keeping(sys.executable, IDLE) as (process, _), pytest.raises(MemtuiError, match="given up"):
        scan(process.pid)
    assert processes_of_scans() == set()


def test_a_scan_can_be_stopped() -> None:
    with keeping(sys.executable, IDLE) as (process, _):
        one = Scan(process.pid, find_interpreter(process.pid))
        errors: list[MemtuiError] = []

        def run() -> None:
            try:
                one.run()
            except MemtuiError as error:
                errors.append(error)

        running_scan = threading.Thread(target=run)
        running_scan.start()
        one.stop()
        running_scan.join(10)
    assert ["was stopped" in str(error) for error in errors] == [True]
    assert processes_of_scans() == set()


def test_numpy_stays_in_the_process_of_the_scan() -> None:
    code = (
        "import os, sys; from memtui.heap.scanner import scan_types; "
        "from memtui.observe.interpreter import find_interpreter; "
        "print(scan_types(int(sys.argv[1]), find_interpreter(int(sys.argv[1]))).objects, 'numpy' in sys.modules)"
    )
    with running(sys.executable, "-c", "print(flush=True); input()") as process:
        line_from(process)
        command = [sys.executable, "-c", code, str(process.pid)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    objects, loaded = done.stdout.split()
    assert int(objects) > 1000
    assert loaded == "False"
