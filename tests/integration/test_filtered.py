"""Processes with a filter over their system calls: refused where it would end them, let in where it would not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from attach_driver import ask, leave, tracer, wait_until
from interpreters import Interpreter, interpreters

from memtui.attach import inject
from memtui.attach.inject import attach_agent
from memtui.attach.seccomp import NEEDED, check_filter, may_read_filters, verdicts
from memtui.errors import RefusedError

pytestmark = [
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the filters are written for x86-64"),
    pytest.mark.skipif(not may_read_filters(), reason="filters may be read by root only"),
]
SOME = [interpreters()[0], *(one for one in interpreters() if one.minor in ((3, 11), (3, 13)))]
CALLS = NEEDED["x86_64"]
UNUSED = 86  # link: nothing here makes it
FILTERED = """
import ctypes, json, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
for number, action in json.loads(sys.argv[1]):
    program = b"".join(struct.pack("HBBI", *one) for one in (
        (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, action), (0x06, 0, 0, 0x7FFF0000)))
    code = ctypes.create_string_buffer(program)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 4, ctypes.addressof(code)))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.c_void_p(ctypes.addressof(header)), 0, 0) == 0
print("here", flush=True)
while True:
    if sys.argv[2] == "sleep":
        time.sleep(0.05)
"""
KILL, TRAP, ERRNO = 0x80000000, 0x00030000, 0x00050001


@contextmanager
def filtered(path: str, mode: str, *filters: tuple[int, int]) -> Iterator[subprocess.Popen[bytes]]:
    """A process with these filters, each (number of a system call, what happens to it)."""
    command = [path, "-c", FILTERED, json.dumps(filters), mode]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("mode", ["sleep", "compute"])
@pytest.mark.parametrize(("name", "action"), [("memfd_create", KILL), ("socketpair", 0), ("clone3", TRAP)])
def test_a_filter_that_would_end_the_process_keeps_the_agent_out(name: str, action: int, mode: str) -> None:
    with filtered(sys.executable, mode, (UNUSED, ERRNO), (CALLS[name], action)) as process:
        with pytest.raises(RefusedError, match=rf"\(seccomp\) would end it for {name}\."):
            attach_agent(process.pid)
        assert tracer(process.pid) == 0
        assert process.poll() is None


@pytest.mark.parametrize("name", ["memfd_create", "socketpair", "pipe2"])
def test_a_filter_that_withholds_what_the_agent_needs_is_named_at_once(name: str) -> None:
    with filtered(sys.executable, "sleep", (CALLS[name], ERRNO)) as process:
        with pytest.raises(RefusedError, match=rf"\(seccomp\) refuses {name} to it\. Watch it from outside"):
            attach_agent(process.pid)
        assert tracer(process.pid) == 0
        assert process.poll() is None


def test_a_filter_that_withholds_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inject, "_DEADLINE_SECONDS", 2.5)
    with filtered(sys.executable, "sleep", (CALLS["clone"], ERRNO), (CALLS["clone3"], ERRNO)) as process:
        with pytest.raises(
            RefusedError, match=r" s\. The process may not start another thread: Operation not permitted"
        ):
            attach_agent(process.pid)
        assert process.poll() is None


@pytest.mark.parametrize("one", SOME, ids=str)
def test_another_filter_does_not(one: Interpreter) -> None:
    with filtered(one.path, "sleep", (UNUSED, KILL), (CALLS["clone3"], 0x00050026)) as process:
        attached = attach_agent(process.pid)
        ask(attached, "types", limit=5)
        leave(attached)
        wait_until(lambda: len(os.listdir(f"/proc/{process.pid}/task")) == 1, "the agent's thread ends")
        assert process.poll() is None


def test_verdicts() -> None:
    with filtered(sys.executable, "sleep", (UNUSED, KILL), (UNUSED, ERRNO), (CALLS["clone"], ERRNO)) as process:
        found = verdicts(process.pid, (UNUSED, CALLS["clone"], CALLS["read"]))
        assert found == {UNUSED: "kill", CALLS["clone"]: "errno", CALLS["read"]: "allow"}
        check_filter(process.pid)
    assert verdicts(os.getpid(), (1, 2)) == {1: "allow", 2: "allow"}


def test_doctor_says_that_there_is_a_filter() -> None:
    with filtered(sys.executable, "sleep", (UNUSED, KILL)) as process:
        command = [sys.executable, "-m", "memtui", "doctor", str(process.pid)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "filter (seccomp)" in told
