"""Looking at the target from outside, once a tick: who it is, its memory, its collector."""

from __future__ import annotations

import time
from dataclasses import replace

from memtui.errors import MemtuiError, RefusedError, TargetDiedError
from memtui.model.gc import GcState
from memtui.model.sample import Sample
from memtui.model.state import EventKind
from memtui.model.target import Rung, Target
from memtui.observe.eligibility import check_attachable, check_observable, check_process
from memtui.observe.family import family
from memtui.observe.gcstate import GcReader
from memtui.observe.process import ProcessReader, children, find_python
from memtui.session.cpu_use import CpuUse
from memtui.session.messages import Climbed, FamilySeen, Looked, Message, Noted, TargetChanged

_RETRY_SECONDS = 1.0
_FAMILY_SECONDS = 5.0
_FAMILY_DELAY_SECONDS = 2.0
_FAMILY_SOON_SECONDS = 1.0
"""So long after the last walk at least, when children came or went."""


class Watcher:
    """Follows one process: through exec, and (for a launched command) to the Python below it.

    Raises RefusedError at once when ``pid`` is no process that may be watched; a process that memtui did not start
    must also be a Python whose memory may be read.
    """

    def __init__(self, pid: int, *, launched: bool) -> None:
        if launched:
            check_process(pid)
        else:
            check_observable(pid)
        self._root_pid, self._launched = pid, launched
        self._reader = ProcessReader(pid)
        self._cpu = CpuUse()
        self._gc: GcReader | None = None
        self._identity = self._reader.identity()
        self._python: str | None = None
        self._note = ""
        self._retry_at = 0.0
        self._family_due = time.monotonic() + _FAMILY_DELAY_SECONDS
        self._family_soonest = self._family_due
        self._children: set[int] = set(children(pid))
        self.climb()

    @property
    def pid(self) -> int:
        """The process watched now."""
        return self._reader.pid

    @property
    def rung(self) -> Rung:
        """How much of it can be seen from outside."""
        return Rung.OBSERVE if self._gc is not None else Rung.PROCESS

    @property
    def note(self) -> str:
        """Why no more can be seen; empty when it can."""
        return self._note

    def target(self) -> Target:
        """Who is watched."""
        return replace(self._reader.target(), python=self._python, launched=self._launched)

    def memory_limit_bytes(self) -> int | None:
        """The smallest control group limit over it."""
        return self._reader.memory_limit_bytes()

    def cpu_seconds(self) -> float:
        """CPU time of the target so far. Raises TargetDiedError."""
        return self._reader.cpu_seconds()

    def climb(self) -> None:
        """Read the interpreter's memory if possible, and see whether the agent could go in; ``note`` says why not."""
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        try:
            if self._gc is None:
                interpreter = check_observable(self.pid)
                self._python = interpreter.version_text
                self._gc = GcReader(interpreter)
            check_attachable(self.pid)
            self._note = ""
        except TargetDiedError:
            raise
        except MemtuiError as error:
            self._note = str(error)

    def look(self, at_seconds: float, tool_cpu_seconds: float) -> tuple[Message, ...]:
        """One look; memtui itself has cost ``tool_cpu_seconds`` so far.

        Raises TargetDiedError when the watched process is gone and nothing of it is left to watch.
        """
        changes = self._follow()
        sample = self._reader.sample()
        gc = self._read_gc()
        looked = Looked(
            Sample(
                at_seconds=at_seconds,
                rss_bytes=sample.rss_bytes,
                uss_bytes=sample.uss_bytes,
                pss_bytes=sample.pss_bytes,
                swap_bytes=sample.swap_bytes,
                gc_counts=tuple(one.count for one in gc.generations) if gc else None,
                gc_objects=gc.objects if gc else None,
            ),
            gc,
            sample.threads,
            tool_cpu_seconds,
            self._cpu.share(self._reader.cpu_seconds()),
        )
        return (*changes, looked, *self._forks(), *self._family())

    def close(self) -> None:
        """Let go of the process."""
        self._reader.close()
        if self._gc is not None:
            self._gc.close()

    def _read_gc(self) -> GcState | None:
        if self._gc is None:
            return None
        try:
            return self._gc.read()
        except RefusedError:
            return None  # Python is starting, ending, or in the middle of a change: this look goes without
        except TargetDiedError:
            if self._reader.state() in ("Z", "X"):
                raise
            return None  # the process replaced its program (exec) just now, which the next look notices

    def _follow(self) -> tuple[Message, ...]:
        """Notice exec; look for the Python of a launched command; try again what was refused."""
        identity = self._reader.identity()
        if identity != self._identity:
            self._identity = identity
            self._reopen(self.pid)
            text = f"The process replaced its program (exec): {' '.join(self.target().command)}"
            return (Noted(EventKind.WARNING, text), *self._changed())
        if (self._gc is not None and not self._note) or time.monotonic() < self._retry_at:
            return ()
        python = find_python(self._root_pid) if self._launched and self._gc is None else None
        if python is not None and python != self.pid:
            self._reopen(python)
            self._identity = self._reader.identity()
            text = f"Watching process {python}, the Python that process {self._root_pid} started"
            return (Noted(EventKind.INFO, text), *self._changed())
        before = self._python, self._note
        self.climb()
        if self._python != before[0]:
            return self._changed()
        return (Climbed(self.rung, self._note),) if self._note != before[1] else ()

    def fall_back(self) -> tuple[Message, ...]:
        """The watched child of a launched command ended: watch the command itself again."""
        with ProcessReader(self._root_pid) as root:
            if root.state() in ("Z", "X"):
                return ()
        self._reopen(self._root_pid)
        self._identity = self._reader.identity()
        return self._changed()

    def _changed(self) -> tuple[Message, ...]:
        return TargetChanged(self.target(), self.memory_limit_bytes()), Climbed(self.rung, self._note)

    def _reopen(self, pid: int) -> None:
        self.close()
        self._reader = ProcessReader(pid)
        self._gc, self._python, self._cpu = None, None, CpuUse()
        self._children = set(children(pid))
        self.climb()

    def _family(self) -> tuple[Message, ...]:
        if time.monotonic() < self._family_due:
            return ()
        began = time.thread_time()
        seen = family(self.pid)
        # Walking the tree reads every process of the machine: it may take one percent of a core, and a little more
        # while children come and go.
        cost_seconds, now = time.thread_time() - began, time.monotonic()
        self._family_due = now + max(_FAMILY_SECONDS, 100 * cost_seconds)
        self._family_soonest = now + max(_FAMILY_SOON_SECONDS, 30 * cost_seconds)
        return (FamilySeen(seen),)

    def _forks(self) -> tuple[Message, ...]:
        now = set(children(self.pid))
        if now != self._children:
            self._family_due = min(self._family_due, self._family_soonest)
        new, self._children = sorted(now - self._children), now
        if not new:
            return ()
        names = ", ".join(map(str, new[:5])) + (f" and {len(new) - 5} more" if len(new) > 5 else "")
        return (Noted(EventKind.INFO, f"Started child process {names}"),)


class NothingToWatch:
    """Stands in for the watcher of a program that ended before the first look."""

    rung, note = Rung.PROCESS, ""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.pid = target.pid

    def target(self) -> Target:
        """Who it was."""
        return self._target

    def memory_limit_bytes(self) -> int | None:
        """Not known."""
        return None

    def cpu_seconds(self) -> float:
        """Raises TargetDiedError."""
        raise TargetDiedError(f"Process {self.pid} has ended.")

    def look(self, at_seconds: float, tool_cpu_seconds: float) -> tuple[Message, ...]:
        """Raises TargetDiedError."""
        raise TargetDiedError(f"Process {self.pid} has ended.")

    def fall_back(self) -> tuple[Message, ...]:
        """Nothing is left."""
        return ()

    def close(self) -> None:
        """Nothing to let go of."""
