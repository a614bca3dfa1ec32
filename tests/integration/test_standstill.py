"""All threads of a process stopped together: none is forgotten, and none of them notices."""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from memtui.attach import harmless
from memtui.attach.standstill import Standstill

SLOTS = struct.Struct("4Q")
TARGET = """
import ctypes, mmap, select, socket, struct, sys, threading, time
with open(sys.argv[1], "r+b") as file:
    shared = mmap.mmap(file.fileno(), 4096)
libc = ctypes.CDLL(None, use_errno=True)
epoll = select.epoll()
events = ctypes.create_string_buffer(64)
def count(slot):
    at = 8 * slot
    shared[at : at + 8] = (int.from_bytes(shared[at : at + 8], "little") + 1).to_bytes(8, "little")
def wait():
    while True:
        begin = time.monotonic()
        if libc.epoll_wait(epoll.fileno(), events, 1, 20) == -1:
            count(1)
        elif time.monotonic() - begin < 0.0195:
            count(2)
        count(0)
threading.Thread(target=wait, daemon=True).start()
while True:
    sum(range(1000))
    count(3)
"""
EINTR, EARLY = 1, 2


class Waiter:
    """A process with one thread in ``epoll_wait`` of C code and one that computes."""

    def __init__(self, file: IO[bytes]) -> None:
        file.write(bytes(4096))
        file.flush()
        self.shared = mmap.mmap(file.fileno(), 4096)
        self.process = subprocess.Popen([sys.executable, "-c", TARGET, file.name])
        self.pid = self.process.pid
        self.wait_for(0, 2)

    def slots(self) -> tuple[int, ...]:
        """Waits, interrupted waits, waits that ended early, turns of the other thread."""
        return SLOTS.unpack_from(self.shared)

    def wait_for(self, slot: int, more: int) -> None:
        """Wait until it has counted further."""
        before, end = self.slots()[slot], time.monotonic() + 20
        while self.slots()[slot] < before + more:
            assert time.monotonic() < end, "it does not go on"
            time.sleep(0.001)


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    with tempfile.NamedTemporaryFile() as file:
        one = Waiter(file)
        yield one
        one.process.kill()
        one.process.wait()


def stop_often(waiter: Waiter, gentle: bool, times: int = 12) -> list[Standstill]:
    stills = []
    for _ in range(times):
        still = Standstill(waiter.pid, lambda name: None)
        still.stop(gentle)
        before = waiter.slots()
        time.sleep(0.004)
        assert waiter.slots() == before or not still.undisturbed()
        still.release()
        stills.append(still)
        waiter.wait_for(0, 1)
        waiter.wait_for(3, 1)
    return stills


def test_c_code_sees_an_interruption_when_it_is_not_spared(waiter: Waiter) -> None:
    stills = stop_often(waiter, gentle=False)
    assert all(not still.left_alone for still in stills)
    assert waiter.slots()[EINTR] > 0
    assert waiter.slots()[EARLY] == 0


def test_gently_it_is_left_alone(waiter: Waiter) -> None:
    stills = stop_often(waiter, gentle=True)
    assert any(still.left_alone for still in stills)
    assert waiter.slots()[EINTR : EARLY + 1] == (0, 0)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="cannot be done on other processors")
def test_a_wait_that_has_just_begun_is_begun_again(waiter: Waiter, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no thread had been seen asleep before it was stopped."""
    monkeypatch.setattr(harmless, "rank_for_one_call", lambda pid, tid: harmless.RUNNING)
    stills = stop_often(waiter, gentle=True)
    assert all(not still.left_alone for still in stills)
    assert waiter.slots()[EINTR : EARLY + 1] == (0, 0)


def test_threads_that_are_being_started_are_stopped_too() -> None:
    code = "import threading, time\nprint(1, flush=True)\n"
    code += "while True:\n threads = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(5)]\n"
    code += " for one in threads: one.start()\n for one in threads: one.join()"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            for _ in range(20):
                still = Standstill(process.pid, lambda name: None)
                still.stop(True)
                threads = sorted(int(one) for one in os.listdir(f"/proc/{process.pid}/task"))
                states = {tid: harmless.thread_state(process.pid, tid) for tid in threads}
                assert {tid for tid in threads if states[tid] not in "tZX"} <= set(still.left_alone)
                still.release()
                assert b"\nTracerPid:\t0\n" in Path(f"/proc/{process.pid}/status").read_bytes()
        finally:
            process.kill()
