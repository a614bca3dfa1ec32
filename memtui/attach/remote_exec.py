"""Starting the agent by ``sys.remote_exec``, which CPython has since 3.14 (PEP 768).

The interpreter itself runs a script at its next safe point; nothing is stopped, nothing is borrowed. The call has to
be made by a Python of the same minor version: memtui's own, else the very program that runs in the process. It
returns at once and tells nothing of the outcome; a main thread that sleeps runs the script when it wakes, so after a
bounded wait the injector is tried.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any

from memtui.errors import RefusedError
from memtui.observe.access import read_proc
from memtui.observe.interpreter import Interpreter
from memtui.observe.process import ProcessReader

SINCE = (3, 14)
PATIENCE_SECONDS = 1.0
"""How long to wait for the script before another way is tried."""

_CALL = "import sys; sys.remote_exec(int(sys.argv[1]), sys.argv[2])"
_CALL_SECONDS = 10.0
_FOLDERS = ("tmp", "var/tmp", "dev/shm")
_DIRECTORY_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def check_enabled(pid: int) -> None:
    """Raise RefusedError when the program was started with remote debugging switched off."""
    environment = read_proc(pid, "environ", "environment").split(b"\0")
    options = read_proc(pid, "cmdline", "command line").split(b"\0")
    if any(one.startswith(b"PYTHON_DISABLE_REMOTE_DEBUG=") and not one.endswith(b"=") for one in environment):
        why = "It was started with PYTHON_DISABLE_REMOTE_DEBUG."
    elif _switched_off(options):
        why = "It was started with -X disable-remote-debug."
    else:
        return
    raise RefusedError(
        f"Process {pid} does not want code from outside.",
        why=why,
        next_step="If it is yours to decide, --via ptrace puts the agent in all the same; or use --observe-only.",
    )


def _switched_off(options: list[bytes]) -> bool:
    names = (b"disable-remote-debug", b"disable_remote_debug")
    joined = any(one in (b"-X" + name for name in names) for one in options)
    return joined or any(one == (b"-X", name) for one in pairwise(options) for name in names)


class RemoteExec:
    """A script for one process; close it in any case, so that no file is left."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._pid = interpreter.pid
        self._minor = interpreter.minor
        with ProcessReader(self._pid) as process:
            status = process.status()
        self._user, self._group = int(status["Uid"].split()[1]), int(status["Gid"].split()[1])
        self._folder = -1
        self._name = f"memtui-{secrets.token_hex(8)}.py"

    def attempt(self, source: str) -> dict[str, Any]:
        """Ask the interpreter to run ``source``. ``outcome``: "asked", or "busy" with the ``reason``."""
        self.close()
        try:
            path = self._write(source)
        except OSError as error:
            return {"outcome": "busy", "reason": f"no script could be written where it is found: {error.strerror}"}
        try:
            done = self._call(path)
        except (OSError, subprocess.TimeoutExpired) as error:
            self.close()
            return {"outcome": "busy", "reason": f"sys.remote_exec could not be called: {error}"}
        if done.returncode:
            self.close()
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            return {"outcome": "busy", "reason": f"sys.remote_exec: {last[0]}"}
        return {"outcome": "asked"}

    def close(self) -> None:
        """Remove the script; closing twice does no harm."""
        if self._folder >= 0:
            with suppress(OSError):
                os.unlink(self._name, dir_fd=self._folder)
            os.close(self._folder)
            self._folder = -1

    def _write(self, source: str) -> str:
        """The script, for the process's user only, in its own file system. Returns its path as seen from there."""
        error = FileNotFoundError("no directory")
        for folder in _FOLDERS:
            try:
                self._folder = _open_folder(self._pid, folder.split("/"))
                file = os.open(self._name, _NEW_FILE_FLAGS, 0o600, dir_fd=self._folder)
            except OSError as problem:
                error = FileNotFoundError(problem.errno, problem.strerror)
                self.close()
                continue
            with open(file, "w", encoding="utf-8") as script:
                script.write(source)
                if self._user != os.geteuid():
                    os.fchown(file, self._user, self._group)
            return f"/{folder}/{self._name}"
        raise error

    def _call(self, path: str) -> subprocess.CompletedProcess[str]:
        """Let a Python of the right version ask for it; another user's program is only run as that user."""
        own = sys.version_info[:2] == self._minor
        program = sys.executable if own else f"/proc/{self._pid}/exe"
        as_user: dict[str, Any] = {}
        if not own and self._user != os.geteuid():
            as_user = {"user": self._user, "group": self._group, "extra_groups": []}
        return subprocess.run(
            [program, "-I", "-S", "-c", _CALL, str(self._pid), path],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_CALL_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            **as_user,
        )


def _open_folder(pid: int, parts: Iterable[str]) -> int:
    """Open a directory of the process; a symbolic link on the way could lead out of its root and is not followed."""
    folder = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in parts:
        above = folder
        try:
            folder = os.open(part, _DIRECTORY_FLAGS, dir_fd=above)
        finally:
            os.close(above)
    return folder
