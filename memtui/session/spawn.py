"""Starting a program so that it notices nothing of memtui: its own session, and a terminal of its own."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from memtui.errors import TargetError

_PR_SET_PTRACER = 0x59616D61
_OFLAG = 1
_LFLAG = 3


def open_terminal(columns: int, rows: int, *, echo: bool) -> tuple[int, int]:
    """A new pseudo-terminal: (our end, non-blocking; the workload's end). Output passes through it unchanged.

    ``echo``: what is typed to the workload shows among its output, as in any terminal.
    """
    ours, theirs = pty.openpty()
    modes = termios.tcgetattr(theirs)
    modes[_OFLAG] &= ~termios.OPOST
    if not echo:
        modes[_LFLAG] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
    set_size(ours, columns, rows)
    os.set_blocking(ours, False)
    return ours, theirs


def set_size(terminal: int, columns: int, rows: int) -> None:
    """Set the size of a terminal in cells; the kernel tells the programs in its foreground."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def spawn(
    argv: Sequence[str],
    environment: Mapping[str, str],
    cwd: Path | None,
    *,
    stdin: int,
    output: int,
    controlling: bool,
) -> subprocess.Popen[bytes]:
    """Start ``argv`` as the leader of a session of its own; raises :class:`TargetError` when that cannot be done.

    ``output`` becomes its stdout and stderr, and its controlling terminal when ``controlling``. To be called while
    memtui has one thread: a few calls are made between fork and exec.
    """
    try:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_child_setup(controlling),
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise _explain(argv[0], cwd, error) from error


def _child_setup(controlling: bool) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl
    memtui = os.getpid()

    def setup() -> None:
        if controlling:
            fcntl.ioctl(1, termios.TIOCSCTTY, 0)
        # Under Yama's ptrace_scope 1 only an ancestor may trace: this lets memtui's helper processes do so as well.
        prctl(_PR_SET_PTRACER, memtui, 0, 0, 0)

    return setup


def _explain(program: str, cwd: Path | None, error: Exception) -> TargetError:
    what = f"{program} cannot be started."
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOENT and cwd is not None and not cwd.is_dir():
        return TargetError(what, why=f"The directory {cwd} does not exist.", next_step="Start memtui elsewhere.")
    if number == errno.ENOENT:
        return TargetError(
            what, why="There is no such program.", next_step="Give its path, or a name that is found on PATH."
        )
    if number in (errno.EACCES, errno.EPERM):
        return TargetError(
            what, why="It may not be executed.", next_step="Name an executable file (see its mode with ls -l)."
        )
    if number == errno.ENOEXEC:
        return TargetError(
            what,
            why="It is neither a program nor a script with a #! line.",
            next_step="To run a Python script leave out the --.",
        )
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return TargetError(what, why=f"The system says: {words}.")
