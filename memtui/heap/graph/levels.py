"""Going through a forest level by level: wide levels at once in numpy, runs of narrow ones as a plain loop.

A chain of a million nodes is a million levels of one node; numpy would need a million rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memtui.heap.graph.rows import order_by
from memtui.heap.picture import NOBODY, IntColumn, NodeColumn

_NARROW = 24
"""A round of numpy takes about as long as a plain loop over so many nodes."""


@dataclass(frozen=True, slots=True)
class Step:
    """Some nodes. In a narrow step they come from several levels, nearest to the root first."""

    nodes: IntColumn
    narrow: bool


class Levels:
    """The nodes of a forest by depth; those of a negative depth are not in it."""

    def __init__(self, depths: NodeColumn) -> None:
        inside = np.flatnonzero(depths >= 0)
        self._order = inside[order_by(depths[inside])]
        self._widths = np.bincount(depths[inside])

    def nodes(self) -> IntColumn:
        """All of them, nearest to the root first."""
        return self._order

    def down(self) -> Iterator[Step]:
        """From the roots to the leaves."""
        for start, end, narrow in self._runs():
            yield Step(self._order[start:end], narrow)

    def up(self) -> Iterator[Step]:
        """From the leaves to the roots; the nodes of a narrow step still come nearest to the root first."""
        for start, end, narrow in reversed(self._runs()):
            yield Step(self._order[start:end], narrow)

    def _runs(self) -> list[tuple[int, int, bool]]:
        """Start and end in the order, and whether it is a run of narrow levels."""
        ends = np.cumsum(self._widths)
        narrow = self._widths < _NARROW
        changes = np.flatnonzero(np.diff(narrow)) + 1
        runs: list[tuple[int, int, bool]] = []
        for first, last in zip([0, *changes.tolist()], [*changes.tolist(), len(narrow)], strict=True):
            if first == last:
                continue
            starts = (ends - self._widths)[first:last].tolist()
            if narrow[first]:
                runs.append((starts[0], int(ends[last - 1]), True))
            else:
                runs += zip(starts, ends[first:last].tolist(), [False] * (last - first), strict=True)
        return runs


def depths_of(parents: NodeColumn) -> NodeColumn:
    """Depth of each node of a forest (0: its parent is NOBODY), by pointer doubling: rounds are log2 of the deepest.

    Wyllie's list ranking (1979).
    """
    depths = (parents >= 0).astype(np.int32)
    above = parents.copy()
    active = np.flatnonzero(above >= 0)
    while len(active):
        over = above[active]
        further = depths[over]
        up = above[over]
        depths[active] += further
        above[active] = up
        active = active[up >= 0]
    return depths


def sum_up(parents: NodeColumn, levels: Levels, values: IntColumn) -> IntColumn:
    """For each node the sum of its own value and those of all nodes under it."""
    sums: IntColumn = values.copy()
    for step in levels.up():
        nodes = step.nodes
        over = parents[nodes]
        if step.narrow:
            _add_each(sums, nodes, over)
            continue
        inside = over >= 0
        _add(sums, over[inside], sums[nodes[inside]])
    return sums


def _add_each(sums: IntColumn, nodes: IntColumn, over: NodeColumn) -> None:
    view = sums.data
    for node, parent in zip(nodes[::-1].tolist(), over[::-1].tolist(), strict=True):
        if parent >= 0:
            view[parent] += view[node]


def _add(sums: IntColumn, where: NodeColumn, values: IntColumn) -> None:
    """``np.add.at``, fast in old numpy too, and exact (``bincount`` with weights would round)."""
    if not len(where):
        return
    order = order_by(where)
    keys = where[order]
    firsts = np.flatnonzero(np.diff(keys, prepend=NOBODY))
    sums[keys[firsts]] += np.add.reduceat(values[order], firsts)


def preorder(parents: NodeColumn, levels: Levels, sizes: IntColumn) -> IntColumn:
    """A number for each node so that those of a subtree are ``[number, number + size)``; -1 outside the forest.

    ``sizes`` are the numbers of nodes in the subtrees, as ``sum_up`` of ones gives them.
    """
    numbers = np.full(len(parents), -1, np.int64)
    offsets = _before_in_family(parents, levels, sizes)
    for step in levels.down():
        over = parents[step.nodes]
        if step.narrow:
            view = numbers.data
            rows = zip(step.nodes.tolist(), over.tolist(), offsets[step.nodes].tolist(), strict=True)
            for node, parent, offset in rows:
                view[node] = offset + (view[parent] + 1 if parent >= 0 else 0)
        else:
            numbers[step.nodes] = offsets[step.nodes] + np.where(over >= 0, numbers[over] + 1, 0)
    return numbers


def _before_in_family(parents: NodeColumn, levels: Levels, sizes: IntColumn) -> IntColumn:
    """How many nodes are under the siblings that come before each node."""
    inside = levels.nodes()
    order = inside[order_by(parents[inside] + 1)]
    before = np.cumsum(sizes[order]) - sizes[order]
    firsts = np.flatnonzero(np.diff(parents[order], prepend=NOBODY - 1))
    widths = np.diff(firsts, append=len(order))
    offsets = np.zeros(len(parents), np.int64)
    offsets[order] = before - np.repeat(before[firsts], widths)
    return offsets


def outermost(groups: NodeColumn, numbers: IntColumn, sizes: IntColumn) -> NodeColumn:
    """Nodes that are under no other node of their group. ``numbers`` and ``sizes`` are a forest's preorder.

    Nodes outside the forest, or of a negative group, are left out.
    """
    inside = np.flatnonzero((numbers >= 0) & (groups >= 0))
    span = len(numbers) + 1
    keys = groups[inside].astype(np.int64) * span + numbers[inside]
    order = np.argsort(keys)
    nodes, keys = inside[order], keys[order]
    ends = np.maximum.accumulate(keys + sizes[nodes])
    free = np.ones(len(keys), np.bool_)
    # The subtrees of one group are nested or apart: the furthest end so far tells.
    free[1:] = keys[1:] >= ends[:-1]
    found: NodeColumn = nodes[free].astype(np.int32)
    return found
