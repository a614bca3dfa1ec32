"""Holder paths of all objects at once, folded: ``shop.CACHE[*]``, ``__main__.HEAD(.next)*``.

The path of a node is that of its holder and one label more, so distinct paths are numbered level by level. To keep
them few, a path comes back to where it was when it meets a type again: a linked list or a tree is one path, however
deep. Every path leads to objects of one type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memtui.heap.graph.analysis import Analysis
from memtui.heap.graph.folds import ANY, KEYS, Folds, Label, join
from memtui.heap.graph.forest import group_sums
from memtui.heap.graph.levels import Levels
from memtui.heap.picture import NOBODY, IntColumn, NodeColumn, Picture

_Number = TypeVar("_Number", int, IntColumn)
_LOOK_BACK = 8
"""So many steps back a type is recognised."""
_MOST_ANY = 6
"""Containers in containers in containers: deeper ones are one path."""
_MOST_STEPS = 24
_MANY_NEW = 2000
"""From here on it pays to add paths by columns."""
_MOST_TURNS = 3
_STAR = 10
"""Kind of a label that stands for going round any number of times."""


@dataclass(slots=True)
class PathTree:
    """Numbered paths; a path comes after the one it goes on from (``parents``: -1 at a root)."""

    parents: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    elements: list[int] = field(default_factory=list)
    """How many steps in a row, up to this one, lead from a container to an element."""
    stars: dict[int, int] = field(default_factory=dict)
    """The path that goes round, by the one that it begins with."""
    begins: dict[int, int] = field(default_factory=dict)
    """The other way about."""
    turns: dict[int, list[list[int]]] = field(default_factory=dict)
    """Labels of the ways round, for each path that goes round; the first few."""
    ends: dict[int, set[int]] = field(default_factory=dict)
    """For each path that goes round, the paths of containers whose elements close the round."""


class HolderPaths:
    """The folded paths of one picture. ``types`` are the nodes' types by name, ``comes_back`` which of these fold."""

    def __init__(self, folds: Folds, analysis: Analysis, types: NodeColumn, comes_back: NDArray[np.bool_]) -> None:
        self.tree = PathTree()
        self.labels: list[Label] = folds.labels
        self._is_any = np.array([kind == ANY for kind, _ in self.labels] or [False], np.bool_)
        self._comes_back = comes_back if len(comes_back) else np.zeros(1, np.bool_)
        self._type_count = len(self._comes_back)
        self._known: dict[int, int] = {}
        self.of_node: NodeColumn = np.full(len(types), NOBODY, np.int32)
        self._number(analysis, folds.of_node.astype(np.int64) * self._type_count + types)

    def _number(self, analysis: Analysis, last: IntColumn) -> None:
        """``last`` is each node's label and type in one number, the last step of its path. Garbage has no other."""
        lost = np.flatnonzero(analysis.roots == NOBODY)
        self._number_level(lost, np.full(len(lost), NOBODY, np.int64), last)
        for step in Levels(analysis.depths).down():
            nodes = step.nodes
            holders = analysis.holders[nodes]
            if step.narrow:
                self._number_each(nodes.tolist(), holders.tolist(), last[nodes].tolist())
            else:
                self._number_level(nodes, np.where(holders >= 0, self.of_node[holders], NOBODY), last)

    def _number_level(self, nodes: IntColumn, before: IntColumn, last: IntColumn) -> None:
        keys, rows = np.unique(self._key(before.astype(np.int64), last[nodes]), return_inverse=True)
        paths = np.array([self._known.get(key, NOBODY) for key in keys.tolist()], np.int32)
        new = np.flatnonzero(paths == NOBODY)
        if len(new) > _MANY_NEW:
            plain = self._are_plain(keys[new])
            paths[new[plain]] = self._add_many(keys[new[plain]])
            new = new[~plain]
        paths[new] = [self._path(key) for key in keys[new].tolist()]
        self.of_node[nodes] = paths[rows]

    def _number_each(self, nodes: list[int], holders: list[int], last: list[int]) -> None:
        numbers = self.of_node.data
        for node, holder, step in zip(nodes, holders, last, strict=True):
            numbers[node] = self._path(self._key(numbers[holder] if holder >= 0 else NOBODY, step))

    def _key(self, before: _Number, last: _Number) -> _Number:
        return (before + 1) * (len(self.labels) * self._type_count) + last

    def _parts(self, keys: Any) -> tuple[Any, Any, Any]:
        """The path before, the label and the type of a key, or of a column of keys."""
        before, last = divmod(keys, len(self.labels) * self._type_count)
        return before - 1, *divmod(last, self._type_count)

    def _are_plain(self, keys: IntColumn) -> NDArray[np.bool_]:
        """Which of these go on from their path in the plain way: they neither come back nor are too deep."""
        before, labels, types = self._parts(keys)
        tree = self.tree
        known = [
            np.array([*column, NOBODY], np.int32) for column in (tree.parents, tree.types, tree.steps, tree.elements)
        ]
        parents, known_types, steps, elements = known
        plain: NDArray[np.bool_] = (steps[before] < _MOST_STEPS) & ~(
            self._is_any[labels] & (elements[before] >= _MOST_ANY)
        )
        above = before
        for _ in range(_LOOK_BACK):
            # The last row of the columns, NOBODY, stands for there being none.
            plain &= ~(self._comes_back[types] & (known_types[above] == types))
            above = np.where(above == NOBODY, NOBODY, parents[above])
        return plain

    def _add_many(self, keys: IntColumn) -> IntColumn:
        """New paths that go on in the plain way; their numbers."""
        before, labels, types = self._parts(keys)
        tree = self.tree
        first = len(tree.parents)
        steps, elements = (np.array([*column, NOBODY], np.int32) for column in (tree.steps, tree.elements))
        tree.parents += before.tolist()
        tree.labels += labels.tolist()
        tree.types += types.tolist()
        tree.steps += (steps[before] + 1).tolist()
        tree.elements += np.where(self._is_any[labels], np.maximum(elements[before], 0) + 1, 0).tolist()
        paths = np.arange(first, first + len(keys))
        self._known.update(zip(keys.tolist(), paths.tolist(), strict=True))
        return paths

    def _path(self, key: int) -> int:
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._new_path(*self._parts(key))
        return found

    def _new_path(self, before: int, label: int, type_row: int) -> int:
        tree = self.tree
        if self._comes_back[type_row]:
            again = self._met_before(before, type_row)
            if again != NOBODY:
                return self._round(again, before, label)
        is_deep = self._is_any[label] and before != NOBODY and tree.elements[before] >= _MOST_ANY
        if before != NOBODY and (is_deep or tree.steps[before] >= _MOST_STEPS):
            # As if it were held by what holds the path before.
            before = tree.parents[before]
        key = self._key(before, label * self._type_count + type_row)
        return self._known[key] if key in self._known else self._append(before, label, type_row)

    def _append(self, before: int, label: int, type_row: int) -> int:
        tree = self.tree
        tree.parents.append(before)
        tree.labels.append(label)
        tree.types.append(type_row)
        tree.steps.append(tree.steps[before] + 1 if before != NOBODY else 0)
        run = tree.elements[before] if before != NOBODY else 0
        tree.elements.append(run + 1 if self._is_any[label] else 0)
        path = len(tree.parents) - 1
        self._known.setdefault(self._key(before, label * self._type_count + type_row), path)
        return path

    def _met_before(self, path: int, type_row: int) -> int:
        tree = self.tree
        for _ in range(_LOOK_BACK):
            if path == NOBODY or tree.types[path] == type_row:
                return path
            path = tree.parents[path]
        return NOBODY

    def _round(self, again: int, before: int, label: int) -> int:
        """The path that goes round at ``again``, to which the step from ``before`` by ``label`` leads back."""
        tree = self.tree
        star = again if again in tree.begins else tree.stars.get(again, NOBODY)
        if star == NOBODY:
            star = tree.stars[again] = self._append(tree.parents[again], tree.labels[again], tree.types[again])
            tree.begins[star] = again
            tree.turns[star] = []
            tree.ends[star] = set()
        if self.labels[label][0] in (ANY, KEYS):
            tree.ends[star].add(before)
        turns = tree.turns[star]
        if len(turns) <= _MOST_TURNS:
            turn = [label, *self._labels_between(again, before)][::-1]
            if turn not in turns:
                turns.append(turn)
        return star

    def _labels_between(self, above: int, path: int) -> list[int]:
        tree, labels = self.tree, []
        while path != above:
            labels.append(tree.labels[path])
            path = tree.parents[path]
        return labels

    def text(self, path: int) -> str:
        """The path as one text."""
        tree = self.tree
        labels: list[Label] = []
        while path != NOBODY:
            if path in tree.begins:
                ways = sorted({join([self.labels[label] for label in turn]) for turn in tree.turns[path]})
                more = "|…" if len(ways) > _MOST_TURNS else ""
                labels.append((_STAR, f"({'|'.join(ways[:_MOST_TURNS])}{more})*"))
                path = tree.begins[path]
            labels.append(self.labels[tree.labels[path]])
            path = tree.parents[path]
        return join(labels[::-1])


@dataclass(frozen=True, slots=True)
class PathSums:
    """Figures for each path; ``examples`` is one node of it."""

    counts: IntColumn
    sizes: IntColumn
    elements: IntColumn
    examples: NodeColumn


def path_sums(paths: HolderPaths, picture: Picture) -> PathSums:
    """How many objects hang on each path, their bytes, and how many elements the containers among them have."""
    count = len(paths.tree.parents)
    nodes = np.flatnonzero(paths.of_node >= 0)
    rows = paths.of_node[nodes]
    examples = np.full(count, NOBODY, np.int32)
    examples[rows[::-1]] = nodes[::-1]
    return PathSums(
        np.bincount(rows, minlength=count),
        group_sums(rows, picture.nodes.sizes[nodes], count),
        group_sums(rows, np.maximum(picture.nodes.lengths[nodes], 0), count),
        examples,
    )
