"""Rows of edges: those of many nodes at once, and those that lead to a node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memtui.heap.picture import IntColumn, NodeColumn


def gather(starts: IntColumn, nodes: NodeColumn | IntColumn) -> tuple[IntColumn, IntColumn]:
    """The edges of ``nodes``, node after node, and how many each of them has. ``starts`` is as in ``Edges``."""
    first = starts[nodes]
    counts = starts[nodes + 1] - first
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(first - ends + counts, counts) + np.arange(total, dtype=np.int64), counts


def sources(starts: IntColumn) -> NodeColumn:
    """The source of each edge."""
    return np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))


@dataclass(frozen=True, slots=True)
class Backward:
    """Edges sorted by target: those that lead to node ``i`` are ``edges[starts[i]:starts[i + 1]]``."""

    starts: IntColumn
    edges: IntColumn


def backward(targets: NodeColumn, node_count: int) -> Backward:
    """The edges by target, in the order of their numbers."""
    return Backward(starts_of(targets, node_count), order_by(targets))


def order_by(keys: NodeColumn) -> IntColumn:
    """As a stable ``argsort`` of numbers that are not negative, and several times faster."""
    count = len(keys)
    bits = max(count - 1, 0).bit_length()
    packed = keys.astype(np.int64) << bits | np.arange(count, dtype=np.int64)
    packed.sort()
    return packed & ((1 << bits) - 1)


def starts_of(keys: NodeColumn, node_count: int) -> IntColumn:
    """Where each node's rows begin when rows are sorted by these keys; one number more, for the end."""
    starts = np.zeros(node_count + 1, np.int64)
    np.cumsum(np.bincount(keys, minlength=node_count), out=starts[1:])
    return starts
