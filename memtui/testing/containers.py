"""The containers of this process and how long they are, to see which of them grow."""

from __future__ import annotations

import gc
import io
import sys
import types
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from memtui.model.caches import BOUND_ATTRIBUTES
from memtui.testing.labels import LruWrapper, attributes

_LENGTHS: dict[type, Callable[[Any], int]] = {
    dict: dict.__len__, list: list.__len__, set: set.__len__, deque: deque.__len__,
    LruWrapper: lambda one: int(one.cache_info().currsize), bytearray: bytearray.__len__,
    array: array.__len__, io.BytesIO: sys.getsizeof, io.StringIO: sys.getsizeof,
}  # fmt: skip
_BUFFERS = (bytearray, array, io.BytesIO, io.StringIO)
_HIDDEN = (dict, bytearray, array)
"""The collector does not track these while they hold nothing that it tracks; their holders lead to them."""
_CARRIERS = (dict, list, set, deque, tuple, type, types.CellType)
_NEWEST = 8


class Lengths:
    """How long each container is, by its id. Untracked dicts are found through what holds them."""

    def __init__(self) -> None:
        self._of_type: dict[type, Callable[[Any], int] | None] = {}

    def look(self) -> dict[int, int]:
        """Lengths of all containers; of buffers the bytes."""
        return {id(one): length(one) for one, length in self._all()}

    def find(self, wanted: set[int]) -> list[Any]:
        """The containers with these ids."""
        return list({id(one): one for one, _ in self._all() if id(one) in wanted}.values())

    def _all(self) -> Iterator[tuple[Any, Callable[[Any], int]]]:
        for one in gc.get_objects():
            length = self._length(type(one))
            if length is not None:
                yield one, length
            if length is not None or self._carries(one):
                for held in gc.get_referents(one):
                    if type(held) in _HIDDEN and not gc.is_tracked(held):
                        yield held, _LENGTHS[type(held)]

    def _length(self, kind: type) -> Callable[[Any], int] | None:
        if kind not in self._of_type:
            fits = (length for base, length in _LENGTHS.items() if issubclass(kind, base))
            self._of_type[kind] = next(fits, None)
        return self._of_type[kind]

    def _carries(self, one: object) -> bool:
        kind = type(one)
        return kind in _CARRIERS or bool(kind.__flags__ & _HEAP_TYPE)


_HEAP_TYPE = 1 << 9
"""``Py_TPFLAGS_HEAPTYPE``: classes written in Python, whose instances may hold anything in their attributes."""


def is_buffer(one: object) -> bool:
    """Whether it is text or bytes that grow, and no objects."""
    return issubclass(type(one), _BUFFERS)


def length(one: Any) -> int:
    """The length of a container."""
    return next(count(one) for kind, count in _LENGTHS.items() if issubclass(type(one), kind))


def newest(one: Any) -> list[Any]:
    """A few elements, of what keeps an order the last ones; of dicts the values."""
    kind = type(one)
    if is_buffer(one):
        return []
    if kind is LruWrapper:
        inner = next((held for held in gc.get_referents(one) if type(held) is dict), {})
        return newest(inner)
    if issubclass(kind, dict):
        return [value for _, value in zip(range(_NEWEST), reversed(list(dict.values(one))), strict=False)]
    if issubclass(kind, (list, deque)):
        return (
            [value for _, value in zip(range(_NEWEST), reversed(one), strict=False)] if kind in (list, deque) else []
        )
    return (
        [value for _, value in zip(range(_NEWEST), set.__iter__(one), strict=False)] if issubclass(kind, set) else []
    )


def bound(one: Any) -> int | None:
    """The most elements a container allows itself, as deques and ``lru_cache`` do; None without a bound."""
    kind = type(one)
    if kind is LruWrapper:
        most = one.cache_info().maxsize
        return None if most is None else int(most)
    if issubclass(kind, deque):
        limit: int | None = deque.maxlen.__get__(one)
        return limit
    return None


def named_bound(owner: object) -> int | None:
    """The bound that the object which owns a container names in an attribute, such as ``maxsize``."""
    for name, value in attributes(owner):
        if name in BOUND_ATTRIBUTES and type(value) is int and value > 1:
            return value
    return None
