"""Who holds an object of this process: upwards through ``gc.get_referrers``, level by level, to a named root.

Bounded in time, in levels and in objects; runs no code of the objects it meets.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from time import thread_time
from typing import Any

from memtui.testing.chain import Chain, Step
from memtui.testing.labels import attribute_dict, label, type_name, type_of
from memtui.testing.runner import is_runner
from memtui.testing.variables import other_threads, stack, variables

MOST_SECONDS = 8.0
"""Of this thread's own time, so that a busy machine finds the same."""
MOST_LEVELS = 150
MOST_OBJECTS = 3_000
_MOST_AT_ONCE = 48
"""Referrers of so many objects are looked for in one walk over the heap, which compares each reference with each."""
_RUNNING = {types.GeneratorType: "gi_frame", types.CoroutineType: "cr_frame", types.AsyncGeneratorType: "ag_frame"}
_NONE: Mapping[int, str] = {}
_CONTEXTS = ("Context", "_contextvars.Context", "contextvars.Context")


@dataclass(frozen=True, slots=True)
class Found:
    """Outcome of a search. ``by_test``: a variable of the running test holds it, or the test runner does;
    ``complete``: everything that leads to the object was seen.
    """

    chain: Chain | None
    by_test: bool
    complete: bool


def find_holder(
    target: object,
    own: Collection[int] = (),
    *,
    named: Mapping[int, str] = _NONE,
    variables_too: bool = False,
    doubles: bool = False,
) -> Found:
    """The shortest chain from a named root; ``own`` are ids of what the caller itself keeps it in.

    The test runner is no holder, nor is, without ``variables_too``, the variable of a running function that is the
    object: a ``del`` would do. What else such a function holds does count. With ``doubles``, mocks are no holders.
    ``named``: by their ids, objects that are to count as roots, and their names.
    """
    return find_nearest([target], own, named=named, variables_too=variables_too, doubles=doubles)


def find_nearest(
    targets: list[Any],
    own: Collection[int] = (),
    *,
    named: Mapping[int, str] = _NONE,
    variables_too: bool = False,
    doubles: bool = False,
) -> Found:
    """The same for whichever of several objects is the nearest to a root."""
    return _Search(targets, own, named, variables_too, doubles).run()


class _Search:
    def __init__(
        self, targets: list[Any], own: Collection[int], named: Mapping[int, str], variables_too: bool, doubles: bool
    ) -> None:
        self._named = named
        self._nodes: dict[int, Any] = {id(target): target for target in targets}
        self._below: dict[int, int] = {}
        self._frontier: list[Any] = targets[:]
        self._next: list[Any] = []
        self._doubles = doubles
        self._by_test = False
        self._stack = {id(frame) for frame in stack(sys._getframe())}
        self._running = _held_by_threads()
        self._here, self._passing = _held_here()
        self._variables_too = variables_too
        self._local: Chain | None = None
        mine = (
            targets,
            self,
            self.__dict__,
            self._nodes,
            self._below,
            self._frontier,
            self._next,
            self._running,
            self._passing,
            self._here,
        )
        self._own = {*own, *map(id, mine), *map(id, self._running.values()), *map(id, self._here.values())}

    def run(self) -> Found:
        end = thread_time() + MOST_SECONDS
        for _ in range(MOST_LEVELS):
            if not self._frontier:
                return Found(self._local, self._by_test, True)
            for start in range(0, len(self._frontier), _MOST_AT_ONCE):
                chain = self._look(self._frontier[start : start + _MOST_AT_ONCE])
                if chain is not None:
                    return Found(chain, self._by_test, True)
                if thread_time() > end or len(self._nodes) > MOST_OBJECTS:
                    return Found(self._local, self._by_test, False)
            self._frontier[:] = self._next
            self._next.clear()
        return Found(self._local, self._by_test, False)

    def _look(self, held: list[Any]) -> Chain | None:
        """One level up from a few objects; a chain when one of their holders is a root."""
        for one in held:
            if id(one) in self._named:
                return self._chain("fixture", self._named[id(one)], None, one)
            self._by_test = self._by_test or id(one) in self._passing
            known = self._running.get(id(one))
            if known is not None:
                return self._chain("running", known[0], Step(f" local {known[1]!r}", type_of(one)), one)
            known = self._variable(one)
            if known is not None and self._local is None:
                self._local = self._chain("running", known[0], Step(f" local {known[1]!r}", type_of(one)), one)
        ids = {id(one): one for one in held}
        # A tuple of our own: 3.13 copies what it is called with, and would name the copied one as a holder.
        asked = tuple(held)
        referrers = gc.get_referrers(*asked)
        own = {id(one) for one in (held, ids, asked, referrers)}
        for holder in referrers:
            if id(holder) in self._nodes or id(holder) in self._own or id(holder) in own:
                continue
            below = next((ids[id(one)] for one in gc.get_referents(holder) if id(one) in ids), None)
            if below is None:
                continue
            chain = self._judge(holder, below)
            if chain is not None:
                return chain
        return None

    def _variable(self, one: Any) -> tuple[str, str] | None:
        """The variable of the running test that holds this object, when it counts."""
        known = self._here.get(id(one))
        if known is not None and not self._variables_too and self._is_let_go(one, known[1]):
            self._by_test = True
            return None
        return known

    def _is_let_go(self, one: Any, name: str) -> bool:
        """Whether a ``del`` in the test would let the target go.

        So it is where the variable is the target, where a function made by the test closes over it, and where it is
        an attribute of the instance of the test's class.
        """
        path = [one]
        while id(path[-1]) in self._below:
            path.append(self._nodes[self._below[id(path[-1])]])
        if len(path) == 1 or type(path[-2]) is types.CellType:
            return True
        return name == "self" and all(type(step) is dict for step in path[1:-1]) and len(path) <= 3

    def _judge(self, holder: Any, below: Any) -> Chain | None:
        """A chain when ``holder`` is a root; else it is to be climbed from, unless it is the test's own."""
        if self._is_test(holder):
            self._by_test = True
            return None
        root = self._root(holder)
        if root is not None:
            kind, name, via = root
            return self._chain(kind, name, Step(via or _member(holder, below), type_of(below)), below)
        self._nodes[id(holder)] = holder
        self._below[id(holder)] = id(below)
        self._next.append(holder)
        return None

    def _is_test(self, holder: object) -> bool:
        frame = getattr(holder, _RUNNING[type(holder)]) if type(holder) in _RUNNING else holder
        return id(frame) in self._stack or is_runner(holder, doubles=self._doubles)

    def _root(self, holder: Any) -> tuple[str, str, str] | None:
        """Kind and name of a root, and how it holds when that is not for :func:`label` to say."""
        kind = type(holder)
        if kind is dict:
            name = _module_name(holder)
            return None if name is None else ("module", name, "")
        if issubclass(kind, type):
            assert isinstance(holder, type)
            return ("class", type_name(holder), "") if _is_named(holder) else None
        if kind is types.FunctionType:
            assert isinstance(holder, types.FunctionType)
            return ("function", f"{holder.__module__}.{holder.__qualname__}", "") if _is_named(holder) else None
        if kind is types.ModuleType:
            return ("module", str(types.ModuleType.__getattribute__(holder, "__name__")), "")
        return _loop_root(holder)

    def _chain(self, kind: str, root: str, first: Step | None, below: Any) -> Chain:
        steps = [] if first is None else [first]
        while id(below) in self._below:
            child = self._nodes[self._below[id(below)]]
            steps.append(Step(label(below, child), type_of(child)))
            below = child
        return Chain(kind, root, tuple(steps))


