"""Photographs of running processes: one instant of their memory, and nothing left of it afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from interpreters import Interpreter, current

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "stress"))

import photo_kills
import photographs
from hard import chosen

from memtui.attach import leftovers, ptrace
from memtui.attach import photograph as photographing
from memtui.attach.camera_link import CameraLink
from memtui.attach.killpoint import VARIABLE
from memtui.attach.photograph import Photo, clean_leftovers, photograph, reap_own_copies, stopped
from memtui.errors import RefusedError, StopTooLongError

DEADLINE_SECONDS = 20.0
COUNTER = """
import ctypes, gc, os, sys, time
value = ctypes.c_uint64()
print(ctypes.addressof(value), flush=True)
while True:
    value.value += 1
    {more}
"""
NAPS = "time.sleep(0.0005)"
ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="needs root")


class Counter:
    """A process that counts in its own memory."""

    def __init__(self, python: str = sys.executable, more: str = NAPS, **options: Any) -> None:
        command = [python, "-c", COUNTER.format(more=more)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)
        self.pid = self.process.pid
        assert self.process.stdout is not None
        self.address = int(self.process.stdout.readline())

    def count(self) -> int:
        """Where it is now."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            return number(os.pread(memory.fileno(), 8, self.address))

    def goes_on(self) -> bool:
        """Whether it counts, within a deadline."""
        before = self.count()
        return reached(lambda: self.count() > before)

    def children(self) -> list[int]:
        """Its children, dead or alive."""
        return [int(one) for one in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def state(self) -> str:
        """The kernel's letter."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.communicate()


def number(data: bytes) -> int:
    (found,) = struct.unpack("<Q", data)
    assert isinstance(found, int)
    return found


def reached(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def seen(photo: Photo, counter: Counter) -> int:
    """Where the counter is in the photograph."""
    return number(os.pread(photo.memory_fd, 8, counter.address))


@pytest.fixture
def counter() -> Iterator[Counter]:
    one = Counter()
    yield one
    one.end()


@pytest.fixture
def busy() -> Iterator[Counter]:
    one = Counter(more="pass")
    yield one
    one.end()


def test_the_process_goes_on_and_the_photograph_does_not(interpreter: Interpreter) -> None:
    counter = Counter(interpreter.path)
    try:
        for _ in range(3):
            with photograph(counter.pid) as photo:
                instant = seen(photo, counter)
                assert counter.goes_on()
                assert seen(photo, counter) == instant < counter.count()
                assert photo.is_copy
                assert photo.pid not in (counter.pid, 0)
                assert counter.children() == [photo.pid]
            assert counter.children() == []
            assert counter.goes_on()
    finally:
        counter.end()


PAIRS = """
import ctypes, sys, threading, time
memory = bytearray(64 * 4096)
base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
def count(at):
    first, second = (ctypes.c_uint64.from_address(base + 4096 * page) for page in (at, 63 - at))
    while True:
        first.value += 1
        second.value += 1
for at in range(4):
    threading.Thread(target=count, args=(at,), daemon=True).start()
print(base, flush=True)
sys.stdin.read()
"""


def test_all_of_memory_is_of_one_instant() -> None:
    """Threads count first on one page, then on another: in a photograph they are never apart by more than that."""
    command = [sys.executable, "-c", "import sys; sys.setswitchinterval(0.0001)\n" + PAIRS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            base = int(process.stdout.readline())
            seen_before = [0] * 4
            for _ in range(12):
                with photograph(process.pid) as photo:
                    pages = [number(os.pread(photo.memory_fd, 8, base + 4096 * page)) for page in range(64)]
                firsts, seconds = pages[:4], pages[:59:-1]
                assert all(first - second in (0, 1) for first, second in zip(firsts, seconds, strict=True))
                assert all(before <= now for before, now in zip(seen_before, firsts, strict=True))
                seen_before = firsts
            assert sum(seen_before) > 0
        finally:
            process.kill()


def test_what_is_told_of_it(counter: Counter) -> None:
    with photograph(counter.pid) as photo:
        assert photo.stop_seconds is not None
        assert 0 < photo.stop_seconds < photo.predicted_stop_seconds * 1000
        assert (photo.threads, photo.left_alone) == (1, 0)
        assert b"[stack]" in photo.maps_text
        page = os.sysconf("SC_PAGE_SIZE")
        entry = number(os.pread(photo.pagemap_fd, 8, counter.address // page * 8))
        assert entry >> 63, "the page of the counter is present"
        assert Path(f"/proc/{photo.pid}/oom_score_adj").read_text().strip() == "1000"


def test_release_is_for_once_and_at_once(counter: Counter) -> None:
    with photograph(counter.pid) as photo:
        second_stop_seconds = photo.release()
        assert second_stop_seconds
        assert counter.children() == []
        assert photo.release() == second_stop_seconds
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(photo.memory_fd)


def test_no_photograph_is_taken_while_the_collector_works() -> None:
    more = "x = [[i] for i in range(2000)]; gc.collect(); del x"
    counter = Counter(more=more)
    try:
        flags = photographing._collecting_flags(counter.pid, None)
        assert len(flags) == 1
        with open(f"/proc/{counter.pid}/mem", "rb", buffering=0) as memory:
            assert reached(lambda: number(os.pread(memory.fileno(), 4, flags[0]) + bytes(4)) == 1), "it collects"
        for _ in range(15):
            with photograph(counter.pid) as photo:
                assert os.pread(photo.memory_fd, 4, flags[0]) == bytes(4)
    finally:
        counter.end()


def test_a_held_process_stands_still_and_goes_on(busy: Counter) -> None:
    with stopped(busy.pid) as photo:
        assert photo.pid == busy.pid
        assert not photo.is_copy
        assert photo.stop_seconds is None
        instant = seen(photo, busy)
        time.sleep(0.02)
        assert seen(photo, busy) == instant
        photo.release()
        assert photo.stop_seconds
        assert photo.stop_seconds >= 0.02
        assert photo.undisturbed
    assert busy.goes_on()


def test_a_held_process_goes_on_when_memtui_dies(busy: Counter) -> None:
    code = "import os, sys, time; from memtui.attach.photograph import stopped\n"
    code += "with stopped(int(sys.argv[1])): print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(busy.pid)], stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        assert tool.stdout.readline() == b"1\n"
        assert busy.state() == "t"
        tool.kill()
    assert busy.goes_on()


def test_nobody_is_held_for_ever(busy: Counter) -> None:
    with stopped(busy.pid, longest_seconds=0.05) as photo:
        assert busy.goes_on()
    assert photo.undisturbed is False
    assert photo.stop_seconds
    assert busy.goes_on()


def test_what_its_user_has_stopped_is_read_as_it_is(busy: Counter) -> None:
    os.kill(busy.pid, signal.SIGSTOP)
    assert reached(lambda: busy.state() == "T")
    remedy = rf"needs no copy.* memtui snapshot --hold {busy.pid}\."
    with pytest.raises(RefusedError, match=remedy), photograph(busy.pid):
        pass
    with stopped(busy.pid) as photo:
        assert seen(photo, busy) == busy.count()
        assert "\nTracerPid:\t0\n" in Path(f"/proc/{busy.pid}/status").read_text()
    assert photo.stop_seconds is None
    assert busy.state() == "T"
    os.kill(busy.pid, signal.SIGCONT)
    assert busy.goes_on()


def test_a_stop_above_the_budget_is_asked_for(counter: Counter) -> None:
    with (
        pytest.raises(StopTooLongError, match=r"about \d.* ms"),
        photograph(counter.pid, budget_seconds=0.0),
    ):
        pass
    assert counter.children() == []
    with photograph(counter.pid, budget_seconds=0.0, accept_stop=True) as photo:
        assert photo.is_copy


def test_a_traced_process_is_refused(counter: Counter) -> None:
    ptrace.seize(counter.pid)
    try:
        with pytest.raises(RefusedError, match="is being traced by"), photograph(counter.pid):
            pass
    finally:
        ptrace.interrupt(counter.pid)
        os.waitpid(counter.pid, ptrace.WALL)
        ptrace.detach(counter.pid)
    assert counter.goes_on()


def test_the_copy_goes_with_its_process(counter: Counter) -> None:
    with photograph(counter.pid) as photo:
        counter.process.kill()
        assert reached(lambda: os.pread(photo.memory_fd, 8, counter.address) == b"")
    counter.process.wait()


def test_a_photograph_that_is_lost_at_once_is_a_refusal(counter: Counter) -> None:
    with (
        mock.patch.dict(os.environ, {VARIABLE: "handed-over"}),
        pytest.raises(RefusedError, match="lost before it could be read"),
        mock.patch.object(photographing.Photo, "__init__", after(0.3, photographing.Photo.__init__)),
        photograph(counter.pid),
    ):
        pass
    assert clean_leftovers(counter.pid) in (0, 1)
    assert counter.children() == []


def after(seconds: float, function: Callable[..., None]) -> Callable[..., None]:
    """``function``, somewhat later."""

    def later(*arguments: Any) -> None:
        time.sleep(seconds)
        function(*arguments)

    return later


def test_the_copy_goes_when_another_program_is_executed() -> None:
    more = 'sys.stdin.read(1) and os.execv(sys.executable, [sys.executable, "-c", "import sys; sys.stdin.read()"])'
    counter = Counter(more=more)
    assert counter.process.stdin is not None
    try:
        with photograph(counter.pid) as photo:
            counter.process.stdin.write(b"x")
            counter.process.stdin.flush()
            assert reached(lambda: os.pread(photo.memory_fd, 8, counter.address) == b"")
        assert reached(lambda: counter.state() == "S")
        assert clean_leftovers(counter.pid) in (0, 1)
        assert counter.children() == []
        assert counter.process.poll() is None
    finally:
        counter.end()


def test_under_memtui_run_the_copy_is_a_child_of_memtui() -> None:
    child = Counter(start_new_session=True)
    try:
        for _ in range(3):
            with photograph(child.pid, own_child=True) as photo:
                instant = seen(photo, child)
                assert child.goes_on()
                assert seen(photo, child) == instant
                assert child.children() == []
                assert int(Path(f"/proc/{photo.pid}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()
            assert not os.path.exists(f"/proc/{photo.pid}")
        assert child.process.poll() is None
    finally:
        child.end()


def test_a_child_of_memtui_photographs_another_one() -> None:
    code = "import os, sys; from memtui.attach.photograph import photograph\n"
    code += (
        "with photograph(int(sys.argv[1]), own_child=True) as photo: print(photo.pid, flush=True); sys.stdin.read()"
    )
    child = Counter(start_new_session=True)
    try:
        command = [sys.executable, "-c", code, str(child.pid)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tool:
            assert tool.stdout is not None
            copy = int(tool.stdout.readline())
            assert int(Path(f"/proc/{copy}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid()
            assert reap_own_copies(child.pid) == 0
            tool.communicate()
        assert reap_own_copies(child.pid) == 1
        assert child.children() == []
        assert child.goes_on()
    finally:
        child.end()


def test_own_child_of_somebody_else_is_refused() -> None:
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {COUNTER.format(more=NAPS)!r}])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        grandchild = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text())
        try:
            with pytest.raises(RefusedError, match="no child of memtui"), photograph(grandchild, own_child=True):
                pass
        finally:
            os.kill(grandchild, signal.SIGKILL)


def killed_at(pid: int, step: str) -> None:
    """A helper takes a photograph and is killed at ``step``; nobody cleans up after it."""
    plan = photographing._plan(pid, None)
    plan |= {"do": "copy", "gentle": True, "own_child": False, "suspend_seccomp": False}
    with mock.patch.dict(os.environ, {VARIABLE: step}), contextlib.closing(CameraLink(pid)) as link:
        with contextlib.suppress(RefusedError):
            link.begin(plan)
        link.finish()


@pytest.mark.parametrize(
    "step", ["registers-set", "cloned", "all-released", "copy-held", "handed-over", "copy-collected"]
)
def test_leftovers_are_found_and_cleaned(counter: Counter, step: str) -> None:
    killed_at(counter.pid, step)
    assert reached(lambda: len(counter.children()) == 1)
    assert leftovers.end_strays(counter.pid) in (0, 1)  # it may still be dying
    assert clean_leftovers(counter.pid) == 1
    assert counter.children() == []
    assert clean_leftovers(counter.pid) == 0
    assert counter.goes_on()


def test_the_next_photograph_cleans_up(counter: Counter) -> None:
    killed_at(counter.pid, "copy-held")
    with photograph(counter.pid):
        pass
    assert counter.children() == []


def test_children_of_the_process_are_no_leftovers() -> None:
    more = "os.fork() or os._exit(0)\n    time.sleep(100)"
    counter = Counter(more=more)
    try:
        assert reached(lambda: len(counter.children()) == 1)
        with photograph(counter.pid):
            pass
        assert clean_leftovers(counter.pid) == 0
        assert len(counter.children()) == 1
    finally:
        counter.end()


def test_a_dead_caller_leaves_nothing(counter: Counter) -> None:
    code = "import os, sys, time; from memtui.attach.photograph import photograph\n"
    code += "with photograph(int(sys.argv[1])) as photo: print(photo.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(counter.pid)], stdout=subprocess.PIPE) as tool:
        assert tool.stdout is not None
        copy = int(tool.stdout.readline())
        assert counter.children() == [copy]
        tool.kill()
    assert reached(lambda: counter.children() == [])
    assert counter.goes_on()


FILTER = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
def forbid(number):
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, {action}), (0x06, 0, 0, 0x7FFF0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(Filter(4, ctypes.addressof(program))), 0, 0) == 0
forbid(56); forbid(61)
"""
KILL, TRAP, EPERM = 0x80000000, 0x00030000, 0x00050001


@needs_root
@pytest.mark.parametrize("action", [KILL, TRAP, EPERM])
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64")
def test_a_seccomp_filter_is_suspended_for_the_calls(action: int) -> None:
    code = FILTER.format(action=action) + COUNTER.format(more=NAPS)
    with mock.patch.dict(globals(), {"COUNTER": code.replace("{", "{{").replace("}", "}}")}):
        counter = Counter(more="")
    try:
        assert counter.goes_on()
        with photograph(counter.pid) as photo:
            assert seen(photo, counter)
            assert counter.goes_on()
        assert counter.children() == []
        assert counter.goes_on()
    finally:
        counter.end()


@needs_root
def test_a_limit_of_processes_is_a_refusal() -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (0, 0)); os.setuid(65534); limited = 1"
    counter = Counter(more=f"if 'limited' not in globals(): {limited}")
    try:
        assert reached(lambda: "Uid:\t65534" in Path(f"/proc/{counter.pid}/status").read_text())
        with (
            pytest.raises(RefusedError, match=r"could not be copied.*Resource temporarily unavailable"),
            photograph(counter.pid),
        ):
            pass
        assert counter.goes_on()
        assert counter.children() == []
    finally:
        counter.end()


