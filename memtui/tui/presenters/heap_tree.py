"""An object with what holds it and what it holds, as a tree that is fetched piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rich.cells import cell_len

from memtui.model.heap import HeapLink, HeapObject
from memtui.model.units import format_bytes
from memtui.tui.presenters.heap import object_text
from memtui.tui.presenters.line import Line, Span, fit, line, width_of
from memtui.tui.presenters.text import clean, cut_middle, pad

PAGE = 50
"""Links fetched at a time."""
_SIZE = 11
_INDENT = 2
Direction = Literal["holders", "references"]
_TITLES: dict[Direction, str] = {"holders": "held by", "references": "holds"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Links that must be fetched: those of ``node``, the first ``offset`` left out, for the branch ``key``."""

    key: tuple[int, ...]
    node: int
    direction: Direction
    offset: int


@dataclass(slots=True)
class Branch:
    """One row and what is below it. ``link`` is None for the two headings and for the row that fetches more."""

    key: tuple[int, ...]
    direction: Direction
    node: int
    link: HeapLink | None = None
    below: list[Branch] = field(default_factory=list)
    open: bool = False
    fetched: bool = False
    complete: bool = False


class HeapTree:
    """The branches of one object. What is opened and not known yet is to be fetched and given to :meth:`add`."""

    def __init__(self, root: HeapObject) -> None:
        self.root = root
        directions: tuple[Direction, ...] = ("holders", "references")
        self._roots = [Branch((index,), direction, root.node) for index, direction in enumerate(directions)]

    def begin(self) -> list[Wanted]:
        """Open both headings."""
        return [wanted for one in self._roots for wanted in self.open(one.key)]

    def open(self, key: tuple[int, ...]) -> list[Wanted]:
        """Open a branch, or fetch more at a row that says so; what is to be fetched for it (nothing: it is there)."""
        parent = self.find(key[:-1]) if len(key) > 1 else None
        if parent is not None and key[-1] >= len(parent.below):
            return [Wanted(parent.key, parent.node, parent.direction, len(parent.below))]
        branch = self.find(key)
        if branch is None:
            return []
        branch.open = True
        return [] if branch.fetched else [Wanted(branch.key, branch.node, branch.direction, 0)]

    def close(self, key: tuple[int, ...]) -> tuple[int, ...] | None:
        """Close a branch; of one that is closed already, the one above it. The key of the row to go to, or None."""
        branch = self.find(key)
        if branch is not None and branch.open:
            branch.open = False
            return key
        if len(key) < 2:
            return None
        above = self.find(key[:-1])
        assert above is not None
        above.open = False
        return above.key

    def add(self, wanted: Wanted, links: tuple[HeapLink, ...]) -> None:
        """Put links that were fetched in their place."""
        branch = self.find(wanted.key)
        if branch is None or wanted.offset != len(branch.below):
            return
        first = len(branch.below)
        branch.below += [
            Branch((*branch.key, first + index), branch.direction, link.object.node, link)
            for index, link in enumerate(links)
        ]
        branch.fetched, branch.complete = True, len(links) < PAGE

    def find(self, key: tuple[int, ...]) -> Branch | None:
        """The branch with this key."""
        branches, found = self._roots, None
        for index in key:
            if index >= len(branches):
                return None
            found = branches[index]
            branches = found.below
        return found

    def rows(self, width: int) -> list[tuple[tuple[int, ...], Line]]:
        """The visible rows, top down, with their keys."""
        shown: list[tuple[tuple[int, ...], Line]] = []
        waiting = list(reversed(self._roots))
        while waiting:
            branch = waiting.pop()
            if branch.node < 0:
                shown.append((branch.key, _note(branch, width)))
                continue
            shown.append((branch.key, _row(branch, width)))
            if branch.open:
                waiting += reversed([*branch.below, *_tail(branch)])
        return shown


def _tail(branch: Branch) -> list[Branch]:
    """The row after the last link: more, nothing, or being fetched."""
    if branch.fetched and branch.complete and branch.below:
        return []
    return [Branch((*branch.key, len(branch.below)), branch.direction, -1, None, fetched=branch.fetched)]


def _note(branch: Branch, width: int) -> Line:
    text = "…" if not branch.fetched else "nothing" if branch.key[-1] == 0 else "more…"
    role = "key" if text == "more…" else "dim"
    return line(" " * (_SIZE + 2 + _INDENT * (len(branch.key) - 1)), Span(f"  {text}", role))


def _row(branch: Branch, width: int) -> Line:
    mark = "▾ " if branch.open else "▸ "
    if branch.link is None:
        return line(" " * (_SIZE + 2), Span(mark, "key"), Span(_TITLES[branch.direction], "title"))
    depth = len(branch.key) - 1
    indent = " " * min(_INDENT * depth, max(0, width // 3))
    one = branch.link.object
    if branch.fetched and branch.complete and not branch.below:
        mark = "· "
    head = line(pad(format_bytes(one.retained_bytes), _SIZE, "right"), f"  {indent}", Span(mark, "key"))
    room = max(8, width - width_of(head))
    label = cut_middle(clean(branch.link.label), max(6, room // 2))
    return fit((*head, Span(f"{label} ", "strong"), *object_text(one, max(6, room - cell_len(label) - 1))), width)
