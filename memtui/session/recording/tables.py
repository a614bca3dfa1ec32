"""Tables of rows as differences: of three hundred lines that allocate, a few change from one look to the next.

A table is a tuple of dataclasses of one kind, in an order that means something (the largest first). A row is known by
its *key* fields, which are written once; of its *number* fields the changes are written. A row that did not change is
not written, and the reader gets the same object as before: a recording in memory is as small as one on the disk.

Written is ``[slot, new keys, removed, gaps, changed, numbers...]``, rows being named by the number of their key: the
difference to the table in ``slot`` (there are a few, because tables of different kinds take turns). The reader takes
what was neither removed nor changed, in the order it had, and puts the changed rows between: ``gaps`` says where.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from memtui.model.allocation import Allocation, TypeCount
from memtui.model.target import ProcessFacts

_Table = dict[int, Any]
"""Rows by the number of their key, in their order."""
_Key = tuple[tuple[str, ...], tuple[str, ...]]
KEYS: dict[type, _Key] = {
    Allocation: (("frames", "source"), ("size_bytes", "count")),
    TypeCount: (("type",), ("count", "size_bytes")),
    ProcessFacts: (("pid", "parent", "status"), ("rss_bytes",)),
}
"""The rows that are written this way: their key fields, and their number fields (integers or None)."""
_SLOTS = 4
_MOST_KEYS = 50_000
_WHOLE = -1
"""In the place of a slot: the rows follow as they are, and all that was seen before is to be forgotten."""


class Tables:
    """All tables of one stretch of a recording, on either side."""

    def __init__(self) -> None:
        self._kinds: dict[type, _Kind] = {}

    def encode(self, kind: type, rows: Sequence[Any], plain: Callable[[Any], Any]) -> list[Any]:
        """The tree of a table; ``plain`` makes the tree of one row."""
        return self._of(kind).encode(rows, plain)

    def decode(self, kind: type, tree: list[Any], plain: Callable[[Any], Any]) -> tuple[Any, ...]:
        """The table of a tree. Raises IndexError, KeyError and what ``plain`` raises for one that is none."""
        return self._of(kind).decode(tree, plain)

    def _of(self, kind: type) -> _Kind:
        if kind not in self._kinds:
            self._kinds[kind] = _Kind(kind)
        return self._kinds[kind]


class _Kind:
    """Rows of one kind."""

    def __init__(self, row: type) -> None:
        keys, numbers = KEYS[row]
        names = [one.name for one in fields(row)]
        self._row = row
        self._key = operator.attrgetter(*keys)
        self._values = operator.attrgetter(*names)
        self._numbers = [names.index(one) for one in numbers]
        self._forget()

    def _forget(self) -> None:
        self._ids: dict[Any, int] = {}
        self._first: list[Any] = []
        """The row with which each key was met first."""
        self._slots: list[_Table] = []
        """Tables seen; the one used last is last."""

    def encode(self, rows: Sequence[Any], plain: Callable[[Any], Any]) -> list[Any]:
        new = []
        table: _Table = {}
        for row in rows:
            key = self._key(row)
            if key not in self._ids:
                self._ids[key] = len(self._first)
                self._first.append(row)
                new.append(plain(row))
            table[self._ids[key]] = row
        if len(table) != len(rows) or len(self._ids) > _MOST_KEYS:
            self._forget()
            return [_WHOLE, [plain(row) for row in rows]]
        slot = self._nearest(table)
        before = self._use(slot, table)
        gaps, changed = _places(before, table)
        pairs = [(self._values(table[one]), self._values(before.get(one, self._first[one]))) for one in changed]
        columns = [[_change(new[place], old[place]) for new, old in pairs] for place in self._numbers]
        removed = [one for one in before if one not in table]
        return [slot, new, removed, gaps, changed, *columns]

    def decode(self, tree: list[Any], plain: Callable[[Any], Any]) -> tuple[Any, ...]:
        slot, new, *rest = tree
        if slot == _WHOLE:
            self._forget()
            return tuple([plain(row) for row in new])
        self._first += [plain(row) for row in new]
        removed, gaps, changed, *columns = rest
        before = self._use(slot, {})
        gone = {*removed, *changed}
        kept = [(number, row) for number, row in before.items() if number not in gone]
        changes = [[_checked(one) for one in column] for column in columns]
        table: _Table = {}
        at = 0
        for gap, number, *values in zip(gaps, changed, *changes, strict=True):
            table.update(kept[at : at + gap])
            at += gap
            table[number] = self._moved(before.get(number, self._first[number]), values)
        table.update(kept[at:])
        self._slots[-1] = table
        return tuple(table.values())

    def _moved(self, row: Any, changes: list[int | None]) -> Any:
        """The row with its numbers changed."""
        values = list(self._values(row))
        for place, change in zip(self._numbers, changes, strict=True):
            values[place] = None if change is None else (values[place] or 0) + change
        return self._row(*values)

    def _nearest(self, table: _Table) -> int:
        """The slot from which the fewest rows have to be written; a new one when all of them do."""
        best, slot = len(table) + 1, len(self._slots)
        for number, seen in enumerate(self._slots):
            changed = sum(1 for key, row in table.items() if seen.get(key) != row)
            cost = changed + sum(1 for key in seen if key not in table)
            if cost < best:
                best, slot = cost, number
        return slot

    def _use(self, slot: int, table: _Table) -> _Table:
        """Put ``table`` at the end of the slots, in the place of the one numbered ``slot``, which is returned."""
        before = self._slots.pop(slot) if slot < len(self._slots) else {}
        if len(self._slots) == _SLOTS:
            del self._slots[0]
        self._slots.append(table)
        return before


def _places(before: _Table, table: _Table) -> tuple[list[int], list[int]]:
    """The rows to be written, and how many that stay lie between each of them and the one before it."""
    rank = {number: place for place, number in enumerate(before)}
    gaps: list[int] = []
    changed: list[int] = []
    last, gap = -1, 0
    for number, row in table.items():
        if before.get(number) == row and rank[number] > last:
            last = rank[number]
            gap += 1
        else:
            gaps.append(gap)
            changed.append(number)
            gap = 0
    return gaps, changed


def _change(value: int | None, before: int | None) -> int | None:
    return None if value is None else value - (before or 0)


def _checked(change: Any) -> int | None:
    if change is not None and type(change) is not int:
        raise TypeError(f"{str(change)[:40]!r} is no change of a number")
    return change
