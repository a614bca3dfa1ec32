"""What a program registers to be called when memory is short: its clean-up hooks.

:class:`memtui.MemoryMonitor` calls them in this process, ``memtui cleanup PID`` from outside: the agent finds
``HOOKS`` in this module by name, and reads rows of name, level and function.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from memtui.model.cleanup import LEVELS, CleanupLevel

HOOKS: tuple[tuple[str, str, Callable[[], object]], ...] = ()
"""Replaced as a whole, so that it can be read without a lock."""
RUNNING: list[tuple[int, str]] = []
"""The agent's note of the hook it runs, and of the process: an agent that comes later does not run it once more."""

_Function = TypeVar("_Function", bound=Callable[[], object])
_lock = threading.RLock()  # a finalizer may come in between, and take its hook back


def register_cleanup(function: _Function, *, name: str | None = None, level: CleanupLevel = "critical") -> _Function:
    """Have ``function`` called, without arguments, when memory is cleaned up. Returns it: usable as a decorator.

    A hook of the level "warning" is called at every cleanup, one of the level "critical" (the default) only when
    everything is to be freed. It may be called in any thread, also in one of memtui's, so it must be safe to call
    from there; what it raises is reported and stops nothing. It is kept alive until it is unregistered. One that is
    registered again is not called twice. Raises TypeError and ValueError for what is no function and no level.

    >>> cache = {"a": 1}
    >>> hook = register_cleanup(cache.clear, name="the cache")
    >>> unregister_cleanup("the cache")
    True
    """
    if not callable(function):
        raise TypeError(f"a cleanup hook is called without arguments; {type(function).__name__} cannot be called")
    if level not in LEVELS:
        raise ValueError(f"level {level!r} is none of {', '.join(map(repr, LEVELS))}")
    global HOOKS
    with _lock:
        others = tuple(one for one in HOOKS if one[2] != function)
        HOOKS = (*others, (name or _name(function), level, function))
    return function


def unregister_cleanup(function_or_name: Callable[[], object] | str) -> bool:
    """Take a hook back, by itself or by its name. False when it was not registered."""
    global HOOKS
    with _lock:
        before = len(HOOKS)
        HOOKS = tuple(one for one in HOOKS if function_or_name != one[2] and function_or_name != one[0])
        return len(HOOKS) < before


def hooks_for(level: CleanupLevel) -> tuple[tuple[str, Callable[[], object]], ...]:
    """Names and functions of the hooks that a cleanup of this level calls, in the order of registration."""
    return tuple((name, function) for name, least, function in HOOKS if level == "critical" or least == "warning")


def _renew_lock() -> None:
    """In a forked child: the thread that has it may not exist there."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


def _name(function: Any) -> str:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    return f"{module}.{name}" if module and name else str(name or type(function).__name__)
