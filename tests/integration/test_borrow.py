"""Borrowing a thread: it comes back unchanged, also when the helper dies at any step of it."""

from __future__ import annotations

import ctypes
import marshal
import mmap
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attach_driver import Target, anonymous_code, signal_masks, state, target, tasks, tracer, wait_until
from interpreters import Interpreter, current, interpreters

from memtui.attach import harmless, ptrace
from memtui.attach import x86_64 as arch
from memtui.attach.borrow import BorrowedThread
from memtui.attach.helper import KILL_POINT_VARIABLE, attempt
from memtui.attach.outcome import EndedError, StoppedByUserError
from memtui.attach.plan import build_plan
from memtui.observe.elf import exported
from memtui.observe.interpreter import find_interpreter
from memtui.observe.maps import open_mapped, read_maps
from memtui.observe.process import ProcessReader

HELPER = "from memtui.attach.helper import main; main()"
ONCE = [
    "interrupted",
    "frame-written",
    "mask-set",
    "call-started",
    "to-signal-path",
    "in-signal-path",
    "fpu-restored",
]
ONCE += ["mask-restored", "registers-restored", "detached"]
OFTEN = ["before-registers", "registers-set", "running", "syscall-entered", "syscall-done"]
POINTS = [*ONCE, *(name if number == 1 else f"{name}#{number}" for name in OFTEN for number in range(1, 5))]
ONLY_SOMETIMES = {"syscall-entered#4", "syscall-done#4", "sigreturn-cancelled"}
KILLED_ON = [one for one in interpreters() if one.minor in ((3, 8), (3, 11), (3, 13))]
QUICK = current()


def plan(pid: int, source: str = "pass", route: str = "auto") -> dict[str, Any]:
    with ProcessReader(pid) as process:
        identity = process.identity()
    return build_plan(find_interpreter(pid), identity) | {"route": route, "source": source}


