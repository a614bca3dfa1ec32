"""Immediate dominators of all nodes: the nearest node without which a node would be freed.

Most of a heap is no riddle: strings, numbers and whatever leads only to such nodes. These are peeled off first: again
and again the nodes that have no edges to nodes that are left. Taking off a node without edges changes no other node's
dominators, so what remains, the cycles and what leads to them, is solved alone (:mod:`semi_nca`). Then the peeled
ones are put back in the opposite order: all predecessors of a node are there before it, and its immediate dominator
is their nearest common ancestor in the dominator tree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtui.heap.graph.ancestors import Ancestors
from memtui.heap.graph.reach import Holders
from memtui.heap.graph.rows import gather, order_by, sources, starts_of
from memtui.heap.graph.semi_nca import semi_nca
from memtui.heap.picture import NOBODY, Group, IntColumn, Link, NodeColumn, Picture

_NARROW = 16
_MOST_NARROW_ROUNDS = 3000
"""What peels off only a few nodes at a time is left to the plain algorithm."""


@dataclass(frozen=True, slots=True)
class Graph:
    """References that keep something alive, from node to node. ``root`` is a node of its own, before all roots."""

    node_count: int
    root: int
    sources: NodeColumn
    targets: NodeColumn


def keeping_graph(picture: Picture, holders: Holders) -> Graph:
    """The edges that count for retained sizes.

    An instance does not keep its class alive, unless nothing but instances does. A root of the weaker groups counts
    only for what no stronger group reaches.
    """
    count, edges = len(picture.nodes), picture.edges
    reached = holders.roots != NOBODY
    edge_sources = sources(edges.starts)
    keep = reached[edge_sources] & (edge_sources != edges.targets)
    keep &= (edges.links != Link.CLASS) | holders.through_class[edges.targets]
    roots = _root_nodes(picture, holders)
    return Graph(
        count + 1,
        count,
        np.concatenate([edge_sources[keep], np.full(len(roots), count, np.int32)]),
        np.concatenate([edges.targets[keep], roots]),
    )


def _root_nodes(picture: Picture, holders: Holders) -> NodeColumn:
    rows = np.flatnonzero(picture.roots.nodes >= 0)
    nodes, groups = picture.roots.nodes[rows], picture.roots.groups[rows]
    explained_by = picture.roots.groups[holders.roots[nodes]]
    unique: NodeColumn = np.unique(nodes[(groups <= Group.FRAMES) | (groups <= explained_by)])
    return unique


def dominators(graph: Graph) -> Ancestors:
    """The dominator tree: ``parents`` are immediate dominators, -1 for nodes that the root does not reach.

    Every node with an edge must be reached from the root.
    """
    order = order_by(graph.targets)
    back_sources, back_starts = graph.sources[order], starts_of(graph.targets, graph.node_count)
    peeled, left = _peel(graph, back_sources, back_starts)
    tree = Ancestors(graph.node_count, graph.root)
    _solve_core(graph, left, tree)
    for nodes in reversed(peeled):
        _put_back(tree, nodes, back_sources, back_starts)
    return tree


def _peel(
    graph: Graph, back_sources: NodeColumn, back_starts: IntColumn
) -> tuple[list[NodeColumn], NDArray[np.bool_]]:
    """Rounds of nodes that have no edges to what is left, and what is left in the end."""
    degrees = np.bincount(graph.sources, minlength=graph.node_count)
    left = np.diff(back_starts) > 0
    left[graph.root] = True
    # The root stays.
    degrees[graph.root] += 1
    rounds: list[NodeColumn] = []
    narrow = 0
    nodes = np.flatnonzero((degrees == 0) & left).astype(np.int32)
    while len(nodes) and narrow < _MOST_NARROW_ROUNDS:
        narrow += len(nodes) < _NARROW
        left[nodes] = False
        rounds.append(nodes)
        edges, _ = gather(back_starts, nodes)
        holders, counts = _count(back_sources[edges], graph.node_count)
        degrees[holders] -= counts
        nodes = holders[degrees[holders] == 0].astype(np.int32)
    return rounds, left


def _count(nodes: NodeColumn, node_count: int) -> tuple[NodeColumn, IntColumn]:
    """The distinct nodes and how often each is there."""
    if len(nodes) * 16 < node_count:
        found, counts = np.unique(nodes, return_counts=True)
        return found, counts
    counts = np.bincount(nodes, minlength=node_count)
    found = np.flatnonzero(counts).astype(np.int32)
    return found, counts[found]


def _solve_core(graph: Graph, left: NDArray[np.bool_], tree: Ancestors) -> None:
    """Add what was not peeled to the tree."""
    members = np.flatnonzero(left).astype(np.int32)
    numbers = np.full(graph.node_count, -1, np.int32)
    numbers[members] = np.arange(len(members), dtype=np.int32)
    inside = left[graph.sources] & left[graph.targets]
    edge_sources, targets = numbers[graph.sources[inside]], numbers[graph.targets[inside]]
    order, positions = semi_nca(
        int(numbers[graph.root]),
        *_rows(edge_sources, targets, len(members)),
        *_rows(targets, edge_sources, len(members)),
    )
    tree.add_tree(members[np.array(order, np.int64)], positions)


def _rows(keys: NodeColumn, values: NodeColumn, count: int) -> tuple[list[int], list[int]]:
    return values[order_by(keys)].tolist(), starts_of(keys, count).tolist()


def _put_back(tree: Ancestors, nodes: NodeColumn, back_sources: NodeColumn, back_starts: IntColumn) -> None:
    """Add one round of peeled nodes."""
    edges, counts = gather(back_starts, nodes)
    holders = back_sources[edges]
    ends = np.cumsum(counts)
    over = holders[ends - 1]
    several = np.flatnonzero(counts > 1)
    if len(several):
        among = np.repeat(counts > 1, counts)
        sets = np.repeat(np.arange(len(several), dtype=np.int64), counts[several])
        over[several] = tree.common(holders[among], sets, len(several))
    tree.add(nodes, over)


def tree_columns(tree: Ancestors, root: int) -> tuple[NodeColumn, NodeColumn]:
    """Dominator and depth for each node but the root, which becomes NOBODY; the depth of its children is 0."""
    parents = tree.parents[:root].copy()
    parents[parents == root] = NOBODY
    depths: NodeColumn = np.where(tree.depths[:root] > 0, tree.depths[:root] - 1, NOBODY).astype(np.int32)
    return parents, depths
