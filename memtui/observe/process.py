"""A process as ``/proc`` shows it: memory, threads, identity, relatives."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from memtui.errors import RefusedError, TargetDiedError
from memtui.model.target import Target
from memtui.observe.access import reading
from memtui.observe.cgroup import smallest_limit
from memtui.observe.held import HeldFile
from memtui.observe.interpreter import find_interpreter
from memtui.observe.permission import user_name
from memtui.observe.smaps import Usage, parse_rollup

_KIB = 1024
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_CHEAP_SECONDS = 0.002
"""As long as the exact figures take no longer than this, they are read at every look."""
_SHARE_OF_CORE = 0.01
"""Of a core, at most, goes into the exact figures when they are dear."""


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One look. None: may not be read (another user's process).

    USS and PSS of a large process are dear to read: ``details_age_seconds`` says how old the ones given here are.
    """

    rss_bytes: int
    uss_bytes: int | None
    pss_bytes: int | None
    swap_bytes: int | None
    threads: int
    details_age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Tells one program in one process from any other: it changes when a pid is used again and when a process execs.

    ``started_ticks`` is in clock ticks since boot. The addresses are 1 and 0 where they may not be read.
    """

    started_ticks: int
    start_code: int
    start_stack: int


class ProcessReader(HeldFile):
    """Looks at one process; close it, or use it in a ``with`` block.

    It holds on to the process, not to the number: once the process is gone every method raises
    :class:`TargetDiedError`, also when the pid has been given to another.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(pid, f"/proc/{pid}", os.O_DIRECTORY, "process")
        self._details: Usage | None = None
        self._details_at = 0.0
        self._details_due = 0.0

    def sample(self) -> ProcessSample:
        """Memory and threads now. Raises :class:`TargetDiedError` when it is gone, or a zombie."""
        status = self.status()
        if status["State"][:1] in ("Z", "X") or "VmRSS" not in status:
            raise TargetDiedError(f"Process {self.pid} has ended.")
        exact = self._read_details()
        details = self._details
        return ProcessSample(
            rss_bytes=exact.rss_bytes if exact else _kib(status["VmRSS"]),
            uss_bytes=details.uss_bytes if details else None,
            pss_bytes=details.pss_bytes if details else None,
            swap_bytes=_kib(status["VmSwap"]) if "VmSwap" in status else None,
            threads=int(status["Threads"]),
            details_age_seconds=time.monotonic() - self._details_at if details else None,
        )

    def identity(self) -> Identity:
        """Of the program that runs in the process now."""
        fields = self._stat()
        return Identity(int(fields[19]), int(fields[23]), int(fields[25]))

    def target(self) -> Target:
        """Who this is. The version of Python is not known here."""
        command = tuple(os.fsdecode(word) for word in self._read("cmdline").rstrip(b"\0").split(b"\0"))
        status = self.status()
        if not any(command):
            command = (f"[{status['Name']}]",)
        up_seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - self.identity().started_ticks / _TICKS_PER_SECOND
        return Target(
            self.pid, command, started_at=time.time() - up_seconds, user=user_name(int(status["Uid"].split()[0]))
        )

    def memory_limit_bytes(self) -> int | None:
        """The smallest control group limit over it; None without one."""
        mountinfo = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
        return smallest_limit(os.fsdecode(self._read("cgroup")), mountinfo)

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far."""
        fields = self._stat()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def state(self) -> str:
        """The kernel's letter: R running, S sleeping, D in the kernel, T stopped, t traced, Z zombie."""
        return self._stat()[0]

    def flags(self) -> int:
        """The kernel's ``PF_`` flags."""
        return int(self._stat()[6])

    def status(self) -> dict[str, str]:
        """The fields of ``/proc/PID/status``, with all numbers still text."""
        text = os.fsdecode(self._read("status"))
        return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}

    def open_files(self) -> int | None:
        """How many file descriptors it has open; None when that may not be seen."""
        try:
            with reading(self.pid, "open files"):
                fd = os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
        except RefusedError:
            return None
        try:
            with reading(self.pid, "open files"):
                return len(os.listdir(fd))
        finally:
            os.close(fd)

    def _stat(self) -> list[str]:
        """The fields of ``/proc/PID/stat`` from the third on (the second, the name, may contain anything)."""
        return os.fsdecode(self._read("stat")).rpartition(")")[2].split()

    def _read_details(self) -> Usage | None:
        """The exact figures when it is time for them; None when it is not, or when they may not be read."""
        started = time.monotonic()
        if started < self._details_due:
            return None
        try:
            self._details = parse_rollup(self._read("smaps_rollup"))
        except RefusedError:
            self._details = None
            return None
        except TargetDiedError:
            # A kernel without smaps_rollup also says "no such file": the process is asked again.
            self._stat()
            self._details = None
            return None
        self._details_at = time.monotonic()
        took = self._details_at - started
        self._details_due = self._details_at + (took / _SHARE_OF_CORE if took > _CHEAP_SECONDS else 0.0)
        return self._details

    def _read(self, name: str) -> bytes:
        with reading(self.pid, name):
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._fd)
            with open(fd, "rb") as file:
                return file.read()


def children(pid: int) -> list[int]:
    """The processes that ``pid`` started and that are still there; none when it is gone."""
    found: list[int] = []
    for thread in _threads(pid):
        try:
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text("ascii").split())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return sorted(found)


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []


def find_python(pid: int) -> int | None:
    """The process itself when it runs CPython, else the nearest descendant that does; None when none does."""
    seen: set[int] = set()
    level = [pid]
    while level:
        for candidate in level:
            if _runs_python(candidate):
                return candidate
        seen.update(level)
        level = [child for parent in level for child in children(parent) if child not in seen]
    return None


def _runs_python(pid: int) -> bool:
    try:
        find_interpreter(pid)
    except (RefusedError, TargetDiedError):
        return False
    return True


def _kib(text: str) -> int:
    return int(text.split()[0]) * _KIB
