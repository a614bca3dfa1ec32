"""What grew between looks at this process, and who holds it: containers first, then types that none of them has."""

from __future__ import annotations

import gc
import sys
import weakref
from _collections import _count_elements  # type: ignore[import-not-found]
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from memtui.model.caches import BOUNDED_BY_CODE
from memtui.testing.chain import Chain
from memtui.testing.containers import Lengths, bound, is_buffer, length, named_bound, newest
from memtui.testing.holders import Found, find_holder, find_nearest
from memtui.testing.labels import type_name, type_of

MOST_HOLDERS = 5
_MOST_CANDIDATES = 40
_SAMPLES = 48
_WEAK = (weakref.ReferenceType, type(len))
"""Weak references and their callbacks."""
_BUFFER_BYTES = 64
"""A buffer is worth naming when it grew by this much at each step."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Something that holds more at each look.

    ``type`` is that of the container, or of the objects when no container was found; ``elements`` how long it was at
    the first and the last look (bytes of a buffer). ``steps`` is its growth from look to look. ``excused`` tells why
    this is no leak; empty when it is one.
    """

    chain: Chain | None
    type: str
    elements: tuple[int, int]
    steps: tuple[int, ...]
    holds: tuple[str, ...]
    is_container: bool
    is_buffer: bool
    excused: str
    identity: int = 0
    """``id`` of the container."""

    def gains(self, rounds: int) -> bool:
        """Whether it gained an object in each of the rounds between two looks, and is not excused."""
        return not self.excused and not self.is_buffer and not self.is_weak and min(self.steps) >= rounds

    @property
    def is_weak(self) -> bool:
        """Whether it has nothing but weak references, as a ``WeakSet`` has: something else keeps the objects."""
        return self.holds == ("weakref.ReferenceType",)

    @property
    def text(self) -> str:
        """Its path from a named root."""
        return self.chain.text if self.chain is not None else "(no holder found)"


@dataclass(frozen=True, slots=True)
class GrownType:
    """More objects of a type at each look; ``example`` is one of the youngest, when none of the holders has it."""

    name: str
    steps: tuple[int, ...]


class Looks:
    """Looks at all containers, and at how many objects of each type there are, after a collection each."""

    def __init__(self, own: Collection[int] = ()) -> None:
        self._lengths = Lengths()
        self._seen: dict[int, list[int]] = {}
        self._counts: list[dict[int, int]] = []
        self._old: set[int] = set()
        self._own = {id(self.__dict__), id(self._seen), id(self._counts), *own}

    def take(self) -> None:
        """One look. From the second on, only what has grown so far is remembered."""
        gc.collect()
        now = self._lengths.look()
        if not self._counts:
            self._old.update(map(id, gc.get_objects()))
        if self._counts:
            self._seen = {key: [*old, now[key]] for key, old in self._seen.items() if now.get(key, 0) > old[-1]}
        else:
            self._seen = {key: [size] for key, size in now.items() if key not in self._own}
        self._counts.append(_types_of(gc.get_objects()))

    def containers(self) -> dict[int, tuple[int, ...]]:
        """Lengths, at each look, of those that grew in every one; by id."""
        return {key: tuple(sizes) for key, sizes in self._seen.items() if key not in self._own}

    def types(self) -> list[GrownType]:
        """Types of which there were more at every look: those of the program first, then the most first."""
        names = {id(kind): type_name(kind) for kind in map(type, gc.get_objects())}
        rows = []
        for key, name in names.items():
            counts = [look.get(key, 0) for look in self._counts]
            steps = tuple(after - before for before, after in pairwise(counts))
            if min(steps) > 0:
                rows.append(GrownType(name, steps))
        return sorted(rows, key=lambda row: (_is_standard(row.name), -min(row.steps), row.name))

    def more_objects(self) -> int:
        """How many tracked objects there are more, of all types that became more from the first look to the last.

        Without those that became fewer: tuples and dicts do by being untracked, which a collection does by the way.
        Weak references are not counted, which abstract classes keep of all that they were asked about.
        """
        first, last = self._counts[0], self._counts[-1]
        return sum(max(0, count - first.get(key, 0)) for key, count in last.items() if key not in map(id, _WEAK))

    def holders(self, named: Mapping[int, str], *, variables_too: bool = False) -> list[Holder]:
        """The containers that grew, those with most elements first; ``named`` are objects to be taken as roots."""
        grown = self.containers()
        likely = sorted(grown, key=lambda key: grown[key][0] - grown[key][-1])[:_MOST_CANDIDATES]
        found = self._lengths.find(set(likely))
        inner = {id(held) for one in found if bound_by_wrapper(one) for held in gc.get_referents(one)}
        mine = {id(found), id(grown), *self._own}
        rows = [
            _holder(
                one, grown[id(one)], find_holder(one, mine, doubles=True, named=named, variables_too=variables_too)
            )
            for one in found
            if id(one) not in inner
        ]
        rows.sort(key=_rank)
        return [row for row in rows if not row.is_buffer or min(row.steps) >= _BUFFER_BYTES]

    def holder_of(
        self,
        grown: GrownType,
        named: Mapping[int, str],
        excused: Collection[int] = (),
        *,
        variables_too: bool = False,
    ) -> Holder:
        """Who holds the objects of a type that came after the first look, other than containers that are excused.

        The one of these objects that is nearest to a root stands for all.
        """
        young = [one for one in gc.get_objects() if type_of(one) == grown.name and id(one) not in self._old]
        own = {id(young), *self._own, *excused}
        found = find_nearest(young[:_SAMPLES], own, named=named, doubles=True, variables_too=variables_too)
        is_known = found.chain is None and (found.by_test or bool(excused))
        why = "held by what is no leak" if is_known else _by_code(found.chain)
        return Holder(found.chain, grown.name, (0, sum(grown.steps)), grown.steps, (), False, False, why)


