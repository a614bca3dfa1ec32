"""What only the collector frees, as one picture shows it: cycles among garbage, and what is in ``gc.garbage``."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import NOBODY, Kind, Link
from memtui.heap.shelf import Shelf
from memtui.model.evidence import GrownType

_MOST_CYCLES, _MOST_TYPES, _TRIES = 4, 8, 3
_MOST_VISITED, _MOST_EDGES = 5000, 200_000
_MOST_SAVED_TYPES = 16


def cycle_paths(shelf: Shelf, types: Sequence[str]) -> tuple[str, ...]:
    """Short cycles through garbage of these types (by name), a line each: ``shop.Order.owner -> … -> back``."""
    is_lost = shelf.analysis.roots == NOBODY
    found: dict[tuple[str, ...], str] = {}
    for name in types[:_MOST_TYPES]:
        row = shelf.type_rows.get(name)
        nodes = np.flatnonzero(is_lost & (shelf.named_types == row)) if row is not None else np.zeros(0, np.int64)
        for start in nodes[:: max(1, len(nodes) // _TRIES)][:_TRIES].tolist():
            steps = _in_words(shelf, _cycle_through(shelf, start, is_lost))
            key = tuple(_masked(step) for step in steps)
            if steps and key not in found:
                found[key] = " -> ".join([*steps, "back"])
            if len(found) == _MOST_CYCLES:
                return tuple(found.values())
    return tuple(found.values())


def saved_types(shelf: Shelf) -> tuple[GrownType, ...]:
    """What is in ``gc.garbage`` by type, most objects first; empty when nothing is, or the list was not found."""
    node = _saved_list(shelf)
    if node is None:
        return ()
    edges, nodes = shelf.picture.edges, shelf.picture.nodes
    targets = edges.targets[int(edges.starts[node]) : int(edges.starts[node + 1])]
    count = len(shelf.type_names)
    counts = np.bincount(shelf.named_types[targets], minlength=count)
    sizes = np.bincount(shelf.named_types[targets], nodes.sizes[targets], minlength=count)
    rows = np.argsort(-counts, kind="stable")[:_MOST_SAVED_TYPES].tolist()
    return tuple(GrownType(shelf.type_names[row], int(counts[row]), int(sizes[row])) for row in rows if counts[row])


def _saved_list(shelf: Shelf) -> int | None:
    """The list that the name ``garbage`` stands for in the module ``gc``."""
    edges, words = shelf.picture.edges, shelf.words
    nodes, kinds = shelf.picture.nodes, shelf.picture.types.kinds
    short = np.flatnonzero((kinds[nodes.types] == Kind.STR) & (nodes.lengths == len("garbage"))).tolist()
    names = [node for node in short if words.text(node) == "garbage"]
    for edge in np.flatnonzero((edges.links == Link.VALUE) & np.isin(edges.numbers, names)).tolist():
        target = int(edges.targets[edge])
        if kinds[nodes.types[target]] == Kind.LIST and _module_name(shelf, int(shelf.sources[edge])) == "gc":
            return target
    return None


def _module_name(shelf: Shelf, namespace: int) -> str | None:
    edges, words = shelf.picture.edges, shelf.words
    for edge in range(int(edges.starts[namespace]), int(edges.starts[namespace + 1])):
        if edges.links[edge] == Link.VALUE and words.text(int(edges.numbers[edge])) == "__name__":
            return words.text(int(edges.targets[edge]))
    return None


def _cycle_through(shelf: Shelf, start: int, is_lost: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The shortest way from ``start`` back to it: each node with its edge to the next. Empty when none is near."""
    edges = shelf.picture.edges
    came_by: dict[int, tuple[int, int] | None] = {start: None}
    queue, looked_at = deque([start]), 0
    while queue and len(came_by) < _MOST_VISITED and looked_at < _MOST_EDGES:
        node = queue.popleft()
        first, end = int(edges.starts[node]), int(edges.starts[node + 1])
        looked_at += end - first
        for edge, target in enumerate(edges.targets[first : min(end, first + _MOST_EDGES)].tolist(), first):
            if target == start:
                return _way((node, edge), came_by)
            if is_lost[target] and target not in came_by:
                came_by[target] = (node, edge)
                queue.append(target)
    return []


def _way(last: tuple[int, int], came_by: dict[int, tuple[int, int] | None]) -> list[tuple[int, int]]:
    way = [last]
    while (before := came_by[way[-1][0]]) is not None:
        way.append(before)
    return way[::-1]


def _in_words(shelf: Shelf, way: list[tuple[int, int]]) -> list[str]:
    """Steps like ``type.attribute``; the dict of an object's attributes is a part of the object."""
    labels, words = shelf.labels, shelf.words
    if way and shelf.namespaces[way[0][0]] and len(way) > 1:
        way = [*way[1:], way[0]]
    steps: list[str] = []
    passed_over = False
    for number, (node, edge) in enumerate(way):
        if passed_over:
            passed_over = False
            continue
        name = None
        if labels.is_dict_field(edge) and number + 1 < len(way):
            name = labels.name_in_dict(way[number + 1][1])
        passed_over = name is not None
        steps.append(words.type_name(node) + (f".{name}" if name is not None else labels.edge(node, edge)))
    turns = [steps[at:] + steps[:at] for at in range(len(steps))]
    # The same cycle begins the same way each time, with a type of the program if there is one.
    return min(turns, key=lambda turn: ("." not in turn[0].split("[")[0].rsplit(".", 1)[0], turn), default=[])


def _masked(step: str) -> str:
    """The same for every index."""
    name, _, index = step.rpartition("[")
    return name if index[:-1].isdigit() else step