def run_helper(pid: int, kill_at: str) -> tuple[int, bytes]:
    """Exit code and last words of a helper that makes one attempt and kills itself at ``kill_at``."""
    environment = {**os.environ, KILL_POINT_VARIABLE: kill_at}
    done = subprocess.run(
        [sys.executable, "-c", HELPER],
        input=marshal.dumps(plan(pid)),
        env=environment,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def check_healed(one: Target, children: str) -> None:
    """Alive, untraced, no signal blocked, right in its sums and naps, and not there twice."""
    one.check_works()
    assert tracer(one.pid) == 0
    wait_until(lambda: len(tasks(one.pid)) == 1, "threads that were started end")
    assert set(signal_masks(one.pid)) == {"0" * 16}
    assert children_of(one.pid) == children


def children_of(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def kill_everywhere(interpreter: Interpreter, mode: str, times: int) -> None:
    with target(interpreter, mode) as one:
        children = children_of(one.pid)
        for point in POINTS * times:
            code, said = run_helper(one.pid, point)
            if b"busy" in said:  # on a loaded machine a thread may not stop in time
                code, said = run_helper(one.pid, point)
            assert code == -signal.SIGKILL or point in ONLY_SOMETIMES, f"the helper does not pass {point}: {said!r}"
            check_healed(one, children)


@pytest.mark.parametrize("mode", ["compute", "naps"])
def test_a_killed_helper_harms_nobody(mode: str) -> None:
    kill_everywhere(QUICK, mode, 1)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["compute", "naps", "timer"])
@pytest.mark.parametrize("one", KILLED_ON, ids=str)
def test_a_killed_helper_harms_nobody_anywhere(one: Interpreter, mode: str) -> None:
    kill_everywhere(one, mode, 2)


def inject_at_random(one: Target, times: int) -> None:
    """Start harmless code in the target again and again; it has to go on in whatever it was doing."""
    chance = random.Random(times)
    outcomes = {"started", "queued", "busy", "failed"}  # "failed": the queue of pending calls may be full
    for _ in range(times):
        answer = attempt(plan(one.pid))
        assert answer["outcome"] in outcomes, answer
        time.sleep(chance.uniform(0, 0.02))
    one.check_works()
    assert one.report()["wrong"] == 0


@pytest.mark.parametrize("mode", ["calls", "compute", "timer", "threads"])
def test_interrupted_calls_and_sums_are_right(mode: str) -> None:
    with target(QUICK, mode) as one:
        inject_at_random(one, 30)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("mode", ["calls", "compute", "timer", "threads"])
@pytest.mark.parametrize("one", interpreters(), ids=str)
def test_interrupted_calls_and_sums_are_right_everywhere(one: Interpreter, mode: str) -> None:
    with target(one, mode) as running:
        inject_at_random(running, 300)


def borrowed(one: Target, at: str = "", do: Callable[[], None] = lambda: None) -> BorrowedThread:
    """The main thread; ``do`` is called at the first step named ``at``."""
    done = []

    def checkpoint(name: str) -> None:
        if name == at and not done:
            done.append(name)
            do()

    return BorrowedThread(one.pid, one.pid, checkpoint)


def make_a_call(one: Target, thread: BorrowedThread) -> None:
    """Have the thread map memory, and call a function of the C library that returns its result in an FPU register."""
    needed = plan(one.pid)
    thread.take(needed["gadgets"]["restore_rt"])
    instruction = needed["gadgets"]["syscall_ret"]
    size = 1 << 16
    place = thread.syscall(instruction, arch.SYS_MMAP, 0, size, 3, 0x22, (1 << 64) - 1, 0)
    assert place > 0
    stack = thread.heal_frame(needed["gadgets"]["restore_rt"], place + size)
    for address, data in stack.blocks:
        thread.write(address, data)
    assert thread.call(c_function(one.pid, "drand48"), (), stack, 5.0, False) == {}
    assert thread.syscall(instruction, arch.SYS_MUNMAP, place, size) == 0


def c_function(pid: int, name: str) -> int:
    maps = read_maps(pid)
    path = next(one.path for one in maps if "/libc.so" in one.path or "/libc-2" in one.path)
    with open_mapped(pid, maps, path) as file:
        found = exported(file, (name,))
        return found.values[name] + found.bias(maps, path)


def vector_state(one: Target) -> bytes:
    """The thread's vector registers and control words, as the kernel would save them."""
    with borrowed(one):
        return ptrace.read_registers(one.pid, ptrace.NT_X86_XSTATE)


def test_every_register_comes_back() -> None:
    with target(QUICK, "sleep") as one:
        wait_until(lambda: harmless.rank(one.pid, one.pid) == 0, "it sleeps")
        before = vector_state(one)
        with borrowed(one) as thread:
            registers = thread.registers
            make_a_call(one, thread)
            used = ptrace.read_registers(one.pid, ptrace.NT_X86_XSTATE)
            assert used != before, "the call was to use the registers that have to come back"
        assert vector_state(one) == before
        with borrowed(one) as thread:
            assert thread.registers == registers


@pytest.mark.parametrize("step", ["mask-set", "syscall-entered", "to-signal-path", "in-signal-path"])
def test_a_stop_that_arrives_meanwhile_is_obeyed_afterwards(step: str) -> None:
    with target(QUICK, "naps") as one:
        with borrowed(one, step, lambda: os.kill(one.pid, signal.SIGSTOP)) as thread:
            make_a_call(one, thread)
        wait_until(lambda: state(one.pid) == "T", "it stops")
        with pytest.raises(StoppedByUserError), borrowed(one):
            pass
        wait_until(lambda: state(one.pid) == "T", "it stops again")
        os.kill(one.pid, signal.SIGCONT)
        one.check_works()


@pytest.mark.parametrize("step", ["mask-set", "call-started", "in-signal-path", "registers-restored"])
def test_a_signal_that_arrives_meanwhile_is_handled_afterwards(step: str) -> None:
    with target(QUICK, "sleep") as one:
        held = len(one.report()["names"])
        wait_until(lambda: harmless.rank(one.pid, one.pid) == 0, "it sleeps again")
        with borrowed(one, step, lambda: os.kill(one.pid, signal.SIGUSR1)) as thread:
            make_a_call(one, thread)
        assert len(one.next_line()["names"]) == held


def test_a_borrowed_target_can_be_killed() -> None:
    with target(QUICK, "sleep") as one:
        with (
            pytest.raises((EndedError, ProcessLookupError)),
            borrowed(one, "syscall-entered", one.process.kill) as thread,
        ):
            make_a_call(one, thread)
        assert one.process.wait() == -signal.SIGKILL


def test_no_frame_is_laid_over_a_guard_page() -> None:
    page = mmap.PAGESIZE
    with mmap.mmap(-1, 3 * page) as memory:
        base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        libc = ctypes.CDLL(None)
        assert libc.mprotect(ctypes.c_void_p(base + page), page, 0) == 0
        assert harmless.has_room(os.getpid(), base + 2 * page, base + 3 * page - 8)
        assert not harmless.has_room(os.getpid(), base + 2 * page - 64, base + 3 * page - 8)
        assert libc.mprotect(ctypes.c_void_p(base + page), page, 3) == 0


def test_threads_that_wait_are_taken_before_the_main_thread() -> None:
    code = (
        "import threading, time; threading.Thread(target=time.sleep, args=[60], daemon=True).start(); time.sleep(60)"
    )
    with subprocess.Popen([QUICK.path, "-c", code]) as process:
        wait_until(lambda: [harmless.rank(process.pid, tid) for tid in tasks(process.pid)] == [0, 0], "both sleep")
        other = next(tid for tid in tasks(process.pid) if tid != process.pid)
        assert harmless.candidates(process.pid, "auto", 12) == [other, process.pid]
        assert harmless.candidates(process.pid, "no-exec", 12) == [process.pid]
        process.kill()


def test_nothing_is_left_of_many_attempts() -> None:
    with target(QUICK, "naps") as one:
        before = one.traces()
        sizes = []
        for _ in range(25):
            assert attempt(plan(one.pid))["outcome"] in ("started", "queued")
            wait_until(lambda: len(tasks(one.pid)) == 1 and not anonymous_code(one.pid), "its page goes")
            sizes.append(len(read_maps(one.pid)))
        one.check_as_before(before)
        assert sizes[-1] <= sizes[5] + 3, "only at first there is more: threads' stacks and arenas are used again"
