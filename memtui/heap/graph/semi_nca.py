"""Immediate dominators by SEMI-NCA.

L. Georgiadis, R. E. Tarjan, R. F. Werneck: *Finding dominators in practice*, Journal of Graph Algorithms and
Applications 10 (2006). Semidominators as Lengauer and Tarjan find them, with path compression; then the dominator of
a node is the nearest common ancestor of its parent and its semidominator in the tree built so far.
"""

from __future__ import annotations


def semi_nca(
    root: int, successors: list[int], starts: list[int], predecessors: list[int], back_starts: list[int]
) -> tuple[list[int], list[int]]:
    """Nodes in the order of a depth-first search from ``root``, and for each the position of its dominator there.

    The successors of node ``i`` are ``successors[starts[i]:starts[i + 1]]``; its predecessors likewise. Position 0 is
    the root, whose dominator is 0. Nothing here recurses.
    """
    numbers, order, parents = _search(root, successors, starts)
    semi = list(range(len(order)))
    labels = semi[:]
    ancestors = [-1] * len(order)
    for position in range(len(order) - 1, 0, -1):
        node = order[position]
        best = parents[position]
        for source in predecessors[back_starts[node] : back_starts[node + 1]]:
            other = numbers[source]
            if other > position:
                if ancestors[ancestors[other]] >= 0:
                    _compress(other, ancestors, labels, semi)
                other = semi[labels[other]]
            if 0 <= other < best:
                best = other
        semi[position] = best
        ancestors[position] = parents[position]
    dominators = parents
    for position in range(1, len(order)):
        above, best = dominators[position], semi[position]
        while above > best:
            above = dominators[above]
        dominators[position] = above
    dominators[0] = 0
    return order, dominators


def _search(root: int, successors: list[int], starts: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Position of each node in the order of the search (-1: not reached), the order, and each one's parent there."""
    numbers = [-1] * (len(starts) - 1)
    order: list[int] = []
    parents: list[int] = []
    stack, stack_parents = [root], [-1]
    while stack:
        node, parent = stack.pop(), stack_parents.pop()
        if numbers[node] >= 0:
            continue
        number = numbers[node] = len(order)
        order.append(node)
        parents.append(parent)
        for following in successors[starts[node] : starts[node + 1]]:
            if numbers[following] < 0:
                stack.append(following)
                stack_parents.append(number)
    return numbers, order, parents


def _compress(start: int, ancestors: list[int], labels: list[int], semi: list[int]) -> None:
    """Hang all on the way up directly under the topmost linked node but one, and give them the best label met."""
    path = []
    node = start
    while ancestors[ancestors[node]] >= 0:
        path.append(node)
        node = ancestors[node]
    for node in reversed(path):
        above = ancestors[node]
        if semi[labels[above]] < semi[labels[node]]:
            labels[node] = labels[above]
        ancestors[node] = ancestors[above]
