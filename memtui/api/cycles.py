"""Objects that only the collector frees, because they refer to each other in a circle."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from memtui.agent.heap import type_name
from memtui.api.process import shallow_size

MOST_OBJECTS = 200_000
_OWN = "memtui."


@dataclass(frozen=True, slots=True)
class ReferenceCycle:
    """Circles of the same make: the types in one of them, how many there were, and their objects' shallow sizes.

    Objects that hang on a circle and are in none are not counted.
    """

    types: tuple[str, ...]
    count: int
    objects: int
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "types": list(self.types),
            "count": self.count,
            "objects": self.objects,
            "size_bytes": self.size_bytes,
        }


def find_cycles(limit: int = 20) -> tuple[ReferenceCycle, ...]:
    """The circles that wait for the collector now, largest first; they are collected on the way.

    Runs two full collections, the first with ``gc.DEBUG_SAVEALL``, which hands over what it would free. Of more than
    200,000 objects only so many are looked at.
    """
    flags, kept = gc.get_debug(), len(gc.garbage)
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
    finally:
        gc.set_debug(flags)
        found = gc.garbage[kept:]
        if not flags & gc.DEBUG_SAVEALL:
            del gc.garbage[kept:]
    try:
        return _grouped(found[:MOST_OBJECTS])[:limit]
    finally:
        found.clear()
        gc.collect()


def _grouped(found: list[Any]) -> tuple[ReferenceCycle, ...]:
    index = {id(one): number for number, one in enumerate(found)}
    links = [[index[id(child)] for child in gc.get_referents(one) if id(child) in index] for one in found]
    groups: dict[tuple[str, ...], list[int]] = {}
    for circle in _circles(links):
        types = tuple(sorted({type_name(type(found[number])).removeprefix("builtins.") for number in circle}))
        if not any(name.startswith(_OWN) for name in types):
            group = groups.setdefault(types, [0, 0, 0])
            group[0] += 1
            group[1] += len(circle)
            group[2] += sum(shallow_size(found[number]) for number in circle)
    rows = [ReferenceCycle(types, *figures) for types, figures in groups.items()]
    return tuple(sorted(rows, key=lambda one: (-one.size_bytes, one.types)))


def _circles(links: list[list[int]]) -> Iterator[list[int]]:
    """Strongly connected components of more than one node, or with a link to itself (Tarjan 1972, no recursion)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in range(len(links)):
        if root in order:
            continue
        work = [(root, iter(links[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, children = work[-1]
            child = next((one for one in children if one not in order or one in on_stack), None)
            if child is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    circle = _popped(stack, on_stack, node)
                    if len(circle) > 1 or node in links[node]:
                        yield circle
            elif child in order:
                low[node] = min(low[node], order[child])
            else:
                order[child] = low[child] = len(order)
                stack.append(child)
                on_stack.add(child)
                work.append((child, iter(links[child])))


def _popped(stack: list[int], on_stack: set[int], node: int) -> list[int]:
    circle = []
    while True:
        one = stack.pop()
        on_stack.discard(one)
        circle.append(one)
        if one == node:
            return circle
