"""A conversation with gdb through its machine interface (MI), bounded in time and never cut off half-way.

gdb must not be killed while it holds a process: its breakpoints and half-made calls would end the process. So it runs
in a session of its own, out of reach of Ctrl-C and of a terminal that closes, and it goes by itself, letting the
process go unchanged, when its input ends; that is also what happens when memtui itself is killed.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import subprocess
import time
from types import TracebackType

from memtui.errors import RefusedError

_COMMAND = (
    "-nx", "-nh", "-q", "--readnever", "--interpreter=mi2",
    # Neither scripts that lie beside the target's libraries nor a server for symbols are asked for anything.
    "-iex", "set auto-load no",
    "-iex", "set auto-solib-add off",
)  # fmt: skip
_SETTINGS = (
    "-gdb-set mi-async on",
    "-gdb-set non-stop on",
    "-gdb-set confirm off",
    "-gdb-set language c",
    "-gdb-set unwindonsignal on",
    '-interpreter-exec console "handle all nostop noprint pass"',
    '-interpreter-exec console "handle SIGINT nostop noprint pass"',
)
_RESULT = re.compile(r"(\d+)\^(\w+)(.*)")
_STOPPED = re.compile(r'\*stopped,(?:reason="([a-z-]+)")?.*thread-id="(\d+)"')
_MESSAGE = re.compile(r'msg="((?:[^"\\]|\\.)*)"')
_VALUE = re.compile(r'value="((?:[^"\\]|\\.)*)"')
_PROMPT_SECONDS = 30.0
_GOODBYE_SECONDS = 30.0


class GdbError(Exception):
    """gdb refused a command; its words."""


class Gdb:
    """One gdb, on no process yet. Use as a context manager: leaving it lets go of the process and waits for its end.

    Entering raises RefusedError when there is no gdb. Stops of threads are kept in ``stops`` as (reason, thread).
    """

    def __init__(self) -> None:
        self.stops: list[tuple[str, str]] = []
        self._number = 0
        self._unread = b""
        self._results: dict[int, tuple[str, str]] = {}

    def __enter__(self) -> Gdb:
        path = shutil.which("gdb")
        if path is None:
            raise RefusedError(
                "--via gdb needs gdb, which is not installed here.",
                next_step="Install it (apt install gdb, dnf install gdb), or leave --via out.",
            )
        self._process = subprocess.Popen(
            [path, *_COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            restore_signals=False,  # SIGPIPE stays ignored: gdb must survive memtui's sudden end
            env={**os.environ, "DEBUGINFOD_URLS": "", "LC_ALL": "C"},
        )
        assert self._process.stdout is not None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        try:
            for setting in _SETTINGS:
                self.do(setting)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def do(self, command: str, seconds: float = _PROMPT_SECONDS) -> str:
        """Carry out one MI command; returns what it answers. Raises GdbError, or TimeoutError after ``seconds``."""
        number = self.begin(command)
        end = time.monotonic() + seconds
        while number not in self._results:
            self._read(end)
        kind, text = self._results.pop(number)
        if kind == "error":
            message = _MESSAGE.search(text)
            raise GdbError(message[1] if message else "no reason given")
        return text

    def begin(self, command: str) -> int:
        """Send one MI command without waiting for its answer; returns its number."""
        assert self._process.stdin is not None
        self._number += 1
        try:
            self._process.stdin.write(f"{self._number}{command}\n".encode())
            self._process.stdin.flush()
        except OSError as error:
            raise GdbError("gdb ended") from error
        return self._number

    def value(self, expression: str, thread: str, seconds: float = _PROMPT_SECONDS) -> int:
        """An integer expression, calls included, evaluated in one stopped thread. Raises GdbError, TimeoutError."""
        text = self.do(f'-data-evaluate-expression --thread {thread} "{expression}"', seconds)
        found = _VALUE.search(text)
        if found is None:
            raise GdbError(f"no value in {text}")
        return int(found[1].split()[0], 0)

    def next_stop(self, end: float) -> tuple[str, str]:
        """The next stop of a thread: (reason, empty when it was asked for, and thread). Raises TimeoutError."""
        while not self.stops:
            self._read(end)
        return self.stops.pop(0)

    def _read(self, end: float) -> None:
        """Take in what gdb wrote. Raises TimeoutError after ``end`` and GdbError when gdb is no more."""
        assert self._process.stdout is not None
        if not self._selector.select(max(0.0, end - time.monotonic())):
            raise TimeoutError
        data = os.read(self._process.stdout.fileno(), 65536)
        if not data:
            raise GdbError("gdb ended")
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._take(line.decode(errors="replace"))

    def _take(self, line: str) -> None:
        if result := _RESULT.match(line):
            self._results[int(result[1])] = (result[2], result[3])
        elif stop := _STOPPED.match(line):
            self.stops.append((stop[1] or "", stop[2]))

    def _leave(self) -> None:
        """End its input, and wait: it lets go of the process and ends. It is never killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass  # it ended by itself
        end = time.monotonic() + _GOODBYE_SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            try:
                self._read(min(end, time.monotonic() + 0.02))
            except (TimeoutError, GdbError):
                time.sleep(0.002)
        self._selector.close()
        self._process.stdout.close()
