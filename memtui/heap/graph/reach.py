"""Who holds each object: breadth-first search from the roots, group after group, the nice references first.

Three kinds of references are followed, each only where the ones before do not lead: plain ones; *soft* ones, which
say little about why something is alive (a frame's caller, a function's globals, a class's bases); and the one from an
instance to its class. Objects that only unknown holders reach come last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtui.heap.graph.rows import gather
from memtui.heap.picture import NOBODY, Group, IntColumn, Link, NodeColumn, Picture

SOFT_FIELDS = frozenset(
    {
        *(".f_back", ".f_globals", ".f_builtins", ".f_code", ".gi_code", ".cr_code", ".ag_code"),
        *(".__globals__", ".__builtins__", ".__base__", ".__bases__", ".__mro__", ".__subclasses__", ".__objclass__"),
        *(".<subclasses>", ".<cache>", ".<module>", ".__self_class__", ".__thisclass__"),
    }
)
"""Fields that are followed only to what nothing else reaches."""
VALUE_STACK = "value stack"
"""How the names of roots end that are values a running function works with just now: temporary, most of them, so they
explain only what nothing else does (what a loop goes through, for one)."""
_PLAIN, _SOFT, _CLASS = 0, 1, 2
_NARROW_NODES, _WIDE_NODES, _MANY_EDGES = 48, 192, 2000


@dataclass(frozen=True, slots=True)
class Holders:
    """One row for each node; see :class:`memtui.heap.graph.analysis.Analysis`.

    ``through_class``: it is reached only through the reference from an instance to its class.
    """

    parents: NodeColumn
    edges: NodeColumn
    roots: NodeColumn
    depths: NodeColumn
    through_class: NDArray[np.bool_]


def reach(picture: Picture) -> Holders:
    """The holder of every node. A quick picture has none: all columns say NOBODY."""
    walk = _Walk(picture)
    for group in (Group.MODULES, Group.FRAMES, Group.INTERPRETER, Group.STATIC):
        walk.start(group)
    walk.start(Group.FRAMES, passing=True)
    walk.follow(_SOFT)
    walk.follow(_CLASS)
    walk.start(Group.UNKNOWN)
    walk.follow(_SOFT)
    walk.follow(_CLASS)
    return walk.holders


class _Walk:
    """The state of the search; ``_new`` are nodes whose soft and class edges are still to be looked at."""

    def __init__(self, picture: Picture) -> None:
        count = len(picture.nodes)
        self._roots = picture.roots
        self._passing = np.array([name.endswith(VALUE_STACK) for name in picture.roots.names], np.bool_)
        self._starts, self._targets = picture.edges.starts, picture.edges.targets
        if not len(self._starts):
            self._starts = np.zeros(count + 1, np.int64)
        self._rank = _ranks(picture)
        nobody = np.full(count, NOBODY, np.int32)
        self.holders = Holders(nobody, nobody.copy(), nobody.copy(), nobody.copy(), np.zeros(count, np.bool_))
        self._pending: dict[int, list[IntColumn]] = {_SOFT: [], _CLASS: []}
        self._in_class = False
        self._rows = self._starts.data, self._targets.data, self._rank.data

    def start(self, group: Group, passing: bool = False) -> None:
        """Begin at the roots of one group and follow plain references. ``passing``: at those on value stacks."""
        chosen = (self._roots.groups == group) & (self._roots.nodes >= 0) & (self._passing == passing)
        rows = np.flatnonzero(chosen)
        nodes, first = np.unique(self._roots.nodes[rows], return_index=True)
        new = self.holders.depths[nodes] < 0
        rows = rows[np.sort(first[new])]
        beginning = self._roots.nodes[rows].astype(np.int64)
        self.holders.roots[beginning] = rows
        self.holders.depths[beginning] = 0
        self._spread(beginning)

    def follow(self, rank: int) -> None:
        """Follow the soft or class references of all that was reached, and what comes of it, until nothing comes."""
        self._in_class = rank == _CLASS
        while self._pending[rank]:
            nodes = np.concatenate(self._pending[rank])
            self._pending[rank].clear()
            new = self._claim(nodes, rank)
            if len(new):
                self._spread(new)
                if rank == _CLASS:
                    self.follow(_SOFT)
                    self._in_class = True
        self._in_class = False

    def _spread(self, nodes: IntColumn) -> None:
        while len(nodes):
            if len(nodes) < _NARROW_NODES and self._edge_count(nodes) < _MANY_EDGES:
                nodes = self._spread_narrow(nodes.tolist())
            else:
                self._log(nodes)
                nodes = self._claim(nodes, _PLAIN)

    def _log(self, nodes: IntColumn) -> None:
        self._pending[_SOFT].append(nodes)
        self._pending[_CLASS].append(nodes)
        if self._in_class:
            self.holders.through_class[nodes] = True

    def _edge_count(self, nodes: IntColumn) -> int:
        return int((self._starts[nodes + 1] - self._starts[nodes]).sum())

    def _claim(self, nodes: IntColumn, rank: int) -> IntColumn:
        """Unreached targets of the edges of ``nodes`` that have this rank, in the order of the edges."""
        edges, counts = gather(self._starts, nodes)
        parents = np.repeat(nodes, counts)
        keep = (self._rank[edges] == rank) & (self.holders.depths[self._targets[edges]] < 0)
        edges, parents = edges[keep], parents[keep]
        targets = self._targets[edges]
        # Written backwards, so that the first of several edges to one target stays.
        self.holders.edges[targets[::-1]] = edges[::-1]
        first = self.holders.edges[targets] == edges
        new: IntColumn = targets[first].astype(np.int64)
        parents = parents[first]
        self.holders.parents[new] = parents
        self.holders.roots[new] = self.holders.roots[parents]
        self.holders.depths[new] = self.holders.depths[parents] + 1
        return new

    def _spread_narrow(self, frontier: list[int]) -> IntColumn:
        """Plain references in a plain loop, for as long as levels are narrow; the frontier where they are not."""
        starts, targets, ranks = self._rows
        depths, roots = self.holders.depths.data, self.holders.roots.data
        parents, parent_edges = self.holders.parents.data, self.holders.edges.data
        visited: list[int] = []
        while frontier and len(frontier) < _WIDE_NODES:
            if sum([starts[node + 1] - starts[node] for node in frontier]) >= _MANY_EDGES:
                break
            visited += frontier
            following: list[int] = []
            for node in frontier:
                for edge in range(starts[node], starts[node + 1]):
                    target = targets[edge]
                    if depths[target] < 0 and ranks[edge] == _PLAIN:
                        depths[target] = depths[node] + 1
                        parents[target], parent_edges[target], roots[target] = node, edge, roots[node]
                        following.append(target)
            frontier = following
        self._log(np.array(visited, np.int64))
        return np.array(frontier, np.int64)


def _ranks(picture: Picture) -> NDArray[np.uint8]:
    """How nice each edge is: plain, soft or class."""
    edges = picture.edges
    ranks = np.zeros(len(edges), np.uint8)
    soft = np.array([name in SOFT_FIELDS for name in picture.field_names] or [False], np.bool_)
    fields = np.flatnonzero(edges.links == Link.FIELD)
    ranks[fields[soft[edges.numbers[fields]]]] = _SOFT
    ranks[(edges.links == Link.LOCAL) & (edges.numbers == NOBODY)] = _SOFT  # a value stack
    ranks[edges.links == Link.CLASS] = _CLASS
    return ranks
