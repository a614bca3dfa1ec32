"""Cycles among objects, each step named: by what the objects are made of, without running code of their types."""

from __future__ import annotations

import gc
from _collections import deque  # type: ignore[import-not-found]

from .heap import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from .pace import Pace

MOST_CYCLES = 6
MOST_TYPES = 12
TRIES = 3
"""Objects of a type that are started from."""
MOST_VISITED = 3000
MOST_STEPS = 40
MOST_LENGTH = 200000
"""Containers that are longer are not followed."""
MOST_SEARCHED = 10000
ALL_MEMBERS, WINDOW = 100000, 4000
"""So many objects are known as garbage one by one; of more, those at both ends and around where a search begins."""
KEY_CHARACTERS = 40
UNKNOWN = ".<?>"

mro_of = type.__dict__["__mro__"].__get__
flags_of = type.__dict__["__flags__"].__get__
name_space_of: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__
_MEMBER = type(type.__dict__["__flags__"])
_GETSET = type(type.__dict__["__dict__"])
_FRAME_GETTERS = ("gi_frame", "cr_frame", "ag_frame")
_GETTERS = (
    "__defaults__", "__kwdefaults__", "__traceback__", "__context__", "__cause__", "args", "cell_contents", "tb_next",
    "tb_frame", "f_back", "__func__", "__self__", "__weakref__",
)  # fmt: skip
"""Attributes that C code computes, and that only hand out what is there."""


def find_cycles(objects: list[Any], rows: dict[int, list[Any]], pace: Pace) -> list[list[str]]:
    """Short cycles through objects of the most frequent types, each a list of steps ``type.attribute``.

    ``rows`` has a row [type, count, ...] by the id of each type. Raises TooBusy.
    """
    wanted = [row[0] for row in sorted(rows.values(), key=_by_count)[:MOST_TYPES]]
    starts = _starts(objects, wanted, pace)
    members = _members(objects, starts, pace)
    found: dict[tuple[str, ...], list[str]] = {}
    for index in starts:
        cycle = _cycle_through(objects[index], members, pace)
        steps = _in_words(cycle) if cycle else []
        key = tuple(map(_masked, steps))
        if steps and key not in found:
            found[key] = steps
        if len(found) == MOST_CYCLES:
            break
    return list(found.values())


def _masked(step: str) -> str:
    """The same for every index."""
    name, _, index = step.rpartition("[")
    return name if index[:-1].isdigit() else step


def _by_count(row: list[Any]) -> int:
    return -int(row[1])


def _starts(objects: list[Any], wanted: list[type], pace: Pace) -> list[int]:
    """Where a few objects of each type are, type after type."""
    places: dict[int, list[int]] = {id(kind): [] for kind in wanted}
    missing = TRIES * len(wanted)
    for index, one in enumerate(objects):
        known = places.get(id(type(one)))
        if known is not None and len(known) < TRIES:
            known.append(index)
            missing -= 1
            if not missing:
                break
        if index % 2000 == 0:
            pace.give_way()
    return [index for attempt in range(TRIES) for known in places.values() for index in known[attempt : attempt + 1]]


