"""Targets to put the agent into, and what can be seen of them before and after."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from interpreters import Interpreter

from memtui.attach.inject import Attached
from memtui.errors import ChannelError
from memtui.protocol import Frame

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "attach_target.py"
DEADLINE_SECONDS = 30.0


def wait_until(condition: Callable[[], bool], what: str, pause_seconds: float = 0.005) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(pause_seconds)


class Target:
    """A running attach_target program."""

    def __init__(self, interpreter: Interpreter | str, mode: str, *before: str) -> None:
        path = interpreter if isinstance(interpreter, str) else interpreter.path
        self.process = subprocess.Popen(
            [*before, path, "-u", str(PROGRAM), mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.pid = self.process.pid
        self._unread = b""
        assert self.next_line() == {"ready": True}

    def next_line(self) -> Any:
        """What it writes next."""
        assert self.process.stdout is not None
        end = time.monotonic() + DEADLINE_SECONDS
        while b"\n" not in self._unread:
            ready = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))[0]
            assert ready, f"the target does not answer; state {state(self.pid)}"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, f"the target ended: {self.process.wait()} {self.errors()}"
            self._unread += data
        line, self._unread = self._unread.split(b"\n", 1)
        return json.loads(line)

    def report(self) -> dict[str, Any]:
        """What the target says of itself."""
        answer = self._answer_to(signal.SIGUSR1)
        assert isinstance(answer, dict)
        return answer

    def allocate(self) -> None:
        """Have it allocate 200 kB on its known line."""
        assert self._answer_to(signal.SIGUSR2) == {}

    def _answer_to(self, number: int) -> Any:
        # CPython notes a signal that comes just before a call waits, and then waits: another one wakes it.
        os.kill(self.pid, number)
        assert self.process.stdout is not None
        if b"\n" not in self._unread and not select.select([self.process.stdout], [], [], 3.0)[0]:
            os.kill(self.pid, number)
        return self.next_line()

    def traces(self) -> dict[str, Any]:
        """Everything an agent might leave behind, seen from inside and outside."""
        told = self.report()
        told.pop("progress")
        return {
            **told,
            "fds": sorted(os.listdir(f"/proc/{self.pid}/fd"), key=int),
            "tasks": len(tasks(self.pid)),
            "executable": anonymous_code(self.pid),
            "masks": signal_masks(self.pid),
        }

    def check_as_before(self, before: dict[str, Any]) -> None:
        """Wait until the agent's thread and pages are gone; then everything has to be as it was."""
        wait_until(
            lambda: len(tasks(self.pid)) <= before["tasks"] and not anonymous_code(self.pid) - before["executable"],
            "the agent's thread ends",
        )
        # The number of threads says nothing of a program that ends some of its own.
        wait_until(lambda: not self.report()["functions"], "the agent's functions are freed", 0.05)
        now = self.traces()
        assert now == before, {key: (before[key], now[key]) for key in before if now[key] != before[key]}
        self.check_works()

    def check_works(self) -> None:
        """It goes on with its work, without a mistake."""
        first = self.report()
        assert first["wrong"] == 0
        if first["progress"]:
            # Not too often: each question interrupts the call that the main thread waits in.
            wait_until(lambda: int(self.report()["progress"]) > int(first["progress"]), "the target goes on", 0.05)

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextmanager
def target(interpreter: Interpreter | str, mode: str, *before: str) -> Iterator[Target]:
    """A target that is killed at the end."""
    one = Target(interpreter, mode, *before)
    try:
        yield one
    finally:
        one.close()


def tasks(pid: int) -> list[int]:
    return sorted(map(int, os.listdir(f"/proc/{pid}/task")))


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def tracer(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().split("TracerPid:")[1].split()[0])


def signal_masks(pid: int) -> list[str]:
    """The blocked signals of every thread."""
    return sorted(
        Path(f"/proc/{pid}/task/{tid}/status").read_text().split("SigBlk:")[1].split()[0] for tid in tasks(pid)
    )


def anonymous_code(pid: int) -> frozenset[str]:
    """Executable mappings without a file."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return frozenset(one for one in lines if "x" in one.split()[1] and len(one.split()) == 5)


def ask(attached: Attached, do: str, **arguments: Any) -> Frame:
    """Request and reply; the request has to be carried out."""
    number = attached.link.request(do, **arguments)
    reply = attached.link.wait_for(("reply",), DEADLINE_SECONDS)
    assert reply["id"] == number
    assert reply["ok"], reply
    return reply


def leave(attached: Attached) -> None:
    """Detach as a viewer does, and wait until the agent has closed the connection."""
    attached.link.request("detach")
    attached.link.wait_for(("reply",), DEADLINE_SECONDS)
    with pytest.raises(ChannelError, match="cut"):
        attached.link.wait_for(("reply",), DEADLINE_SECONDS)
    attached.link.close()


def known_line(mark: str = "kept") -> int:
    """Number of the line of the program that carries ``# known line: MARK``."""
    lines = PROGRAM.read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# known line: {mark}"))
