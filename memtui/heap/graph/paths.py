"""Holder paths of all objects at once, folded: ``shop.CACHE[*]``, ``__main__.HEAD(.next)*``.

The path of a node is that of its holder and one label more, so distinct paths are numbered level by level. To keep
them few, a path comes back to where it was when it meets a type again: a linked list or a tree is one path, however
deep. Every path leads to objects of one type.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

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
    stars: dict[int, int] = field(default_factory=dict)
    """The path that goes round, by the one that it begins with."""
    begins: dict[int, int] = field(default_factory=dict)
    """The other way about."""
    turns: dict[int, list[list[int]]] = field(default_factory=dict)
    """Labels of the ways round, for each path that goes round; the first few."""
    ends: dict[int, set[int]] = field(default_factory=dict)
    """For each path that goes round, the paths of containers whose elements close the round."""

    def add(self, parent: int, label: int, type_row: int) -> int:
        """A new path."""
        self.parents.append(parent)
        self.labels.append(label)
        self.types.append(type_row)
        self.steps.append(self.steps[parent] + 1 if parent >= 0 else 0)
        return len(self.parents) - 1


class HolderPaths:
    """The folded paths of one picture. ``types`` are the nodes' types by name, ``comes_back`` which of these fold."""

    def __init__(self, folds: Folds, analysis: Analysis, types: NodeColumn, comes_back: NDArray[np.bool_]) -> None:
        self.tree = PathTree()
        self.labels: list[Label] = folds.labels
        self._comes_back: list[bool] = comes_back.tolist()
        self._type_count = max(len(self._comes_back), 1)
        self._known: dict[int, int] = {}
        self.of_node: NodeColumn = np.full(len(types), NOBODY, np.int32)
        self._number(analysis, folds.of_node.astype(np.int64) * self._type_count + types)

    def _number(self, analysis: Analysis, last: IntColumn) -> None:
        """``last`` is each node's label and type in one number, the last step of its path. Garbage has no other."""
        lost = np.flatnonzero(analysis.roots == NOBODY)
        keys, rows = np.unique(self._key(np.full(len(lost), NOBODY), last[lost]), return_inverse=True)
        self.of_node[lost] = np.array([self._path(key) for key in keys.tolist()], np.int32)[rows]
        for step in Levels(analysis.depths).down():
            nodes = step.nodes
            holders = analysis.holders[nodes]
            if step.narrow:
                self._number_each(nodes.tolist(), holders.tolist(), last[nodes].tolist())
                continue
            before = np.where(holders >= 0, self.of_node[holders], NOBODY).astype(np.int64)
            keys, rows = np.unique(self._key(before, last[nodes]), return_inverse=True)
            self.of_node[nodes] = np.array([self._path(key) for key in keys.tolist()], np.int32)[rows]

    def _number_each(self, nodes: list[int], holders: list[int], last: list[int]) -> None:
        numbers = self.of_node.data
        for node, holder, step in zip(nodes, holders, last, strict=True):
            numbers[node] = self._path(self._key(numbers[holder] if holder >= 0 else NOBODY, step))

    def _key(self, before: _Number, last: _Number) -> _Number:
        return (before + 1) * (len(self.labels) * self._type_count) + last

    def _path(self, key: int) -> int:
        found = self._known.get(key)
        if found is None:
            before, last = divmod(key, len(self.labels) * self._type_count)
            found = self._known[key] = self._new_path(before - 1, *divmod(last, self._type_count))
        return found

    def _new_path(self, before: int, label: int, type_row: int) -> int:
        tree = self.tree
        if self._comes_back[type_row]:
            again = self._met_before(before, type_row)
            if again != NOBODY:
                return self._round(again, before, label)
        if before != NOBODY and (tree.steps[before] >= _MOST_STEPS or self._is_deep(before, label)):
            key = self._key(tree.parents[before], label * self._type_count + type_row)
            if key in self._known:
                return self._known[key]
            path = self._known[key] = tree.add(tree.parents[before], label, type_row)
            return path
        return tree.add(before, label, type_row)

    def _met_before(self, path: int, type_row: int) -> int:
        tree = self.tree
        for _ in range(_LOOK_BACK):
            if path == NOBODY or tree.types[path] == type_row:
                return path
            path = tree.parents[path]
        return NOBODY

    def _is_deep(self, before: int, label: int) -> bool:
        tree = self.tree
        for _ in range(_MOST_ANY):
            if before == NOBODY or self.labels[label][0] != ANY:
                return False
            label, before = tree.labels[before], tree.parents[before]
        return self.labels[label][0] == ANY

    def _round(self, again: int, before: int, label: int) -> int:
        """The path that goes round at ``again``, to which the step from ``before`` by ``label`` leads back."""
        tree = self.tree
        star = again if again in tree.begins else tree.stars.get(again, NOBODY)
        if star == NOBODY:
            star = tree.stars[again] = tree.add(tree.parents[again], tree.labels[again], tree.types[again])
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