@needs_root
def test_the_first_process_of_a_namespace() -> None:
    command = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", COUNTER.format(more=NAPS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as outer:
        assert outer.stdout is not None
        outer.stdout.readline()
        inner = int(Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text())
        children = Path(f"/proc/{inner}/task/{inner}/children")
        for _ in range(2):
            with photograph(inner) as photo:
                assert children.read_text().split() == [str(photo.pid)]
            assert children.read_text() == ""
        outer.kill()


def test_several_at_once_wait_for_each_other(counter: Counter) -> None:
    with photograph(counter.pid) as first:
        with photograph(counter.pid) as second:
            assert {first.pid, second.pid} == set(counter.children())
            assert seen(first, counter) <= seen(second, counter)
        assert counter.children() == [first.pid]
    assert counter.children() == []


PYTHONS = chosen()
HARDEST = (*photographs.OWN_MODES, "threads", "loops_of_events", "prefork", "waits", "signals")
QUICK = [(PYTHONS[at % len(PYTHONS)], mode) for at, mode in enumerate(HARDEST)]


@pytest.mark.parametrize(("python", "mode"), QUICK, ids=str)
def test_hard_targets_do_not_notice(python: Interpreter, mode: str) -> None:
    tally = photographs.run(python, mode, 3)
    assert tally.bad == []
    assert tally.refused == []
    assert tally.photographs == 3


def test_hard_targets_do_not_notice_the_copy_of_memtui_run() -> None:
    tally = photographs.run(current(), "childless", 3, own_child=True)
    assert tally.bad + tally.refused == []


@pytest.mark.parametrize("mode", ["sums", "waits"])
def test_memtui_may_be_killed_while_it_photographs(mode: str) -> None:
    tally = photo_kills.run(current(), mode, random_kills=5, tool_kills=1, steps=False)
    assert tally.wrong == []
    assert tally.kills


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_hard_targets_do_not_notice_hundreds(python: Interpreter) -> None:
    tallies = [photographs.run(python, mode, 14) for mode in photographs.ALL_MODES]
    assert [bad for tally in tallies for bad in tally.bad] == []
    assert [refused for tally in tallies for refused in tally.refused] == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", photo_kills.MODES)
@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_memtui_may_be_killed_at_every_step_of_a_photograph(python: Interpreter, mode: str) -> None:
    tally = photo_kills.run(python, mode, random_kills=12, tool_kills=6)
    assert tally.wrong == []
    assert tally.kills["step"] >= len(photo_kills.STEPS)
