"""Starting a program so that it behaves as if memtui were not there, hearing what it prints, and ending it."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from memtui.errors import TargetError, WriteError

_READ_BYTES = 65536
_READS_PER_CALL = 16
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class LaunchSpec:
    """What to start and how.

    ``output``: a file that gets everything it prints. ``keep``: it is to outlive memtui, so it prints into a file
    instead of a terminal. ``use_stdin``: it may read what the user types (or memtui's own piped stdin).
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: str
    keep: bool = False
    output: Path | None = None
    use_stdin: bool = False
    piped_stdin: int | None = None
    """File descriptor to read from instead of the terminal (only with ``use_stdin``)."""


@dataclass(frozen=True)
class Exit:
    """How it ended. Exactly one of ``code`` and ``signal`` is known; ``text`` says it in words."""

    code: int | None
    signal: int | None
    text: str

    @property
    def status(self) -> int:
        """As a shell reports it: the code, or 128 plus the signal."""
        return self.code if self.code is not None else 128 + (self.signal or 0)


class Workload:
    """A started program. ``fd`` is readable when it has printed something; None once it will print no more."""

    def __init__(self, process: subprocess.Popen[bytes], spec: LaunchSpec, fd: int, log: BinaryIO | None) -> None:
        self._process = process
        self._spec = spec
        self._log = log
        self._exit: Exit | None = None
        self.pid = process.pid
        self.fd: int | None = fd
        self.kept_output = Path(os.fsdecode(log.name)) if spec.keep and log is not None else None

    @classmethod
    def start(cls, spec: LaunchSpec) -> Workload:
        """Start it. Raises TargetError (with the reason) or WriteError (``output`` cannot be written)."""
        program = shutil.which(spec.argv[0], path=spec.environment.get("PATH"))
        if program is None:
            raise TargetError(f"Cannot start {spec.argv[0]}: no such program.", next_step="Check the name and PATH.")
        log = _open_log(spec)
        try:
            return cls._start_in_file(spec, log) if spec.keep and log else cls._start_in_terminal(spec, log)
        except OSError as error:
            if log is not None:
                log.close()
            raise TargetError(f"Cannot start {spec.argv[0]}: {error.strerror}.") from error

    @classmethod
    def _start_in_terminal(cls, spec: LaunchSpec, log: BinaryIO | None) -> Workload:
        """In a terminal of its own, as if it had been typed into one; only memtui reads that terminal."""
        ours, theirs = pty.openpty()
        try:
            _quiet(theirs)
            stdin = _stdin(spec, theirs)
            process = _spawn(spec, stdin, theirs, controlling=theirs)
            if stdin not in (theirs, spec.piped_stdin):
                os.close(stdin)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        os.set_blocking(ours, False)
        return cls(process, spec, ours, log)

    @classmethod
    def _start_in_file(cls, spec: LaunchSpec, log: BinaryIO) -> Workload:
        stdin = os.open(os.devnull, os.O_RDONLY)
        try:
            process = _spawn(spec, stdin, log.fileno(), controlling=None)
        finally:
            os.close(stdin)
        return cls(process, spec, -1, log)

    def read(self) -> bytes:
        """What it has printed since; sets ``fd`` to None at the end. Also written to ``output``."""
        if self.fd is None or self.fd < 0:
            return b""
        data = b""
        for _ in range(_READS_PER_CALL):
            try:
                piece = os.read(self.fd, _READ_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.EIO:  # EIO: nobody has the terminal open any more
                    raise
                piece = b""
            if not piece:
                self._close_terminal()
                break
            data += piece
        self._save(data)
        return data

    def poll(self) -> Exit | None:
        """How it ended; None while it runs."""
        if self._exit is None and (status := self._process.poll()) is not None:
            self._exit = _exit(status)
        return self._exit

    def send(self, text: str) -> None:
        """Type a line to it, when it reads from its terminal."""
        if self._spec.use_stdin and self._spec.piped_stdin is None and self.fd is not None and self.fd >= 0:
            try:
                os.write(self.fd, text.encode() + b"\n")
            except OSError:
                pass  # it reads no more

    def resize(self, columns: int, rows: int) -> None:
        """Tell its terminal how large it is."""
        if self.fd is not None and self.fd >= 0:
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self, grace_seconds: float) -> Exit:
        """End it and what it started: SIGTERM, and after the grace SIGKILL. Reads on meanwhile."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal_group(number)
            deadline = time.monotonic() + (grace_seconds if number == signal.SIGTERM else 5.0)
            while self.poll() is None and time.monotonic() < deadline:
                self.read()
                time.sleep(_POLL_SECONDS)
            if self._exit is not None:
                break
        self._signal_group(signal.SIGKILL)
        self.read()
        self._close_all()
        return self._exit or Exit(None, signal.SIGKILL, "does not end, even after SIGKILL")

    def release(self) -> None:
        """Let it run on by itself (``keep``)."""
        self._process.returncode = 0  # not waited for: it goes to init when memtui ends
        self._close_all()

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def _save(self, data: bytes) -> None:
        if self._log is not None and data:
            try:
                self._log.write(data)
                self._log.flush()
            except OSError:
                self._log = None  # the disk is full: the workload goes on, its output is still shown

    def _close_terminal(self) -> None:
        if self.fd is not None and self.fd >= 0:
            os.close(self.fd)
        self.fd = None

    def _close_all(self) -> None:
        self._close_terminal()
        if self._log is not None:
            self._log.close()
            self._log = None


def _spawn(spec: LaunchSpec, stdin: int, output: int, controlling: int | None) -> subprocess.Popen[bytes]:
    def own_terminal() -> None:
        if controlling is not None:
            fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    return subprocess.Popen(
        spec.argv,
        stdin=stdin,
        stdout=output,
        stderr=output,
        cwd=spec.cwd,
        env=dict(spec.environment),
        start_new_session=True,
        preexec_fn=own_terminal,
    )


def _stdin(spec: LaunchSpec, terminal: int) -> int:
    if not spec.use_stdin:
        return os.open(os.devnull, os.O_RDONLY)
    return terminal if spec.piped_stdin is None else spec.piped_stdin


def _quiet(terminal: int) -> None:
    """No echo, and line ends as the program writes them."""
    modes = termios.tcgetattr(terminal)
    modes[1] &= ~termios.OPOST
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))


def _open_log(spec: LaunchSpec) -> BinaryIO | None:
    if spec.output is None and not spec.keep:
        return None
    try:
        if spec.output is not None:
            return open(spec.output, "wb")
        fd, _ = made = tempfile.mkstemp(prefix="memtui-output-", suffix=".log")
        os.close(fd)
        return open(made[1], "wb")
    except OSError as error:
        raise WriteError(
            f"The output file {spec.output} cannot be written.",
            why=f"{error.strerror}.",
            next_step="Give --output another place.",
        ) from error


def _exit(status: int) -> Exit:
    if status >= 0:
        return Exit(status, None, f"exited with code {status}")
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return Exit(None, -status, f"was killed by {name}")
