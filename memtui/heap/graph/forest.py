"""The dominator tree as numbered intervals: what is under what, told by two comparisons."""

from __future__ import annotations

import numpy as np

from memtui.heap.graph.analysis import Analysis
from memtui.heap.graph.levels import Levels, depths_of, outermost, preorder, sum_up
from memtui.heap.picture import IntColumn, NodeColumn


class Forest:
    """The dominator tree of one picture."""

    def __init__(self, analysis: Analysis) -> None:
        levels = Levels(depths_of(analysis.dominators))
        self._retained = analysis.retained
        self._sizes = sum_up(analysis.dominators, levels, np.ones(len(analysis.dominators), np.int64))
        self._numbers = preorder(analysis.dominators, levels, self._sizes)

    def retained_by_group(self, groups: NodeColumn, group_count: int) -> IntColumn:
        """Bytes that would be freed with all nodes of each group; nodes of a negative group belong to none.

        The sum over the nodes that no other node of the group dominates, as Eclipse MAT counts a class. It is a
        lower bound: what only several of them together hold is not in it.
        """
        nodes = outermost(groups, self._numbers, self._sizes)
        return group_sums(groups[nodes], self._retained[nodes], group_count)


def group_sums(groups: NodeColumn, values: IntColumn, group_count: int) -> IntColumn:
    """The sum of the values of each group, exact up to 2**53 bytes."""
    sums: IntColumn = np.bincount(groups, values, minlength=group_count).astype(np.int64)
    return sums