def _rank(row: Holder) -> tuple[bool, bool, bool, int, str]:
    """Holders of objects before buffers, and before what has only weak references to them."""
    return bool(row.excused), row.is_buffer, row.is_weak, -sum(row.steps), row.text


def _types_of(objects: list[Any]) -> dict[int, int]:
    """How many there are of each type, by its id. Not a ``Counter``, which fills caches of abstract classes."""
    counts: dict[int, int] = {}
    _count_elements(counts, map(id, map(type, objects)))
    return counts


def _is_standard(name: str) -> bool:
    """Whether a type is built in or of the standard library."""
    module, dot, _ = name.partition(".")
    return not dot or module in sys.stdlib_module_names


def bound_by_wrapper(one: object) -> bool:
    """Whether it is an ``lru_cache``, whose inner dict is the same growth once more."""
    return type_of(one) == "functools._lru_cache_wrapper"


def _holder(one: Any, sizes: tuple[int, ...], found: Found) -> Holder:
    steps = tuple(after - before for before, after in pairwise(sizes))
    kinds = tuple(dict.fromkeys(type_of(element) for element in newest(one)))
    elements = (sizes[0], length(one))
    excuse = _excuse(one, found, sizes[-1])
    return Holder(found.chain, type_of(one), elements, steps, kinds, True, is_buffer(one), excuse, id(one))


def _excuse(one: Any, found: Found, size: int) -> str:
    if found.chain is None and found.by_test:
        return "the test runner's own"
    limit = bound(one)
    if limit is None:
        for owner in _owners(one):
            limit = limit or named_bound(owner)
    if limit is not None and size <= limit:
        return f"bounded: at most {limit:,} elements"
    return _by_code(found.chain)


def _by_code(chain: Chain | None) -> str:
    if chain is not None and chain.text.startswith(BOUNDED_BY_CODE):
        return "a cache that bounds itself"
    return ""


def _owners(one: Any) -> list[Any]:
    """The instances that have a container as an attribute."""
    asked = (one,)
    owners: list[Any] = []
    for holder in gc.get_referrers(*asked):
        if type(holder) is dict:
            asked_dict = (holder,)
            owners += [owner for owner in gc.get_referrers(*asked_dict) if type(owner).__flags__ & _HEAP_TYPE]
        elif type(holder).__flags__ & _HEAP_TYPE:
            owners.append(holder)
    return owners[:8]


_HEAP_TYPE = 1 << 9
