"""``assert_collected``: an object is gone when all who should let go of it have, or the test says who holds it."""

from __future__ import annotations

import functools
import gc
import inspect
import sys
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from memtui.errors import UsageError
from memtui.testing.holders import Found, find_holder
from memtui.testing.labels import type_of
from memtui.testing.variables import refresh, stack, variables

_FACTORIES = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
_SHARED = (int, float, complex, str, bytes, bool, type(None), types.ModuleType)
"""The interpreter shares these as it likes, so who holds one says nothing."""


class StillAliveError(AssertionError):
    """An object that should be gone is still held; the text says by whom."""


class Watch:
    """One object that should go away: call it, or leave its ``with`` block, to see that it has.

    It keeps a weak reference. Of what has none (lists, dicts, many slotted classes) it keeps the object itself, and
    asks the collector who else does.
    """

    def __init__(self, target: object, name: str, place: str) -> None:
        __tracebackhide__ = True
        self._what = f"{type_of(target)} ({name})" if name else type_of(target)
        self._place = place
        self._kept: object = None
        self._ref: Callable[[], object] = lambda: self._kept
        try:
            self._ref = weakref.ref(target)
        except TypeError:
            if not gc.is_tracked(target):
                raise UsageError(
                    f"assert_collected cannot watch {type_of(target)}.",
                    why="It takes no weak reference, and the garbage collector does not know it.",
                    next_step='Add "__weakref__" to its __slots__, or watch the object that has it.',
                ) from None
            self._kept = target

    @property
    def is_weak(self) -> bool:
        """Whether this watch keeps a weak reference, and not the object itself."""
        return self._kept is None

    @property
    def is_over(self) -> bool:
        """Whether the object is gone."""
        return self._ref() is None

    def __call__(self) -> None:
        """The object must be gone now; variables of the running test count too. Raises :class:`StillAliveError`."""
        __tracebackhide__ = True
        trouble = self.trouble(variables_too=True)
        if trouble:
            raise StillAliveError(trouble)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        __tracebackhide__ = True
        if kind is None:
            self()

    def now(self) -> None:
        """As if the test had deleted its variables that are this object. Raises :class:`StillAliveError`."""
        __tracebackhide__ = True
        trouble = self.trouble(variables_too=False)
        if trouble:
            raise StillAliveError(trouble)

    def trouble(self, *, variables_too: bool) -> str:
        """Who still holds the object, in words; empty when it is gone, or only the test itself has it.

        ``variables_too``: variables of running functions that are the object count.
        """
        refresh(list(stack(sys._getframe())))
        if variables_too and self._ref() is not None:
            gc.collect()
        target = self._ref()
        if target is None:
            return ""
        found = find_holder(target, (id(self.__dict__),), variables_too=variables_too)
        if found.chain is not None:
            lines = [f"held by {found.chain.text}", *(f"  {line}" for line in found.chain.lines())]
            return "\n".join([self._headline(), *lines])
        if found.by_test or not variables_too or self._kept is not None:
            return ""
        return self._unknown(found)

    def _headline(self) -> str:
        return f"{self._what} is still alive, watched since {self._place}"

    def _unknown(self, found: Found) -> str:
        if found.complete:
            return (
                f"{self._headline()}\nheld by nothing that the garbage collector can see: by C code, or by an "
                "expression that is being evaluated"
            )
        return f"{self._headline()}\nheld by more objects than could be looked at in time"


class AssertCollected:
    """What the fixture ``assert_collected`` gives.

    - ``assert_collected(obj)`` as a statement checks at once, as if the test had deleted its variable for it.
    - ``check = assert_collected(obj)`` waits: ``check()`` after ``del obj`` checks, and so does the end of the test.
    - ``with assert_collected(obj):`` checks at the end of the block.
    - ``assert_collected(factory)``, with a function, calls it and checks that nothing keeps what it returned;
      ``call=False`` watches the function itself.

    Each failure is a :class:`StillAliveError`, an ``AssertionError``, with the chain of holders.
    """

    def __init__(self) -> None:
        self._watches: list[Watch] = []

    def __call__(self, target: object, *, call: bool = True) -> Watch:
        """Watch an object, or what a function returns. Raises ``UsageError`` for what cannot be watched."""
        __tracebackhide__ = True
        caller = sys._getframe(1)
        self._watches[:] = [watch for watch in self._watches if not watch.is_over]
        if call and issubclass(type(target), _FACTORIES):
            watch = self._made(target, _place(caller))  # type: ignore[arg-type]
            watch()
            return watch
        watch = _watch(target, _variable(caller, target), _place(caller))
        if _is_dropped(caller):
            watch.now()
        if not _is_dropped(caller) or watch.is_weak:
            self._watches.append(watch)
        return watch

    def trouble(self) -> str:
        """What of all that was watched is still held, in words. For the end of the test."""
        return "\n\n".join(filter(None, (watch.trouble(variables_too=True) for watch in self._watches)))

    def _made(self, factory: Callable[[], object], place: str) -> Watch:
        __tracebackhide__ = True
        made = factory()
        if inspect.isawaitable(made):
            if isinstance(made, types.CoroutineType):
                made.close()
            raise UsageError(
                "assert_collected was given a function that returns an awaitable.",
                next_step="Await it in the test, and give assert_collected the object that comes of it.",
            )
        return _watch(made, "", place)


def _watch(target: object, name: str, place: str) -> Watch:
    __tracebackhide__ = True
    if type(target) in _SHARED:
        raise UsageError(
            f"assert_collected cannot watch {type_of(target)}: the interpreter shares such objects as it likes.",
            next_step="Give it the object that should go away, not a plain value.",
        )
    return Watch(target, name, place)


def _variable(frame: FrameType, target: object) -> str:
    return next((name for name, value in variables(frame) if value is target), "")


def _place(frame: FrameType) -> str:
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def _is_dropped(frame: FrameType) -> bool:
    """Whether the caller throws away what the call returns, so that nothing could be asked of it later."""
    import dis

    following: Any = (one for one in dis.get_instructions(frame.f_code) if one.offset > frame.f_lasti)
    return next((one.opname == "POP_TOP" for one in following if one.opname != "CACHE"), True)