def _loop_root(holder: Any) -> tuple[str, str, str] | None:
    """What the interpreter or the event loop keeps alive by itself."""
    name = type_of(holder)
    if name in _CONTEXTS:
        return ("context variables", "contextvars", "")
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    if issubclass(type(holder), asyncio.AbstractEventLoop):
        return ("event loop", name, "")
    if type(holder) is asyncio.Task and not holder.done():
        return ("pending task", f"asyncio {holder.get_name()!r}", "")
    return None


def _member(root: Any, below: object) -> str:
    """How a root holds: a module's name space has attributes, not keys."""
    step = label(root, below)
    if type(root) is dict and step.startswith("['") and step[2:-2].isidentifier():
        return f".{step[2:-2]}"
    return step


def _module_name(space: dict[Any, Any]) -> str | None:
    """The name of the module whose name space a dict is; None for other dicts."""
    name = dict.get(space, "__name__")
    if type(name) is not str:
        return None
    # Not every module is in sys.modules, but each has these two from the import system.
    if "__spec__" in space and "__loader__" in space:
        return name
    module = sys.modules.get(name)
    is_its_own = issubclass(type(module), types.ModuleType) and attribute_dict(module) is space
    return name if is_its_own else None


def _is_named(one: Any) -> bool:
    """Whether a class or function is found under its own full name, so that it lives as long as its module."""
    try:
        module, path = one.__module__, one.__qualname__
    except Exception:  # noqa: BLE001 - a metaclass may define these as anything
        return False
    here: Any = sys.modules.get(module) if type(module) is str else None
    if type(path) is not str or here is None or not issubclass(type(here), types.ModuleType):
        return False
    space: Any = attribute_dict(here)
    for part in path.split("."):
        if space is None or part not in space:
            return False
        here = space[part]
        space = type.__dict__["__dict__"].__get__(here) if issubclass(type(here), type) else None
    here = getattr(here, "__func__", here) if type(here) in (staticmethod, classmethod) else here
    return here is one


def _held_here() -> tuple[dict[int, tuple[str, str]], set[int]]:
    """The same for this thread; and apart from it, ids of what test runner and event loop have in hand."""
    found: dict[int, tuple[str, str]] = {}
    passing: set[int] = set()
    for frame in stack(sys._getframe()):
        if is_runner(frame) or str(frame.f_globals.get("__name__")).startswith("asyncio."):
            passing.update(id(value) for _, value in variables(frame))
        else:
            for name, value in variables(frame):
                found.setdefault(id(value), (f"{frame.f_code.co_name}()", name))
    return found, passing


def _held_by_threads() -> dict[int, tuple[str, str]]:
    """For each object in a variable of a function that runs in another thread: the function, and the variable."""
    found: dict[int, tuple[str, str]] = {}
    for words, frame in other_threads():
        if not is_runner(frame):
            for name, value in variables(frame):
                found.setdefault(id(value), (words, name))
    return found