def _members(objects: list[Any], starts: list[int], pace: Pace) -> set[int]:
    """Ids of the objects that a cycle may lead through."""
    count = len(objects)
    if count <= ALL_MEMBERS:
        spans = [(0, count)]
    else:
        spans = [(0, 5 * WINDOW), (count - 5 * WINDOW, count)]
        spans += [(max(0, start - WINDOW // 2), start + WINDOW // 2) for start in starts]
    members: set[int] = set()
    for begin, end in spans:
        for start in range(begin, end, 2000):
            members.update(map(id, objects[start : min(end, start + 2000)]))
            pace.give_way()
    return members


def _cycle_through(start: Any, members: set[int], pace: Pace) -> list[Any]:
    """The shortest cycle from ``start`` back to it; empty when none was found nearby."""
    came_from: dict[int, Any] = {id(start): None}
    queue = deque([start])
    while queue and len(came_from) < MOST_VISITED:
        one = queue.popleft()
        pace.give_way()
        if _length(one) > MOST_LENGTH:
            continue
        for other in gc.get_referents(one):
            key = id(other)
            if other is start:
                return _way(one, came_from)
            if key in members and key not in came_from:
                came_from[key] = one
                queue.append(other)
    return []


def _way(last: Any, came_from: dict[int, Any]) -> list[Any]:
    way: list[Any] = []
    while last is not None and len(way) < MOST_STEPS:
        way.append(last)
        last = came_from[id(last)]
    return way[::-1] if last is None else []


def _length(one: Any) -> int:
    for kind in (list, dict, tuple, set, deque):
        if kind in mro_of(type(one)):
            return int(kind.__len__(one))
    return 0


def _in_words(cycle: list[Any]) -> list[str]:
    """Each object with how it holds the next; the dict of an object's attributes is a part of the object."""
    count = len(cycle)
    names = [short_name(type(one)) for one in cycle]
    labels = [_label(one, cycle[(index + 1) % count]) for index, one in enumerate(cycle)]
    dropped = set()
    for index in range(count):
        after = (index + 1) % count
        if labels[index] == ".__dict__" and type(cycle[after]) is dict and after != index:
            labels[index] = _attribute(labels[after][1:-1])
            dropped.add(after)
    steps = [names[index] + labels[index] for index in range(count) if index not in dropped]
    turns = [steps[index:] + steps[:index] for index in range(len(steps))]
    # A cycle has no beginning: the same one begins the same way each time, with a type of the program if it has one.
    return min(turns, key=_begin) if turns else []


def _begin(steps: list[str]) -> tuple[bool, list[str]]:
    return ("." not in steps[0].split("[")[0].rsplit(".", 1)[0], steps)


def short_name(kind: type) -> str:
    """The name of a type: without a module for those of Python itself."""
    name = type_name(kind)
    return name[9:] if name.startswith("builtins.") else name


def _label(source: Any, target: Any) -> str:
    for ways in (_by_attribute, _by_item, _by_variable):
        try:
            found = ways(source, target)
        except Exception:
            found = ""
        if found:
            return found
    return ".__class__" if type(source) is target else UNKNOWN


def _by_attribute(source: Any, target: Any) -> str:
    if isinstance_of(source, type) and type(target) is dict:
        return ".__dict__"
    for base in mro_of(type(source)):
        for name, one in name_space_of(base).items():
            if type(one) is _GETSET and (name == "__dict__" or name in _GETTERS):
                value = _value(one, source)
                if value is target:
                    return "." + name
                if name == "__dict__" and type(value) is dict:
                    key = _key_of(dict.items(value), target)
                    if key:
                        return _attribute(key)
            elif type(one) is _MEMBER and _value(one, source) is target:
                return "." + name
    return ""


def _attribute(key: str) -> str:
    """How a value in the dict of an object's attributes is reached; ``key`` as in a repr."""
    return "." + key[1:-1] if key[1:-1].isidentifier() else ".__dict__[" + key + "]"


def isinstance_of(one: Any, kind: type) -> bool:
    """``isinstance`` that asks neither the object nor a metaclass."""
    return kind in mro_of(type(one))


def _value(descriptor: Any, one: Any) -> Any:
    try:
        return descriptor.__get__(one)
    except Exception:
        return None


def _by_item(source: Any, target: Any) -> str:
    if isinstance_of(source, dict):
        key = _key_of(dict.items(source), target)
        return "[" + key + "]" if key else "<key>"
    for kind in (list, tuple, deque):
        if isinstance_of(source, kind):
            return _index_of(kind.__iter__(source), target)
    return "{...}" if isinstance_of(source, set) or isinstance_of(source, frozenset) else ""


def _by_variable(source: Any, target: Any) -> str:
    """A variable of a frame, or of the frame of a generator."""
    name: str = type(source).__name__ if not flags_of(type(source)) & (1 << 9) else ""
    way = ""
    if name in ("generator", "coroutine", "async_generator"):
        way = next(one for one in _FRAME_GETTERS if one in name_space_of(type(source)))
        source = name_space_of(type(source))[way].__get__(source)
        way = "." + way
    elif name != "frame":
        return ""
    key = _key_of(source.f_locals.items(), target)
    return way + ".f_locals[" + key + "]" if key else ""


def _key_of(items: Iterable[Any], target: Any) -> str:
    for number, (key, value) in enumerate(items):
        if value is target:
            return _key_text(key)
        if number > MOST_SEARCHED:
            break
    return ""


def _index_of(items: Iterator[Any], target: Any) -> str:
    for number, one in enumerate(items):
        if one is target:
            return "[%d]" % number
        if number > MOST_SEARCHED:
            break
    return "[...]"


def _key_text(key: Any) -> str:
    if type(key) is str:
        return repr(key if len(key) <= KEY_CHARACTERS else key[: KEY_CHARACTERS - 3] + "...")
    if type(key) is int and -(1 << 63) < key < 1 << 63:
        return repr(key)
    return "<" + short_name(type(key)) + ">"
