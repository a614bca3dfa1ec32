"""What is computed once for a picture and kept with it in the file."""

from __future__ import annotations

from dataclasses import dataclass

from memtui.heap.graph.dominators import dominators, keeping_graph, tree_columns
from memtui.heap.graph.levels import Levels, sum_up
from memtui.heap.graph.reach import reach
from memtui.heap.picture import IntColumn, NodeColumn, Picture


@dataclass(frozen=True, slots=True)
class Analysis:
    """One row for each node of a picture."""

    holders: NodeColumn
    """The node that explains why it is alive, on the shortest nice path; NOBODY at roots and for garbage."""
    holder_edges: NodeColumn
    """The edge by which it does; NOBODY as above."""
    roots: NodeColumn
    """Row in ``Roots`` where the path begins; NOBODY for what no root reaches: garbage."""
    depths: NodeColumn
    """Steps from the root; 0 at the root, -1 for garbage."""
    dominators: NodeColumn
    """The nearest node without which it would be freed; NOBODY when no single node keeps it."""
    retained: IntColumn
    """Bytes that would be freed with it: its own and those of all that it dominates."""


def analyse(picture: Picture) -> Analysis:
    """Holders, dominators and retained sizes of a picture that is not quick.

    Garbage that waits for the collector has neither holder nor dominator, and retains its own size.
    """
    holders = reach(picture)
    graph = keeping_graph(picture, holders)
    over, depths = tree_columns(dominators(graph), graph.root)
    return Analysis(
        holders.parents,
        holders.edges,
        holders.roots,
        holders.depths,
        over,
        sum_up(over, Levels(depths), picture.nodes.sizes),
    )
