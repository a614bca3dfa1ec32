"""``object_growth``: how many objects a block of code leaves behind, and who holds them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ContextDecorator

from memtui.errors import UsageError
from memtui.testing.grown import MOST_HOLDERS, GrownType, Holder, Looks
from memtui.testing.labels import type_name
from memtui.testing.words import holder_lines

_MOST_TYPES, _MOST_CHAINS = 10, 2
_SHARE = 0.1
"""A container is named when it gained at least this share of the objects of the type that gained most."""


class GrowthError(AssertionError):
    """More objects stayed than the limit allows; the text names types and holders."""


class ObjectGrowth(ContextDecorator):
    """A block after which at most ``limit`` objects more may be alive, garbage collected.

    ``limit`` is a number for all together, or a dict from types (or their full or short names) to a number each.
    Counted are the objects that the garbage collector tracks, and elements of containers that grew. What variables of
    the test still hold has stayed too.
    """

    def __init__(self, limit: int | Mapping[str | type, int]) -> None:
        self._total = limit if isinstance(limit, int) else None
        self._of_type = {} if isinstance(limit, int) else {_name(key): most for key, most in limit.items()}
        self._looks = Looks()

    def __enter__(self) -> ObjectGrowth:
        self._looks = Looks({id(self.__dict__)})
        self._looks.take()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raises :class:`GrowthError` when more stayed; nothing when the block failed by itself."""
        __tracebackhide__ = True
        if kind is not None:
            return
        self._looks.take()
        trouble = self._too_many()
        if trouble:
            raise GrowthError("\n".join([trouble, *self._who()]))

    def _too_many(self) -> str:
        types = self._looks.types()
        if self._total is None:
            return "; ".join(
                f"{one.steps[0]:,} objects of {one.name} stayed, {most:,} are allowed"
                for one in types
                for most in [_limit(self._of_type, one.name)]
                if most is not None and one.steps[0] > most
            )
        elements = max((sum(one.steps) for one in self._holders()), default=0)
        grown = max(self._looks.more_objects(), elements)
        return f"{grown:,} objects stayed, {self._total:,} are allowed" if grown > self._total else ""

    def _holders(self) -> list[Holder]:
        return [
            one
            for one in self._looks.holders({}, variables_too=True)
            if not one.excused and not one.is_buffer and not one.is_weak
        ]

    def _who(self) -> list[str]:
        types = [
            one for one in self._looks.types() if not self._of_type or _limit(self._of_type, one.name) is not None
        ]
        most = max((one.steps[0] for one in types), default=0)
        holders = [one for one in self._holders() if one.steps[0] >= _SHARE * most][:MOST_HOLDERS]
        if not holders:
            holders = [self._looks.holder_of(one, {}, variables_too=True) for one in types[:_MOST_CHAINS]]
        lines = [line for one in holders for line in holder_lines(one, 1)]
        return [_told(types), *lines] if types else lines


def _told(types: list[GrownType]) -> str:
    return "more of: " + ", ".join(f"{one.name} {one.steps[0]:+,}" for one in types[:_MOST_TYPES])


def _name(key: str | type) -> str:
    return type_name(key) if isinstance(key, type) else key


def _limit(limits: Mapping[str, int], name: str) -> int | None:
    """The limit for a type, by its full name or the last part of it."""
    return limits.get(name, limits.get(name.rsplit(".", 1)[-1]))


def object_growth(limit: int | Mapping[str | type, int] = 0) -> ObjectGrowth:
    """A block (or, as a decorator, a function) that may leave ``limit`` objects behind. Raises ``UsageError``."""
    __tracebackhide__ = True
    values = list(limit.values()) if isinstance(limit, Mapping) else [limit]
    if any(type(value) is not int or value < 0 for value in values):
        raise UsageError(
            "object_growth takes the number of objects that may stay, or a dict from types to such numbers.",
            next_step="Write for example object_growth(limit=100) or object_growth({Order: 0}).",
        )
    return ObjectGrowth(limit)
