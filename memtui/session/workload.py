"""A program that memtui started: its output, its input, its end."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memtui.errors import TargetError, WriteError
from memtui.session.own_cost import reaped_cpu_seconds
from memtui.session.spawn import open_terminal, set_size, spawn
from memtui.session.tail import Tail

_READ_BYTES = 256 * 1024
_POLL_SECONDS = 0.05
_KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """What to start. ``environment``, ``cwd`` and ``argv`` reach the program exactly as they are here.

    ``keep``: the program may outlive memtui, so it writes to a file instead of a terminal. ``output``: the file that
    gets everything it writes. ``use_stdin``: it reads memtui's stdin when that is a pipe or a file, and what
    :meth:`Workload.send` gives it when that is a terminal; otherwise its stdin is empty.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    cwd: Path | None = None
    keep: bool = False
    output: Path | None = None
    use_stdin: bool = False


@dataclass(frozen=True, slots=True)
class Exit:
    """How the program ended: either ``code`` or ``signal`` is known. ``text``: "exited with code 7"."""

    code: int | None
    signal: int | None
    text: str

    @property
    def status(self) -> int:
        """The exit code a shell would report: 128 + N for a signal N."""
        return self.code if self.code is not None else 128 + (self.signal or 0)


class Workload:
    """A running program, leader of its own session and process group. Made by :meth:`start`; safe between threads.

    ``pid`` is its process id, ``argv`` its command. ``output_path`` is the file its output goes to, if any.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        argv: tuple[str, ...],
        *,
        terminal: int | None,
        tail: Tail | None,
        output_path: Path | None,
        copy: int | None,
    ) -> None:
        self.pid = process.pid
        self.argv = argv
        self.output_path = output_path
        self.output_error: WriteError | None = None
        """Why the output file is incomplete, when it is."""
        self.cpu_seconds = 0.0
        """CPU time it took, once it has ended and was waited for."""
        self._process = process
        self._terminal = terminal
        self._terminal_quiet = False
        self._tail = tail
        self._copy = copy
        self._exit: Exit | None = None
        self._finished = False
        self._lock = threading.RLock()

    @staticmethod
    def start(spec: LaunchSpec) -> Workload:
        """Start the program. Raises TargetError when it cannot be started, WriteError for the output file."""
        return _start_kept(spec) if spec.keep else _start_in_terminal(spec)

    @property
    def fd(self) -> int | None:
        """Turns readable when there is output to :meth:`read`; None when no more is to be expected."""
        if self._tail is not None:
            return self._tail.fd
        return None if self._terminal_quiet else self._terminal

    def read(self) -> bytes:
        """What it wrote since the last time, without waiting; at most 256 KiB. Also goes to the output file."""
        with self._lock:
            if self._finished:
                return b""
            if self._tail is not None:
                return self._tail.read(_READ_BYTES)
            data = self._read_terminal()
            self._keep_copy(data)
            return data

    def poll(self) -> Exit | None:
        """How it ended; None while it runs."""
        with self._lock:
            if self._exit is None and not self._finished:
                # The process is only looked at: as long as it is not reaped, its id and its group cannot become
                # another's. When nobody else is in the group there is nothing left to end.
                info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if info is not None:
                    self._exit = _exit_of(info)
                    if not _group_members(self.pid):
                        self._reap()
            return self._exit

    def send(self, text: str) -> None:
        """Type ``text`` and a newline to it. Without effect unless it was started with a terminal for stdin."""
        with self._lock:
            if self._terminal is None:
                return
            try:
                os.write(self._terminal, text.encode("utf-8", "surrogateescape") + b"\n")
            except OSError:
                pass  # it reads nothing: its terminal is full, or it closed it

    def resize(self, columns: int, rows: int) -> None:
        """Tell it a new size of its terminal, in cells."""
        with self._lock:
            if self._terminal is not None:
                set_size(self._terminal, columns, rows)

    def end(self, grace_seconds: float) -> Exit:
        """End it and everything in its process group: SIGTERM, and SIGKILL after the grace. Returns how it ended.

        A program that ended by itself is only tidied up after. Calling it again returns the same. Raises TargetError
        when even SIGKILL did not end it.
        """
        with self._lock:
            if not self._finished:
                self._end_group(grace_seconds)
                self._reap()
                while self.read():
                    pass
                self._close()
            assert self._exit is not None
            return self._exit

    def release(self) -> None:
        """Let it go on without memtui (only when it was started with ``keep``)."""
        with self._lock:
            if self._finished:
                return
            if self.poll() is None:
                # Popen complains about a child that nobody waits for; init takes this one over when memtui ends.
                self._process.returncode = 0
            else:
                self._reap()
            self._close()

    def _end_group(self, grace_seconds: float) -> None:
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        if not self._drain_until_gone(time.monotonic() + grace_seconds):
            self._signal(signal.SIGKILL)
            self._drain_until_gone(time.monotonic() + _KILL_SECONDS)
        if self.poll() is None:
            raise TargetError(
                f"The workload (pid {self.pid}) does not end.",
                why="It was killed, but it waits for a device, or a debugger holds it.",
                next_step=f"Look at it with: ps -o pid,stat,wchan:20,cmd -p {self.pid}",
            )

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            try:
                os.killpg(self.pid, number)
            except ProcessLookupError:
                pass

    def _drain_until_gone(self, deadline: float) -> bool:
        """Read on while it ends: a program that cannot write its last lines would never finish."""
        with selectors.DefaultSelector() as selector:
            while self.poll() is None or (self._process.returncode is None and _group_members(self.pid)):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                waited = self.fd
                if waited is None:
                    time.sleep(min(left, _POLL_SECONDS))
                    continue
                selector.register(waited, selectors.EVENT_READ)
                selector.select(min(left, _POLL_SECONDS))
                selector.unregister(waited)
                self.read()
        return True

    def _reap(self) -> None:
        if self._process.returncode is None:
            before = reaped_cpu_seconds()
            self._process.wait()
            self.cpu_seconds = reaped_cpu_seconds() - before

    def _read_terminal(self) -> bytes:
        if self._terminal is None:
            return b""
        parts: list[bytes] = []
        size = 0
        while size < _READ_BYTES:
            try:
                data = os.read(self._terminal, _READ_BYTES - size)
            except BlockingIOError:
                break
            except OSError:  # EIO: nobody has the other end open
                data = b""
            if not data:
                # Our end stays open while the program runs: closing it would send SIGHUP to it.
                self._terminal_quiet = True
                break
            parts.append(data)
            size += len(data)
        return b"".join(parts)

    def _keep_copy(self, data: bytes) -> None:
        if self._copy is None:
            return
        try:
            while data:
                data = data[os.write(self._copy, data) :]
        except OSError as error:
            os.close(self._copy)
            self._copy = None
            self.output_error = WriteError(
                f"The output file {self.output_path} is incomplete.", why=f"The system says: {error.strerror}."
            )

    def _close(self) -> None:
        self._finished = True
        if self._tail is not None:
            self._tail.close()
        for fd in (self._terminal, self._copy):
            if fd is not None:
                os.close(fd)
        self._terminal = self._copy = None


def _start_in_terminal(spec: LaunchSpec) -> Workload:
    copy = _open_output(spec.output) if spec.output is not None else None
    typed = spec.use_stdin and os.isatty(0)
    ours, theirs = open_terminal(*terminal_size(), echo=typed)
    stdin = theirs if typed else 0 if spec.use_stdin else subprocess.DEVNULL
    try:
        process = spawn(spec.argv, spec.environment, spec.cwd, stdin=stdin, output=theirs, controlling=True)
    except TargetError:
        os.close(ours)
        if copy is not None:
            os.close(copy)
        raise
    finally:
        os.close(theirs)
    return Workload(process, spec.argv, terminal=ours, tail=None, output_path=spec.output, copy=copy)


def _start_kept(spec: LaunchSpec) -> Workload:
    path = spec.output
    if path is None:
        fd, name = tempfile.mkstemp(prefix="memtui-output-", suffix=".log")
        path = Path(name)
    else:
        fd = _open_output(path)
    stdin = 0 if spec.use_stdin else subprocess.DEVNULL
    try:
        process = spawn(spec.argv, spec.environment, spec.cwd, stdin=stdin, output=fd, controlling=False)
    except TargetError:
        if spec.output is None:
            path.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    return Workload(process, spec.argv, terminal=None, tail=Tail(path), output_path=path, copy=None)


def _open_output(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise WriteError(
            f"The output file {path} cannot be written.",
            why=f"The system says: {error.strerror}.",
            next_step="Name a file in an existing directory that you may write to.",
        ) from error


def terminal_size() -> tuple[int, int]:
    """Columns and rows of the terminal memtui is drawn on; 80x24 where that is not known."""
    try:
        size = os.get_terminal_size(2)
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24


def _exit_of(info: os.waitid_result) -> Exit:
    if info.si_code == os.CLD_EXITED:
        return Exit(info.si_status, None, f"exited with code {info.si_status}")
    return Exit(None, info.si_status, f"was killed by {_signal_name(info.si_status)}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _group_members(group: int) -> tuple[int, ...]:
    """The processes of a process group, without its leader and without zombies."""
    members = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == group:
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, _parent, member_of = file.read().rpartition(b")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # it ended in the meantime
        if int(member_of) == group and state not in (b"Z", b"X"):
            members.append(int(name))
    return tuple(members)
