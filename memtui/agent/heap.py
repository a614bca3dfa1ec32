"""Objects the collector tracks, counted by type; forced collections; what the agent itself brought in."""

from __future__ import annotations

import gc
import sys
from _collections import _count_elements  # type: ignore[import-not-found]
from itertools import chain
from time import thread_time

from .pace import Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .pauses import Held

SLICE, FIRST_SLICE = 20000, 500
SLICE_SECONDS = 0.005
OWN_FILE = "<memtui-agent"

_module_of = type.__dict__["__module__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__


def collect(held: Held) -> dict[str, Any]:
    """A full collection. The program's finalizers run in it, in this thread."""
    blocks, uncollectable = sys.getallocatedblocks(), gc.get_stats()[-1]["uncollectable"]
    found = held.call("collect", gc.collect)
    seconds = held.last_seconds
    uncollectable = gc.get_stats()[-1]["uncollectable"] - uncollectable
    return {
        "collected": max(0, found - uncollectable),
        "uncollectable": uncollectable,
        "garbage": len(gc.garbage),
        "seconds": seconds,
        "blocks_freed": blocks - sys.getallocatedblocks(),
    }


def types_of_objects() -> tuple[list[type], list[Any]]:
    """The type of each tracked object, and what this call itself has made of them.

    Each object is referred to only within one call in C, which no other thread sees: an object that the program drops
    meanwhile would live on and end in this thread, files be closed and cursors of a database be reset too late.
    """
    calls = [None]
    lists = map(gc.get_objects, calls)
    objects = chain.from_iterable(lists)
    kinds = map(type, objects)
    found = list(kinds)
    return found, [calls, lists, objects, kinds, found]


def count_types(kinds: list[type], own: list[Any], limit: int) -> dict[str, Any]:
    """Objects of each of these types, most first, without those of ``own``; runs no code of theirs.

    Empties ``kinds``. Raises TooBusy.
    """
    counts: dict[int, int] = {}
    types: dict[int, type] = {}
    size, pace = FIRST_SLICE, Pace()
    while kinds:
        slice_began = thread_time()
        part = kinds[-size:]
        del kinds[-size:]
        _count_elements(counts, map(id, part))
        if len(counts) > len(types):  # traced, each number that this makes costs microseconds
            types.update(zip(map(id, part), part))
        # Slow where each allocation is: traced, and without room for a memory arena of this thread's own.
        quick = thread_time() - slice_began < SLICE_SECONDS
        size = min(SLICE, size * 2) if quick else max(FIRST_SLICE, size // 2)
        pace.give_way()
    for one in own:
        if gc.is_tracked(one) and id(type(one)) in counts:
            counts[id(type(one))] -= 1
    names: dict[str, int] = {}
    for key, count in counts.items():
        name = type_name(types[key])
        names[name] = names.get(name, 0) + count
    rows = sorted((-count, name) for name, count in names.items() if count > 0)
    return {
        "types": [[name, -count] for count, name in rows[:limit]],
        "type_count": len(rows),
        "objects": -sum(row[0] for row in rows),
    }


def type_name(kind: type) -> str:
    """``module.qualname``, read without running code of the type or of its metaclass."""
    try:
        module, name = _module_of(kind), _qualname_of(kind)
    except Exception:
        return "?"
    if type(name) is not str:
        return "?"
    return module + "." + name if type(module) is str else "?." + name


def own_objects(package: str, roots: list[Any]) -> list[Any]:
    """What the agent brought into the process: its modules, functions, classes, code, and what ``roots`` hold."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(package + ".")]
    spaces = [module.__dict__ for module in modules]
    found: dict[int, Any] = {id(gc.callbacks): gc.callbacks}
    stack = modules + spaces + roots
    while stack:
        one = stack.pop()
        if id(one) not in found:
            found[id(one)] = one
            stack.extend(child for child in gc.get_referents(one) if _is_own(child, spaces, package))
    del found[id(gc.callbacks)]
    return list(found.values())


def _is_own(one: Any, spaces: list[Any], package: str) -> bool:
    kind = type(one)
    if kind is type(_is_own):
        return any(one.__globals__ is space for space in spaces)
    if kind is type:
        return type_name(one).startswith(package + ".")
    if kind is dict:
        # Modules' name spaces all have a __builtins__, which leads out of the agent.
        return "__name__" not in one and "__import__" not in one
    if kind is type(_is_own.__code__):
        return str(one.co_filename).startswith(OWN_FILE)
    return kind in (list, tuple, bytearray) or type_name(kind).startswith(package + ".")
