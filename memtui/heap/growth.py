"""Which holders grew between two pictures: one row for each, the greatest first.

Nothing is called new because its address is: after some churn most addresses belong to other objects. Two things do
not suffer from that, and are put together here:

- how many objects hang on each folded holder path (``CACHE[*]``), in the one picture and in the other;
- by how much containers grew that are there in both (same address, type and path): these live long.

A path that gained objects is explained by the nearest container above it that grew by as many elements. Where none
did (a linked list), the topmost path of those that grew together names the row. So a thousand new entries with their
attributes and texts are one row, and a container in a container is told from what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from memtui.heap.graph.folds import ANY, KEYS, LOST, MODULE, NAME
from memtui.heap.matching import moved, same_paths, same_types
from memtui.heap.picture import Group, IntColumn, Kind
from memtui.heap.shelf import Shelf
from memtui.model.heap import HeapDiffRow

CONTAINERS = (Kind.LIST, Kind.DICT, Kind.ORDERED_DICT, Kind.SET, Kind.DEQUE)
_USUAL_CACHES = frozenset(
    {
        "linecache.cache",
        "sys.path_importer_cache",
        "encodings._cache",
        "re._cache",
        "re._cache2",
        "_strptime._regex_cache",
    }
)
BLOCK_NAME = "C memory"
"""The type of what is no object; see :class:`memtui.heap.picture.Kind`."""
_ENOUGH = 0.5
"""A container explains a path when it gained at least this share of the objects that the path gained."""
_ALONE = 0.9
"""One container is named, and not the path, when it has this share of what all on its path gained."""
_SMALLEST_GROWN_BYTES = 4096
"""Objects that grow without becoming more (buffers) are listed from here on."""


@dataclass(slots=True)
class _Row:
    """A holder and the paths that it explains."""

    holder: int
    is_container: bool
    paths: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class GrownRow:
    """A holder (a path of the later picture), the paths that it explains, and ``node``, an example of it.

    ``is_container``: it gained elements. ``is_single``: the example is all there is of it, or all that matters.
    """

    holder: int
    paths: tuple[int, ...]
    is_container: bool
    node: int
    is_single: bool


@dataclass(frozen=True, slots=True)
class _Grown:
    """Containers in both pictures, by path: what all gained, and the one that gained most."""

    elements: IntColumn
    most: IntColumn
    examples: IntColumn
    """In the later picture."""
    before: IntColumn
    """The same ones in the earlier picture."""


class Growth:
    """What ``after`` has more than ``before``, by holder."""

    def __init__(self, before: Shelf, after: Shelf) -> None:
        self._before, self._after = before, after
        self._tree, self._labels = after.paths.tree, after.paths.labels
        self._same = same_paths(before, after)
        count = len(self._tree.parents)
        old, new = before.path_sums, after.path_sums
        self._count_before = moved(old.counts, self._same, count)
        self._size_before = moved(old.sizes, self._same, count)
        self._elements_before = moved(old.elements, self._same, count)
        self._retained_before = moved(before.retained_by_path, self._same, count)
        self._count_change = new.counts - self._count_before
        self._size_change = new.sizes - self._size_before
        # Blocks of C memory are found by what looks like a pointer; that more of them were found is no growth.
        blocks = np.array([kind == after.type_rows.get(BLOCK_NAME) for kind in self._tree.types], np.bool_)
        self._count_change[blocks] = self._size_change[blocks] = 0
        self._grown = self._containers(count)

    def rows(self, limit: int) -> list[HeapDiffRow]:
        """The greatest growth first; last what grows in healthy programs, too (see ``_is_usual``)."""
        return [self._row(row) for row in self._greatest(limit)]

    def greatest(self, limit: int) -> list[GrownRow]:
        """The same, as paths of the later picture, and without garbage."""
        rows = []
        for row in self._greatest(limit):
            if self._kind(row.holder) == LOST:
                continue
            node, is_single = self._example(row)
            rows.append(GrownRow(row.holder, tuple(row.paths), row.is_container, node, is_single))
        return rows

    def _greatest(self, limit: int) -> list[_Row]:
        found = []
        for row in self._explained():
            self_too = {*row.paths, row.holder}
            bytes_more = sum(max(int(self._size_change[path]), 0) for path in self_too)
            if bytes_more > 0 or row.is_container:
                found.append((self._is_usual(row), -bytes_more, row.holder, row))
        found.sort(key=lambda one: one[:3])
        return [row for _, _, _, row in found[:limit]]

    def _containers(self, count: int) -> _Grown:
        """Containers that are there in both pictures, and how many elements they gained."""
        old, new = self._before.picture, self._after.picture
        here = np.flatnonzero(
            np.isin(new.types.kinds[new.nodes.types[: new.object_count]], CONTAINERS)
            & (self._after.analysis.roots[: new.object_count] >= 0)
        )
        addresses = old.nodes.addresses[: old.object_count]
        there = np.minimum(np.searchsorted(addresses, new.nodes.addresses[here]), max(old.object_count - 1, 0))
        if not old.object_count:
            here, there = here[:0], there[:0]
        old_paths = self._before.paths.of_node[there]
        same = addresses[there] == new.nodes.addresses[here]
        same &= (
            same_types(self._before, self._after)[self._before.named_types[there]] == self._after.named_types[here]
        )
        same &= self._same[old_paths] == self._after.paths.of_node[here]
        here, there = here[same], there[same]
        gained = new.nodes.lengths[here] - old.nodes.lengths[there]
        paths = self._after.paths.of_node[here]
        elements = np.zeros(count, np.int64)
        np.add.at(elements, paths, gained)
        order = np.argsort(gained, kind="stable")
        grown = _Grown(elements, *(np.zeros(count, np.int64) for _ in range(3)))
        for column, values in ((grown.most, gained), (grown.examples, here), (grown.before, there)):
            # The last one written stays: the one that gained most.
            column[paths[order]] = values[order]
        return grown

    def _explained(self) -> list[_Row]:
        """Rows, each with the paths that gained objects through it."""
        rows: dict[tuple[int, bool], _Row] = {}
        lost = self._lost()
        for path in np.flatnonzero((self._count_change > 0) & (self._size_change >= 0)).tolist():
            holder, is_container = (lost[0], False) if self._kind(path) == LOST else self._holder(path)
            rows.setdefault((holder, is_container), _Row(holder, is_container)).paths.append(path)
        for path in np.flatnonzero(self._grown.elements > 0).tolist():
            rows.setdefault((path, True), _Row(path, True))
        for path in np.flatnonzero((self._count_change == 0) & (self._size_change >= _SMALLEST_GROWN_BYTES)).tolist():
            if (path, True) not in rows:
                rows.setdefault((path, False), _Row(path, False))
        return list(rows.values())

    def _holder(self, path: int) -> tuple[int, bool]:
        """The path that explains why one gained objects, and whether it is that of their container."""
        while True:
            ends = self._tree.ends.get(path, ())
            if ends and sum(int(self._grown.elements[end]) for end in ends) >= _ENOUGH * self._count_change[path]:
                return max(ends, key=lambda end: int(self._grown.elements[end])), True
            over = self._tree.parents[path]
            if over < 0:
                return path, False
            is_element = self._kind(path) in (ANY, KEYS)
            if is_element and self._grown.elements[over] >= _ENOUGH * self._count_change[path]:
                return over, True
            if self._count_change[over] <= 0:
                return (over, True) if is_element else (path, False)
            path = over

    def _lost(self) -> list[int]:
        """Paths of garbage, which are one row: a cycle is objects of several types. The greatest growth first."""
        lost = [path for path, over in enumerate(self._tree.parents) if over < 0 and self._kind(path) == LOST]
        return sorted(lost, key=lambda path: -int(self._size_change[path]))

    def _kind(self, path: int) -> int:
        return self._labels[self._tree.labels[path]][0]

    def _is_usual(self, row: _Row) -> bool:
        """Newly imported modules, caches of the standard library, variables of functions that began meanwhile."""
        if self.is_import(row.holder):
            return True
        path, after = row.holder, self._after
        while (over := self._tree.parents[path]) >= 0:
            if self._kind(path) == NAME and after.paths.text(path) in _USUAL_CACHES:
                return True
            path = over
        if self._kind(path) == LOST or self._count_before[path]:
            return False
        root = int(after.analysis.roots[after.path_sums.examples[path]])
        return bool(after.picture.roots.groups[root] == Group.FRAMES)

    def is_import(self, path: int) -> bool:
        """Whether a path begins in a module that was not there before."""
        while path >= 0:
            if self._kind(path) == MODULE:
                return bool(self._count_before[path] == 0)
            path = self._tree.parents[path]
        return False

    def _row(self, row: _Row) -> HeapDiffRow:
        after, path = self._after, row.holder
        paths = sorted({*row.paths, path})
        node, one = self._example(row)
        before = int(self._grown.before[path]) if one and row.is_container else None
        kind = after.type_names[self._tree.types[path]]
        holds = self._kind(path) != LOST and after.words.kind(node) in CONTAINERS
        sums = after.path_sums
        elements = int(after.picture.nodes.lengths[node] if one else sums.elements[path])
        return HeapDiffRow(
            label=after.chains.path(node) if one else after.paths.text(path),
            count_before=int(self._count_before[paths].sum()),
            count_after=int(sums.counts[paths].sum()),
            size_before_bytes=int(self._size_before[paths].sum()),
            size_after_bytes=int(sums.sizes[paths].sum()),
            retained_before_bytes=int(
                self._retained_before[path] if before is None else self._before.analysis.retained[before]
            ),
            retained_after_bytes=int(after.analysis.retained[node] if one else after.retained_by_path[path]),
            elements_before=self._elements(path, before) if holds else None,
            elements_after=elements if holds else None,
            new=bool(self._count_before[path] == 0),
            node=node,
            type=kind,
        )

    def _elements(self, path: int, before: int | None) -> int:
        return int(self._elements_before[path] if before is None else self._before.picture.nodes.lengths[before])

    def _example(self, row: _Row) -> tuple[int, bool]:
        """An object of the holder's path in the later picture, and whether it speaks for all of them."""
        path = row.holder
        most = int(self._grown.most[path])
        if row.is_container and most > 0 and most >= _ALONE * int(self._grown.elements[path]):
            return int(self._grown.examples[path]), True
        return int(self._after.path_sums.examples[path]), bool(self._after.path_sums.counts[path] == 1)
