"""Objects that a program wants watched: whether they still live, and how their sizes change.

Only weak references are kept, so that tracking never keeps an object alive; and little else: sizes are written down
when they change.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Any
from weakref import ref

from memtui.agent.heap import type_name
from memtui.api.locks import Lock
from memtui.api.process import shallow_size
from memtui.errors import MemtuiError

MOST_CHANGES = 64
"""Changes of size that are kept of an object: the first, and the last ones."""
_REPORTED = 20


class NotTrackableError(MemtuiError, TypeError):
    """The object cannot be tracked: it takes no weak references."""


class TrackedObject(ref[Any]):
    """One object that is watched: a weak reference to it, and what is known of it.

    Times are seconds since the epoch; sizes are shallow: ``sys.getsizeof``, bytes. What the object refers to is not
    counted: a list has the size of its table, whatever is in it.
    """

    __slots__ = ("_changes", "_key", "_name", "created_at", "ended_at", "first_size_bytes", "type")

    type: str
    created_at: float
    ended_at: float | None
    first_size_bytes: int
    _key: int
    _name: str | None
    _changes: array[float] | None

    # Those of a weak reference would ask the program's objects.
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        state = "alive" if self.is_alive else "collected"
        return f"<TrackedObject {self.name}: {self.type}, {self.size_bytes} bytes, {state}>"

    @property
    def name(self) -> str:
        """The name it was given, else its type and the number that ``id`` gave."""
        return self._name or f"{self.type}@{self._key:x}"

    @property
    def is_alive(self) -> bool:
        """Whether the object still exists."""
        return self() is not None

    @property
    def size_bytes(self) -> int:
        """Its size when it was last measured."""
        return int(self._changes[-1]) if self._changes else self.first_size_bytes

    @property
    def growth_bytes(self) -> int:
        """How much larger it became since it is tracked."""
        return self.size_bytes - self.first_size_bytes

    @property
    def history(self) -> tuple[tuple[float, int], ...]:
        """When it had which size: the first time, and each time at which it was found changed (bounded)."""
        changes = self._changes or ()
        pairs = [(changes[index], int(changes[index + 1])) for index in range(0, len(changes), 2)]
        return ((self.created_at, self.first_size_bytes), *pairs)

    def get(self) -> Any:
        """The object itself, None when it is gone. Do not keep it longer than you need it."""
        return self()

    def measure(self) -> int | None:
        """Measure it now; None when it is gone."""
        one = self()
        if one is None:
            return None
        size = shallow_size(one)
        if size != self.size_bytes:
            changes = self._changes = self._changes or array("d")
            changes.extend((time.time(), float(size)))
            del changes[2 : max(2, len(changes) - 2 * MOST_CHANGES)]
        return size

    def to_dict(self) -> dict[str, Any]:
        """What a report says of it."""
        return {
            "name": self.name,
            "type": self.type,
            "alive": self.is_alive,
            "size_bytes": self.size_bytes,
            "growth_bytes": self.growth_bytes,
            "tracked_at": self.created_at,
            "collected_at": self.ended_at,
            "history": [list(pair) for pair in self.history],
        }


class Tracker:
    """The objects that are tracked, by identity. Safe to use from several threads and from finalizers."""

    def __init__(self, keep_collected: int = 100) -> None:
        self._lock = Lock()
        self._objects: dict[int, TrackedObject] = {}
        self._dead: deque[ref[Any]] = deque()  # filled wherever an object ends, whatever lock is held there
        self._collected: deque[TrackedObject] = deque(maxlen=keep_collected)
        self._collected_counts: Counter[str] = Counter()
        self._types: dict[str, str] = {}

    def track(self, one: Any, name: str | None = None) -> TrackedObject:
        """Watch ``one``; one that is watched already is given the name, if any. Raises NotTrackableError."""
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name is {type(name).__name__}, not str")
        key = id(one)
        with self._lock:
            self._bury()
            tracked = self._objects.get(key)
            if tracked is None or tracked() is not one:
                tracked = self._objects[key] = self._new(one, key)
            tracked._name = name or tracked._name
            return tracked

    def _new(self, one: Any, key: int) -> TrackedObject:
        try:
            tracked = TrackedObject(one, self._dead.append)
        except TypeError:
            raise _not_trackable(one) from None
        kind = type_name(type(one))
        tracked._key, tracked._name, tracked._changes = key, None, None
        tracked.type = self._types.setdefault(kind, kind)
        tracked.created_at, tracked.ended_at = time.time(), None
        tracked.first_size_bytes = shallow_size(one)
        return tracked

    def untrack(self, one: Any) -> bool:
        """Watch it no longer: an object, its :class:`TrackedObject` or its name. False when it was not watched."""
        with self._lock:
            self._bury()
            for tracked in self._matching(one):
                del self._objects[tracked._key]
                return True
            return False

    def _matching(self, one: Any) -> Iterable[TrackedObject]:
        known = self._objects.get(id(one))
        if known is not None and known.get() is one:
            return (known,)
        if isinstance(one, TrackedObject):
            return (one,) if self._objects.get(one._key) is one else ()
        return [tracked for tracked in self._objects.values() if isinstance(one, str) and tracked.name == one][:1]

    def measure(self, give_way: Callable[[], None] = lambda: None) -> int:
        """Measure all that live; returns the sum of their sizes. ``give_way`` is called after each thousand."""
        total = 0
        for number, tracked in enumerate(self.objects()):
            total += tracked.measure() or 0
            if number % 1000 == 999:
                give_way()
        return total

    def objects(self) -> tuple[TrackedObject, ...]:
        """Those that live, in the order in which they came."""
        with self._lock:
            self._bury()
            return tuple(self._objects.values())

    def report(self) -> dict[str, Any]:
        """How many live and how many are gone, by type; the largest, and those that grew most."""
        living = self.objects()
        with self._lock:
            collected, counts = tuple(self._collected), Counter(self._collected_counts)
        alive, sizes = Counter(one.type for one in living), Counter[str]()
        for one in living:
            sizes[one.type] += one.size_bytes
        rows = [
            {"type": kind, "alive": alive[kind], "collected": counts[kind], "size_bytes": sizes[kind]}
            for kind in sorted(alive | counts, key=lambda kind: (-sizes[kind], kind))
        ]
        by_growth = sorted((one for one in living if one.growth_bytes > 0), key=lambda one: -one.growth_bytes)
        return {
            "tracked": len(living) + counts.total(),
            "alive": len(living),
            "collected": counts.total(),
            "size_bytes": sum(sizes.values()),
            "types": rows,
            "objects": [one.to_dict() for one in sorted(living, key=lambda one: -one.size_bytes)[:_REPORTED]],
            "grown": [one.to_dict() for one in by_growth[:_REPORTED]],
            "lately_collected": [one.to_dict() for one in collected[-_REPORTED:]],
        }

    def _bury(self) -> None:
        """Take out what has ended."""
        while self._dead:
            ended = self._dead.popleft()
            if isinstance(ended, TrackedObject) and self._objects.get(ended._key) is ended:
                del self._objects[ended._key]
                ended.ended_at = time.time()
                self._collected.append(ended)
                self._collected_counts[ended.type] += 1


def _not_trackable(one: Any) -> NotTrackableError:
    name = type_name(type(one)).removeprefix("builtins.")
    step = "Track the object that holds it."
    if type(one) in (list, dict):
        step = f"Track the object that holds it, or use a subclass: class Tracked({name}): pass"
    elif type(one).__module__ != "builtins":
        step = 'Give its class "__weakref__" among its __slots__, or track the object that holds it.'
    why = "It takes no weak references, and memtui keeps nothing alive."
    return NotTrackableError(f"An object of type {name} cannot be tracked.", why=why, next_step=step)
