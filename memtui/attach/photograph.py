"""A photograph of a process: its memory at one instant, to be read while the process goes on.

    with photograph(pid) as photo:
        os.pread(photo.memory_fd, size, address)

The process stands still for milliseconds; :mod:`memtui.attach.frozen` tells how, :mod:`memtui.attach.copy_guards`
when it is refused. Where it is, :func:`stopped` gives the same object: the process itself, held while it is read. A
helper process does it and keeps it: when memtui dies the helper ends the copy, when the helper dies the kernel
does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from memtui.attach import copy_guards, leftovers
from memtui.attach.camera import FILES
from memtui.attach.camera_link import CameraLink
from memtui.attach.footing import find_footing
from memtui.errors import RefusedError, TargetDiedError
from memtui.observe.access import reading
from memtui.observe.interpreter import Interpreter, find_interpreter
from memtui.observe.memory import RemoteMemory, UnreadableError
from memtui.observe.offsets import offsets_for
from memtui.observe.process import ProcessReader
from memtui.observe.runtime import locate

_PATIENCE_SECONDS = 10.0
_BUDGET_SECONDS = 0.050
_LIFE_SECONDS = 600.0
_TIMES_PREDICTED, _SPARE_SECONDS = 5, 10.0


class Photo:
    """Memory that does not change: of a frozen copy, or of a process that is held.

    ``pid`` is that of the copy (or of the held process). ``memory_fd`` and ``pagemap_fd`` are its ``/proc/PID/mem``
    and ``/proc/PID/pagemap``, ``maps_text`` is its ``/proc/PID/maps``. They are closed by :meth:`release`. When the
    target ends the copy does too: what is read from then on is empty. Raises RefusedError when it is gone already.

    ``stop_seconds``: how long the process stood still for it; None when it still does. ``retries``: how many moments
    were no good ones; with these it stood still for ``stopped_seconds`` in all, for ``longest_stop_seconds`` at once.
    ``threads`` were stopped; ``left_alone`` were not. ``undisturbed``: none of these ran meanwhile, which holds for
    every copy; for a held process None until it is released.
    """

    def __init__(self, answer: dict[str, Any], files: list[int], predicted_seconds: float, helper: CameraLink | None):
        self.pid: int = answer["pid"]
        self.memory_fd, self.pagemap_fd, maps_fd = files
        self.maps_text = _read_maps(maps_fd)
        if not self.maps_text:
            os.close(self.memory_fd)
            os.close(self.pagemap_fd)
            raise RefusedError("The photograph was lost before it could be read.", next_step="Try again.")
        self.is_copy: bool = answer["outcome"] == "taken"
        self.stop_seconds: float | None = answer["stop_seconds"] if self.is_copy else None
        self.stopped_seconds: float = answer.get("stopped_seconds", 0.0)
        self.longest_stop_seconds: float = answer.get("longest_stop_seconds", 0.0)
        self.predicted_stop_seconds = predicted_seconds
        self.retries: int = answer["retries"]
        self.threads: int = answer["threads"]
        self.left_alone: int = answer["left_alone"]
        self.undisturbed: bool | None = True if helper is None or self.is_copy else None
        self._helper = helper
        self._second_stop_seconds: float | None = None
        self._released = False

    def release(self) -> float | None:
        """Remove the copy, or let the process go on. Once more does no harm.

        Returns how long a thread of the target was stopped to reap the copy; None when it was not, for instance
        because the target has ended. ``stop_seconds`` of a process that was held is known from now on.
        """
        if self._released:
            return self._second_stop_seconds
        self._released = True
        os.close(self.memory_fd)
        os.close(self.pagemap_fd)
        if self._helper is not None:
            answer = self._helper.finish()
            if self.is_copy:
                self._second_stop_seconds = answer.get("stop_seconds")
                self._stood_still(self._second_stop_seconds)
            else:
                self.stop_seconds = answer.get("held_seconds")
                self.undisturbed = answer.get("undisturbed")
                self._stood_still(self.stop_seconds)
        return self._second_stop_seconds

    def _stood_still(self, seconds: float | None) -> None:
        self.stopped_seconds += seconds or 0.0
        self.longest_stop_seconds = max(self.longest_stop_seconds, seconds or 0.0)


@contextmanager
def photograph(
    pid: int,
    *,
    gentle: bool = True,
    budget_seconds: float = _BUDGET_SECONDS,
    accept_stop: bool = False,
    own_child: bool = False,
    interpreter: Interpreter | None = None,
    experimental: bool = False,
) -> Iterator[Photo]:
    """A frozen copy of process ``pid`` for as long as the ``with`` block lasts.

    ``gentle`` leaves threads alone that would see their wait interrupted in C code. A predicted stop above
    ``budget_seconds`` raises StopTooLongError unless ``accept_stop``. ``own_child``: memtui started the process and
    waits for its children by number only; the copy is then memtui's child and leaves nothing in the process. Where it
    was not this process that started it but one from which it descends, that one calls :func:`reap_own_copies`.
    ``interpreter``: the CPython in it, if known. ``experimental`` allows processors on which memtui was not tried.
    After ten minutes the copy is ended, should memtui be suspended. Raises RefusedError (nothing was changed),
    TargetDiedError.
    """
    with closing(CameraLink(pid)) as helper:
        copy_guards.check_can_photograph(pid, budget_seconds, accept_stop, experimental)
        predicted = copy_guards.predict_stop_seconds(pid)
        plan = _plan(pid, interpreter) | {"do": "copy", "gentle": gentle, "own_child": own_child}
        plan |= {"suspend_seccomp": copy_guards.suspends_seccomp(pid)}
        with _cleaning(pid, own_child):
            answer, files = helper.begin(plan)
            photo = Photo(answer, files, predicted, helper)
            try:
                yield photo
            finally:
                photo.release()


@contextmanager
def stopped(
    pid: int,
    *,
    gentle: bool = False,
    longest_seconds: float | None = None,
    interpreter: Interpreter | None = None,
    experimental: bool = False,
) -> Iterator[Photo]:
    """Process ``pid`` itself, held for as long as the ``with`` block lasts: for where a copy is refused.

    Its threads are stopped by a tracer, not by a signal: they go on when memtui dies. One that its user has stopped
    already is not touched. How long reading takes: :func:`memtui.attach.copy_guards.predict_pause_seconds`. After
    ``longest_seconds`` (None: several times that) it goes on all the same, which ``undisturbed`` tells.
    Raises RefusedError, TargetDiedError.
    """
    predicted = copy_guards.predict_pause_seconds(pid)
    longest = _TIMES_PREDICTED * predicted + _SPARE_SECONDS if longest_seconds is None else longest_seconds
    if copy_guards.is_stopped(pid):
        photo = _untouched(pid)
        try:
            yield photo
        finally:
            photo.release()
        return
    with closing(CameraLink(pid)) as helper:
        copy_guards.check_can_stop(pid, experimental)
        plan = _plan(pid, interpreter) | {"do": "stop", "gentle": gentle, "longest_seconds": longest}
        plan |= {"own_child": False, "suspend_seccomp": False}
        answer, files = helper.begin(plan)
        photo = Photo(answer, files, predicted, helper)
        try:
            yield photo
        finally:
            photo.release()


@contextmanager
def _cleaning(pid: int, own_child: bool) -> Iterator[None]:
    """Leave no copy, also when the helper was killed or the process executed another program meanwhile."""
    try:
        session = os.getsid(pid)
    except ProcessLookupError as error:
        raise TargetDiedError(f"Process {pid} has ended.") from error
    try:
        yield
    finally:
        if own_child:
            leftovers.reap_own(session)
        elif leftovers.find(pid):
            with suppress(RefusedError, TargetDiedError):
                clean_leftovers(pid)


def reap_own_copies(session: int) -> int:
    """Reap the copies among this process's children, of a process that it started in ``session``.

    For whoever has another process photograph one of its children, as its ``own_child``. Returns their number.
    """
    return leftovers.reap_own(session)


def clean_leftovers(pid: int) -> int:
    """Remove what helpers that were killed left with process ``pid``: frozen copies, dead or alive.

    Returns how many there were. Raises RefusedError, TargetDiedError.
    """
    found = leftovers.find(pid)
    if not found:
        return 0
    with closing(CameraLink(pid)) as helper:
        plan = _plan(pid, None) | {"do": "clean", "gentle": True, "own_child": False}
        helper.begin(plan | {"suspend_seccomp": copy_guards.suspends_seccomp(pid)})
        helper.finish()
    return len(found)


def _plan(pid: int, interpreter: Interpreter | None) -> dict[str, Any]:
    """What the helper has to know of the target; read only. Raises RefusedError, TargetDiedError."""
    with ProcessReader(pid) as process:
        identity = process.identity()
    return {
        "pid": pid,
        "identity": [identity.started_ticks, identity.start_code, identity.start_stack],
        "footing": find_footing(pid),
        "collecting": _collecting_flags(pid, interpreter),
        "patience_seconds": _PATIENCE_SECONDS,
        "longest_seconds": _LIFE_SECONDS,
        "leftovers": leftovers.find(pid),
    }


def _collecting_flags(pid: int, interpreter: Interpreter | None) -> list[int]:
    """Where the collector says that it is at work; empty where that is not known."""
    try:
        found = interpreter or find_interpreter(pid)
        if found.free_threaded:
            return []
        offsets = offsets_for(found.minor)
        with RemoteMemory(pid) as memory:
            collector = locate(memory, found, offsets).collector(memory)
        return [collector + offsets.gc_collecting] if collector > offsets.gc else []
    except (RefusedError, UnreadableError):
        return []


def _read_maps(fd: int) -> bytes:
    """Empty when the process has ended."""
    with open(fd, "rb") as file, suppress(ProcessLookupError):
        return file.read()
    return b""


def _untouched(pid: int) -> Photo:
    """A process that its user has stopped, as it is."""
    with reading(pid, "memory"):
        files = [os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in FILES]
    answer = {"pid": pid, "outcome": "untouched", "stop_seconds": 0.0, "retries": 0, "threads": 0, "left_alone": 0}
    return Photo(answer, files, 0.0, None)
