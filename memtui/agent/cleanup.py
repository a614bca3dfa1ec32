"""Freeing what can be freed: by the hooks that the program registered, and by the C library.

Python's own free lists need no step of theirs: a full collection empties them, in every CPython from 3.8 to 3.13
(``clear_freelists`` in Modules/gcmodule.c, Python/gc.c since 3.13). The type cache (``sys._clear_type_cache``, since
3.13 ``sys._clear_internal_caches``) is left alone: it holds some kilobytes, and the program is slower without it.

``malloc_trim`` is called by this thread, which holds no lock of the allocator, and without the GIL; threads that need
the arena that is being trimmed wait for it. A thread of the program that was borrowed for the call might hold such a
lock. The C half of ctypes suffices, which loads none of its Python; it is left in ``sys.modules``, as an extension
module that was loaded cannot be unloaded.
"""

from __future__ import annotations

import sys
from posix import getpid
from time import perf_counter

from .heap import type_name
from .originals import forget_thread, original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HOOKS_MODULE, HOOKS_NAME, RUNNING_NAME = "memtui.api.hooks", "HOOKS", "RUNNING"
"""Where a program's hooks are found: rows of name, level and function; and where it is noted that one runs."""
WAIT_SECONDS = 0.2
"""So long, at most, other viewers wait while one asks whether a hook has ended."""
_MOST_HOOKS, _MOST_CHARACTERS = 100, 300


def registered(level: str) -> list[tuple[str, Callable[[], object]]]:
    """Names and functions of the hooks for a cleanup of this level: all of them, or those meant for a warning."""
    rows = _found(HOOKS_NAME)
    if type(rows) is not tuple:
        return []
    wanted = [row for row in rows if type(row) is tuple and len(row) == 3]
    return [
        (str(name)[:_MOST_CHARACTERS], function)
        for name, least, function in wanted[:_MOST_HOOKS]
        if type(name) is str and (level == "critical" or least == "warning")
    ]


def _found(name: str) -> Any:
    module = sys.modules.get(HOOKS_MODULE)
    return module.__dict__.get(name) if type(module) is type(sys) else None


def _notes() -> list[tuple[int, str]]:
    """The hooks that run in this process, also those of an agent that has left; a list that nobody sees else."""
    notes = _found(RUNNING_NAME)
    return notes if type(notes) is list else []


def run_hook(function: Callable[[], object], passing: tuple[type[BaseException], ...] = ()) -> dict[str, Any]:
    """Call a hook: how long it took, memory blocks it freed, and what it raised. Raises only what is ``passing``."""
    error = None
    blocks, begin = sys.getallocatedblocks(), perf_counter()
    try:
        function()
    except passing:
        raise
    except BaseException as raised:
        error = _in_words(raised)
    return {"seconds": perf_counter() - begin, "blocks_freed": blocks - sys.getallocatedblocks(), "error": error}


def _in_words(raised: BaseException) -> str:
    kind = type_name(type(raised))
    if kind.startswith("builtins."):
        kind = kind[len("builtins.") :]
    try:
        text = str(raised)
    except BaseException:
        text = ""
    return (kind + ": " + text if text else kind)[:_MOST_CHARACTERS]


def trim() -> dict[str, Any]:
    """Have the C library give free memory back to the system. ``error`` says why it cannot. Never raises."""
    error, trimmed, begin = None, None, perf_counter()
    try:
        import _ctypes

        library: Any = None  # the program itself
        address = _ctypes.dlsym(_ctypes.dlopen(library, 0), "malloc_trim")
        begin = perf_counter()
        trimmed = bool(_ctypes.call_function(address, (0,)))
    except ImportError:
        error = "This Python was built without ctypes, so the C library cannot be asked."
    except OSError:
        error = "The C library has no malloc_trim: it is not glibc."
    except BaseException as raised:
        error = "The program does not allow it (%s)." % _in_words(raised)
    return {"seconds": perf_counter() - begin, "trimmed": trimmed, "error": error}


class Hooks:
    """Runs hooks for one viewer at a time, each in a thread of its own: one that hangs does not hold up the agent."""

    __slots__ = ("_done", "_list", "_outcome", "_running", "_viewer")

    def __init__(self) -> None:
        self._viewer: object = None
        self._list: list[tuple[str, Callable[[], object]]] = []
        self._done: Any = original("_thread", "allocate_lock")()
        self._running = False
        self._outcome: dict[str, Any] = {}

    def choose(self, viewer: object, level: str) -> list[str] | None:
        """The names of the hooks that this viewer may run now; None when those of another one run."""
        home = getpid()
        if self._running or self._viewer not in (None, viewer) or any(one[0] == home for one in _notes()):
            return None
        self._viewer, self._list = viewer, registered(level)
        return [name for name, _ in self._list]

    def start(self, viewer: object, number: int) -> bool:
        """Run one of them. False when it is not this viewer's turn."""
        if self._running or self._viewer is not viewer or not 0 <= number < len(self._list):
            return False
        self._done.acquire()
        self._running = True
        try:
            original("_thread", "start_new_thread")(self._work, self._list[number])
        except BaseException:
            self._running = False
            self._done.release()
            raise
        return True

    @property
    def running(self) -> bool:
        """One of them has not ended."""
        return self._running

    def state(self) -> dict[str, Any]:
        """Whether it still runs, after a short wait, else what came of it."""
        if self._running and self._done.acquire(True, WAIT_SECONDS):
            self._done.release()
        return dict(self._outcome, running=self._running)

    def release(self, viewer: object) -> None:
        """This viewer is through, or gone: nothing of the program's is kept. A hook that runs goes on."""
        if self._viewer is viewer:
            self._viewer, self._list = None, []

    def _work(self, name: str, function: Callable[[], object]) -> None:
        notes, note = _notes(), (getpid(), name)
        notes.append(note)
        try:
            self._outcome = run_hook(function)
            forget_thread()
        finally:
            if note in notes:
                notes.remove(note)
            self._running = False
            self._done.release()
