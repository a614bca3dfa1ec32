"""Running the hard targets, and telling what memtui did to them."""

from __future__ import annotations

import mmap
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from interpreters import SYSTEM, Interpreter, interpreters

from memtui.attach.inject import Attached
from memtui.errors import ChannelError, RefusedError
from memtui.protocol import Frame

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "hard_targets.py"
SLOTS = ("gap", "progress", "wrong", "early", "asked", "answered")
TEXT_AT, SIZE = 64, 4096
HANG_SECONDS = 10.0
TOO_BUSY = "keeps the GIL"
MODES = (
    "loop", "churn", "threads", "loops_of_events", "prefork", "gil_main", "gil_thread", "waits", "signals", "no_gc",
    "little_memory",
)  # fmt: skip
"""The modes of the program that attaching has to cope with; ``no_memory`` may be refused."""


class HangError(Exception):
    """Something took longer than ten seconds."""


class Trouble(Exception):
    """The target is not as it was; the text says in what."""


def chosen(names: str = "3.8,3.11,3.13,system") -> list[Interpreter]:
    """The interpreters of this machine among ``names``."""
    wanted = names.split(",")
    return [
        one
        for one in interpreters()
        if ("system" if Path(one.path) == SYSTEM else ".".join(map(str, one.minor))) in wanted
    ]


def until(condition: Callable[[], bool], what: str, seconds: float = HANG_SECONDS) -> None:
    """Poll for a condition. Raises HangError."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise HangError(what)
        time.sleep(0.003)


class HardTarget:
    """One running hard target. A context manager: it is killed at the end."""

    program = PROGRAM
    own_session = False

    def __init__(self, interpreter: Interpreter, mode: str) -> None:
        self.mode = mode
        self._file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._file.write(bytes(SIZE))
        self._file.flush()
        self._shared = mmap.mmap(self._file.fileno(), SIZE)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self.process = subprocess.Popen(
            [str(interpreter.path), str(self.program), mode, self._file.name],
            stdin=subprocess.DEVNULL, stdout=self._errors, stderr=self._errors, start_new_session=self.own_session,
        )  # fmt: skip
        self.pid = self.process.pid

    def __enter__(self) -> HardTarget:
        self.answer()
        self.tasks = len(os.listdir(f"/proc/{self.pid}/task"))
        self.code = self.executable_mappings()
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._shared.close()
        self._file.close()
        self._errors.close()

    def slot(self, name: str) -> float:
        """One of the numbers the target counts."""
        value: float = struct.unpack_from("d", self._shared, 8 * SLOTS.index(name))[0]
        return value

    def clear(self, name: str) -> None:
        """Begin to count anew."""
        struct.pack_into("d", self._shared, 8 * SLOTS.index(name), 0.0)

    def answer(self) -> None:
        """Have the target look at itself at its next quiet moment. Raises HangError, Trouble."""
        number = self.slot("asked") + 1
        struct.pack_into("d", self._shared, 8 * SLOTS.index("asked"), number)
        until(lambda: self.slot("answered") == number or self.process.poll() is not None, "the target's work", 30.0)
        self.check()

    def check(self) -> None:
        """Raises Trouble when it ended or found a mistake."""
        if self.process.poll() is not None:
            self._errors.seek(0)
            text = self._errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise Trouble(f"crash: exit code {self.process.returncode} {text}")
        if self.slot("wrong") or self.slot("early"):
            raise Trouble(bytes(self._shared[TEXT_AT:SIZE]).rstrip(b"\0").decode(errors="replace"))

    def traced(self) -> bool:
        """Whether any of its threads has a tracer."""
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            try:
                if "\nTracerPid:\t0\n" not in Path(f"/proc/{self.pid}/task/{tid}/status").read_text():
                    return True
            except OSError:
                continue
        return False

    def children(self) -> set[int]:
        """Whatever is a child of one of its threads now."""
        found: set[int] = set()
        for tid in os.listdir(f"/proc/{self.pid}/task"):
            try:
                found.update(map(int, Path(f"/proc/{self.pid}/task/{tid}/children").read_text().split()))
            except OSError:
                continue
        return found

    def executable_mappings(self) -> int:
        """How many executable mappings without a file there are."""
        lines = Path(f"/proc/{self.pid}/maps").read_text().splitlines()
        return sum("x" in one.split()[1] and len(one.split()) == 5 for one in lines)

    def wait_until_clean(self) -> None:
        """The agent's threads and pages are gone and the target says so too. Raises HangError, Trouble."""
        until(lambda: len(os.listdir(f"/proc/{self.pid}/task")) <= self.tasks, "the agent's thread ends")
        until(lambda: self.executable_mappings() <= self.code, "the agent's page is removed")
        self.answer()


def ask(attached: Attached, do: str, **arguments: Any) -> Frame:
    """Request and reply. Raises HangError, Trouble; RefusedError when the agent found the target too busy for it."""
    number = attached.link.request(do, **arguments)
    try:
        reply = attached.link.wait_for(("reply",), HANG_SECONDS)
    except ChannelError as error:
        if "does not answer" in str(error):
            raise HangError(do) from error
        raise
    if TOO_BUSY in str(reply.get("error")):
        raise RefusedError(f"{do}: {reply['error']}")
    if reply["id"] != number or not reply["ok"]:
        raise Trouble(f"{do}: {reply.get('error')}")
    return reply


def leave(attached: Attached) -> None:
    """Detach as a viewer does, and wait until the agent has closed the connection. Raises HangError."""
    try:
        attached.link.request("detach")
        end = time.monotonic() + HANG_SECONDS
        while select.select([attached.link.fileno()], [], [], max(0.0, end - time.monotonic()))[0]:
            for _ in attached.link.receive():
                pass
        raise HangError("detach")
    except ChannelError:
        pass
    finally:
        attached.link.close()
