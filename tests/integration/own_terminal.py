"""memtui in a terminal of its own: a real pseudo-terminal, with an emulator that says what a person would see."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyte

SECONDS = 30.0
_AS_ITS_TERMINAL = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0)\n"
    "os.close(int(sys.argv[1]))\n"
    "os.execv(sys.executable, [sys.executable, '-m', 'memtui', *sys.argv[2:]])"
)


def without_size(environment: Mapping[str, str]) -> dict[str, str]:
    """pytest-xdist tells its workers a size, which is not that of the terminal here."""
    return {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}


class Terminal:
    """``memtui ARGUMENTS`` in a terminal; ended, if need be, when the ``with`` block is left.

    ``stdin`` and ``stdout``: file descriptors to give it instead of the terminal.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
        columns: int = 120,
        rows: int = 40,
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self._master, slave = os.openpty()
        self.resize(columns, rows)
        self._modes = termios.tcgetattr(slave)
        self._slave = slave
        self.process = subprocess.Popen(
            [sys.executable, "-c", _AS_ITS_TERMINAL, str(slave), *arguments],
            stdin=slave if stdin is None else stdin,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            pass_fds=(slave,),
            cwd=cwd,
            env={**without_size(os.environ), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(environment or {})},
            start_new_session=True,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            # Its hang-up is what ends the workloads of a memtui that is killed here.
            self.process.kill()
            self.process.wait()
        self.close()
        os.close(self._slave)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def resize(self, columns: int, rows: int) -> None:
        """Change the size, as dragging the window's corner does."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def wait_for(self, *texts: str) -> str:
        """Wait until all ``texts`` stand on the screen together; returns the screen."""
        return self.wait_until(lambda: all(text in self.text for text in texts), f"waited for {texts}")

    def wait_until(self, condition: Callable[[], bool], what: str = "") -> str:
        """Wait, reading what memtui draws; fails with the screen at the deadline or when memtui ends before."""
        end = time.monotonic() + SECONDS
        while not condition():
            ended = self.process.poll()
            assert time.monotonic() < end, f"{what}\n{self.text}"
            assert self._read(0.05) or ended is None or condition(), f"{what}; memtui ended with {ended}\n{self.text}"
        return self.text

    def wait_for_exit(self) -> int:
        """Wait for the end; returns the exit code."""
        end = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < end, f"memtui goes on\n{self.text}"
            if self._master >= 0:
                self._read(0.05)
            else:
                time.sleep(0.02)
        while self._master >= 0 and self._read(0):
            pass
        return int(self.process.returncode)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to memtui."""
        self.process.send_signal(number)

    def close(self) -> None:
        """Close the terminal window."""
        if self._master >= 0:
            os.close(self._master)
            os.close(self._slave)
            self._master, self._slave = -1, os.open(os.devnull, os.O_RDONLY)

    def assert_reset(self) -> None:
        """The terminal is as it was: modes, alternate screen, cursor, mouse, bracketed paste, line wrap."""
        assert termios.tcgetattr(self._slave) == self._modes
        for on, off in ("h", "l"), ("l", "h"):
            for mode in (1049, 1000, 1003, 1006, 2004, 1004) if on == "h" else (25, 7):
                last_on = self.raw.rfind(b"\x1b[?%d%s" % (mode, on.encode()))
                assert self.raw.rfind(b"\x1b[?%d%s" % (mode, off.encode())) > last_on, mode

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


def processes_with(word: str, parent: int | None = None) -> list[int]:
    """The processes that have ``word`` in their command line, below ``parent`` if it is given."""
    found = []
    for one in Path("/proc").iterdir():
        try:
            if one.name.isdigit() and word.encode() in (one / "cmdline").read_bytes():
                of = int((one / "stat").read_text().rpartition(")")[2].split()[1])
                found += [int(one.name)] * (parent in (None, of))
        except OSError:
            continue
    return found


def only(values: list[Any]) -> Any:
    """The one value."""
    assert len(values) == 1, values
    return values[0]


@contextmanager
def as_stdin(fd: int) -> Iterator[None]:
    """Within it ``fd`` is the stdin of the process that runs the tests; it is closed afterwards."""
    before = os.dup(0)
    os.dup2(fd, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(fd)
