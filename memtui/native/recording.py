"""Recording native allocations in a running process: the agent has memray do it, memtui reads the file."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from memtui.errors import ChannelError, RefusedError, TargetDiedError, UsageError, WriteError
from memtui.model.native import NATIVE_SLOWDOWN
from memtui.model.units import format_seconds
from memtui.native.reader import Recorded
from memtui.native.talk import Talk

MOST_BYTES = 128 * 1024 * 1024
"""A recording ends when its file is as large as this: some thirty million allocations."""
MAX_SECONDS = 3600.0
COST = (
    f"memray is going to record every allocation with its native stack: programs ran {NATIVE_SLOWDOWN} meanwhile, "
    "those that allocate or call most the slowest."
)
STAYS = (
    "memray stays imported in the process afterwards, with a pipe of its unwinder; the tracker, the recording and "
    "the agent do not stay."
)
ENDS = {
    "size": "The recording ended early: its file had grown as large as memtui allows.",
    "space": "The recording ended early: the file system that it was written to is nearly full.",
    "died": "The process ended while it was recorded; what had been recorded by then follows.",
}
"""Ends of a recording that are worth a sentence."""
_LOOK_SECONDS = 0.25
_GONE_SECONDS = 1.0

Tell = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is there for a recording: the process's interpreter, and its memray's version, None without one."""

    executable: str
    memray: str | None

    def check(self, pid: int) -> None:
        """Raise RefusedError, with the way to get memray there, when it has none."""
        if self.memray is None:
            raise RefusedError(
                f"Native allocations of process {pid} cannot be recorded.",
                why=f"memray is not installed for its interpreter, {self.executable}.",
                next_step=f"Install it there (the process need not be restarted): {pip_command(self.executable)}",
            )


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a recording ended: ``time``, ``size``, ``space`` (its file system is full), ``asked`` or ``died``.

    ``start_seconds`` is what memray's start took in the process, the import of memray with it.
    """

    ended: str
    seconds: float
    start_seconds: float
    file_bytes: int


class NativeRecording:
    """One recording in the process of ``talk``; close it in any case, then nothing is left of it in the process.

    What asks the agent may raise ChannelError and TargetDiedError.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk, self._pid = talk, talk.pid
        self._fd = -1
        self._early = threading.Event()
        self._began = self._seconds = self._start_seconds = 0.0

    @property
    def recorded(self) -> Recorded:
        """The recording, for reading; from :meth:`start` on."""
        return Recorded(fd=self._fd, root=_root_of(self._pid))

    @property
    def started(self) -> bool:
        """Whether there is a recording to read."""
        return self._fd >= 0

    def requirement(self) -> Requirement:
        """What is there."""
        reply = self._talk.ask("native_probe")
        version = reply.get("memray")
        return Requirement(str(reply.get("executable") or "python3"), None if version is None else str(version))

    def start(self, seconds: float) -> None:
        """Begin. Raises RefusedError when memray does not, or writes what memtui's own memray cannot read."""
        try:
            reply = self._talk.ask("native_start", seconds=max(1, round(seconds)), most_bytes=MOST_BYTES)
        except ChannelError as error:
            if self._gone():
                raise TargetDiedError(f"Process {self._pid} ended while memray was started in it.") from error
            raise
        if not reply.get("ok"):
            raise RefusedError(f"Nothing was recorded in process {self._pid}.", why=str(reply.get("error")))
        self._began, self._seconds = time.monotonic(), seconds
        self._start_seconds = float(reply.get("seconds") or 0.0)
        self._fd = _open_unnamed(self._pid, int(reply["fd"]))
        try:
            self.recorded.check()
        except UsageError as error:
            self.stop()
            raise self._unreadable(str(reply.get("memray")), error) from error

    def wait(self, tell: Tell) -> Outcome:
        """Look on until it ends. Raises KeyboardInterrupt like any wait: then :meth:`stop` and read what there is."""
        try:
            while True:
                passed = time.monotonic() - self._began
                if passed >= self._seconds:
                    return replace(self.stop(), ended="time")
                tell(f"recording native allocations for {format_seconds(self._seconds)}", passed / self._seconds)
                if self._early.wait(min(_LOOK_SECONDS, self._seconds - passed)):
                    return self.stop()
                seen = self._talk.ask("native_state")
                if not seen.get("on"):
                    return self._outcome(str(seen.get("ended")))
        except (ChannelError, TargetDiedError):
            if self._gone():
                return self._outcome("died")
            raise

    def stop_early(self) -> None:
        """Have :meth:`wait` end it soon; from another thread."""
        self._early.set()

    def stop(self) -> Outcome:
        """End it now; the recording can still be read."""
        try:
            reply = self._talk.ask("native_stop")
        except (ChannelError, TargetDiedError):
            if self._gone():
                return self._outcome("died")
            raise
        return self._outcome(str(reply.get("ended") or "asked"))

    def keep(self, path: Path) -> None:
        """Copy the recording to ``path``. Raises WriteError; then nothing is left there."""
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with open(os.dup(self._fd), "rb") as source, part.open("xb") as copy:
                source.seek(0)
                shutil.copyfileobj(source, copy, 1 << 20)
            part.replace(path)
        except OSError as error:
            raise WriteError(f"The recording cannot be written to {path}.", why=f"{error.strerror}.") from error
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Take everything out of the process again."""
        try:
            self._talk.leave()
        finally:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _unreadable(self, theirs: str, error: UsageError) -> RefusedError:
        ours = version("memray")
        if ours == theirs:
            return RefusedError(f"What memray records in process {self._pid} cannot be read.", why=error.why)
        return RefusedError(
            f"What memray {theirs} in process {self._pid} records cannot be read by memtui's memray {ours}.",
            next_step=f"Use the same version on both sides: {shlex.quote(sys.executable)} -m pip install "
            f"memray=={theirs}",
        )

    def _outcome(self, ended: str) -> Outcome:
        size = os.fstat(self._fd).st_size if self._fd >= 0 else 0
        return Outcome(ended, time.monotonic() - self._began, self._start_seconds, size)

    def _gone(self) -> bool:
        """Whether the process has ended; it may take a moment until that is seen."""
        end = time.monotonic() + _GONE_SECONDS
        while time.monotonic() < end:
            try:
                with open(f"/proc/{self._pid}/stat", "rb") as file:
                    if file.read().rpartition(b")")[2].split()[0] in (b"Z", b"X"):
                        return True
            except (OSError, IndexError):
                return True
            time.sleep(0.01)
        return False


def check_own_memray() -> str:
    """The version of the memray beside memtui, which reads recordings. Raises RefusedError without one."""
    try:
        return version("memray")
    except PackageNotFoundError as error:
        raise RefusedError(
            "Native allocations cannot be recorded.",
            why=f"memray, which reads the recordings, is not installed beside memtui, for {sys.executable}.",
            next_step=f"Install it there: {pip_command(sys.executable)}",
        ) from error


def pip_command(executable: str) -> str:
    """What installs memray for that interpreter."""
    return f"{shlex.quote(executable)} -m pip install memray"


def _open_unnamed(pid: int, number: int) -> int:
    """The file behind the process's descriptor ``number``, which must be an unlinked one of its own."""
    try:
        fd = os.open(f"/proc/{pid}/fd/{number}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise ChannelError("memray's recording cannot be opened.", why=f"{error.strerror}.") from error
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 0:
        os.close(fd)
        raise ChannelError("The agent named a file that is not memray's recording.")
    return fd


def _root_of(pid: int) -> str:
    """Where the process's libraries are found from here; empty when it has memtui's own file system, or is gone."""
    try:
        same = os.path.samefile(f"/proc/{pid}/root", "/") and _mounts(pid) == _mounts("self")
    except OSError:
        return ""
    return "" if same else f"/proc/{pid}/root"


def _mounts(pid: int | str) -> str:
    return os.readlink(f"/proc/{pid}/ns/mnt")
