"""A tree that grows at its leaves and finds nearest common ancestors of many sets at once.

Each node keeps a *jump* to an ancestor further up, placed as in skew-binary numbers (E. W. Myers: *An applicative
random-access stack*, Information Processing Letters 17, 1983): any ancestor is a logarithmic number of jumps away.
How far a jump leads depends on the depth alone, so a set of nodes of one depth climbs in step.
"""

from __future__ import annotations

import numpy as np

from memtui.heap.picture import IntColumn, NodeColumn


class Ancestors:
    """``parents``, ``depths`` and jumps of the nodes that were added; ``root`` is its own parent, of depth 0."""

    def __init__(self, node_count: int, root: int) -> None:
        self.parents = np.full(node_count, -1, np.int32)
        self.depths = np.full(node_count, -1, np.int32)
        self._jumps = np.full(node_count, -1, np.int32)
        self.parents[root] = self._jumps[root] = root
        self.depths[root] = 0

    def add_tree(self, order: NodeColumn, dominators: list[int]) -> None:
        """Add nodes, parents before children; the parent of ``order[i]`` is ``order[dominators[i]]``, 0 the root."""
        depths, jumps = [0] * len(order), [0] * len(order)
        for position in range(1, len(order)):
            parent = dominators[position]
            jump = jumps[parent]
            depths[position] = depths[parent] + 1
            even = depths[parent] - depths[jump] == depths[jump] - depths[jumps[jump]]
            jumps[position] = jumps[jump] if even else parent
        self.parents[order] = order[np.array(dominators, np.int64)]
        self.depths[order] = depths
        self._jumps[order] = order[np.array(jumps, np.int64)]

    def add(self, nodes: NodeColumn, parents: NodeColumn) -> None:
        """Add leaves under nodes that are there."""
        depths, jumps = self.depths, self._jumps
        jump = jumps[parents]
        further = jumps[jump]
        even = depths[parents] - depths[jump] == depths[jump] - depths[further]
        self.parents[nodes] = parents
        self.depths[nodes] = depths[parents] + 1
        jumps[nodes] = np.where(even, further, parents)

    def common(self, members: NodeColumn, sets: IntColumn, set_count: int) -> NodeColumn:
        """The nearest common ancestor of each set; ``sets`` names the set of each member, none is empty."""
        found = np.full(set_count, -1, np.int32)
        members, sets = _distinct(members, sets)
        members, sets = _distinct(self._lift(members, self._floors(members, sets)), sets)
        while len(members):
            firsts = _firsts(sets)
            widths = np.diff(firsts, append=len(sets))
            alone = widths == 1
            found[sets[firsts[alone]]] = members[firsts[alone]]
            together = np.repeat(~alone, widths)
            members, sets = members[together], sets[together]
            if len(members):
                members, sets = _distinct(self._climb(members, sets), sets)
        return found

    def _floors(self, members: NodeColumn, sets: IntColumn) -> NodeColumn:
        """For each member the smallest depth in its set."""
        firsts = _firsts(sets)
        floors = np.minimum.reduceat(self.depths[members], firsts)
        return np.repeat(floors, np.diff(firsts, append=len(sets)))

    def _lift(self, members: NodeColumn, floors: NodeColumn) -> NodeColumn:
        """The ancestors of these depths."""
        lifted: NodeColumn = members.copy()
        active = np.flatnonzero(self.depths[lifted] > floors)
        while len(active):
            nodes = lifted[active]
            jump = self._jumps[nodes]
            nodes = np.where(self.depths[jump] >= floors[active], jump, self.parents[nodes])
            lifted[active] = nodes
            active = active[self.depths[nodes] > floors[active]]
        return lifted

    def _climb(self, members: NodeColumn, sets: IntColumn) -> NodeColumn:
        """One jump for the sets whose members jump to different nodes, one step for the others."""
        firsts = _firsts(sets)
        jump = self._jumps[members]
        same = np.minimum.reduceat(jump, firsts) == np.maximum.reduceat(jump, firsts)
        step: NodeColumn = np.where(np.repeat(same, np.diff(firsts, append=len(sets))), self.parents[members], jump)
        return step


def _firsts(sets: IntColumn) -> IntColumn:
    return np.flatnonzero(np.diff(sets, prepend=-1))


def _distinct(members: NodeColumn, sets: IntColumn) -> tuple[NodeColumn, IntColumn]:
    """Each member of a set once; by set."""
    keys = sets << 32 | members
    keys.sort()
    keys = keys[np.flatnonzero(np.diff(keys, prepend=-1))]
    return (keys & 0xFFFFFFFF).astype(np.int32), keys >> 32
