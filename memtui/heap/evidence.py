"""What grew over several pictures of one process, holder by holder, with what each of them gained."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

from memtui.heap.cycles import cycle_paths, saved_types
from memtui.heap.graph.chains import Chains
from memtui.heap.growth import BLOCK_NAME, GrownRow, Growth
from memtui.heap.matching import moved, same_paths
from memtui.heap.picture import NOBODY, IntColumn, Kind, Link
from memtui.heap.shelf import Shelf
from memtui.model.caches import BOUND_ATTRIBUTES
from memtui.model.evidence import Evidence, GrownHolder, GrownLine, GrownType, Look

_MOST_HOLDERS = 40
_MOST_TYPES = 16
_MOST_LINES = 10
_OWNER_STEPS = 3
_MOST_SAMPLES = 3


def gather_evidence(shelves: Sequence[Shelf]) -> Evidence:
    """What the pictures tell, which are in the order of time; at least two, none of them quick."""
    last = shelves[-1]
    growth = Growth(shelves[0], last)
    looks = _Looks(shelves)
    holders = [looks.holder(row, growth) for row in growth.greatest(_MOST_HOLDERS)]
    garbage = looks.garbage()
    cycles = cycle_paths(last, [one.type for one in garbage])
    lines = _lines(shelves[0], last)
    return Evidence(looks.looks(), tuple(holders), garbage, looks.types(), lines, saved_types(last), cycles)


class _Looks:
    """Figures of all pictures by the folded paths of the last one."""

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self._shelves = shelves
        last = self._last = shelves[-1]
        count = len(last.paths.tree.parents)
        types = last.picture.types
        named = zip(types.names, types.kinds.tolist(), strict=True)
        self._metaclasses = {name for name, kind in named if kind == Kind.TYPE}
        self._sizes: list[IntColumn] = []
        self._counts: list[IntColumn] = []
        self._elements: list[IntColumn] = []
        for shelf in shelves:
            rows = same_paths(shelf, last) if shelf is not last else np.arange(count, dtype=np.int32)
            sums = shelf.path_sums
            self._sizes.append(moved(sums.sizes, rows, count))
            self._counts.append(moved(sums.counts, rows, count))
            self._elements.append(moved(sums.elements, rows, count))
        # Blocks of C memory are found by what looks like a pointer: their sizes are no evidence.
        is_block = np.array([kind == last.type_rows.get(BLOCK_NAME) for kind in last.paths.tree.types], np.bool_)
        for column in (*self._sizes, *self._counts):
            column[is_block] = 0

    def looks(self) -> tuple[Look, ...]:
        """The pictures themselves."""
        first = _seconds(self._shelves[0])
        return tuple(_look(shelf, _seconds(shelf) - first) for shelf in self._shelves)

    def holder(self, row: GrownRow, growth: Growth) -> GrownHolder:
        """One holder at each look."""
        last = self._last
        paths = sorted({*row.paths, row.holder})
        node = row.node
        chain = last.chains.chain(node)
        grown = [(path, self._counts[-1][path] - self._counts[0][path]) for path in row.paths]
        return GrownHolder(
            path=last.paths.text(row.holder),
            type=last.type_names[last.paths.tree.types[row.holder]],
            group=chain.group,
            root=chain.root,
            chain=chain.steps,
            sizes_bytes=tuple(int(column[paths].sum()) for column in self._sizes),
            objects=tuple(int(column[paths].sum()) for column in self._counts),
            elements=tuple(int(column[row.holder]) for column in self._elements) if row.is_container else None,
            bound=self._bound(node, last.chains),
            types=self._gained([path for path, more in grown if more > 0], row.holder),
            retained_bytes=int(last.analysis.retained[node]) if row.is_single else None,
            imported=growth.is_import(row.holder),
            samples=self._samples(grown),
        )

    def garbage(self) -> tuple[GrownType, ...]:
        """Types of which more objects wait for the collector."""
        return _changes(_garbage_by_type(self._shelves[0]), _garbage_by_type(self._last))

    def types(self) -> tuple[GrownType, ...]:
        """Growth by type, whoever holds them."""
        return _changes(_by_type(self._shelves[0]), _by_type(self._last))

    def _gained(self, paths: list[int], holder: int) -> tuple[GrownType, ...]:
        totals: dict[str, list[int]] = {}
        elements: set[str] = set()
        for path in paths:
            name = self._last.type_names[self._last.paths.tree.types[path]]
            if self._last.paths.tree.parents[path] == holder:
                elements.add(name)
            total = totals.setdefault(name, [0, 0])
            total[0] += int(self._counts[-1][path] - self._counts[0][path])
            total[1] += int(self._sizes[-1][path] - self._sizes[0][path])
        rows = [
            GrownType(name, count, size, name in self._metaclasses, name in elements)
            for name, (count, size) in totals.items()
            if count > 0
        ]
        return tuple(sorted(rows, key=lambda one: -one.size_bytes)[:_MOST_TYPES])

    def _samples(self, grown: list[tuple[int, int]]) -> tuple[str, ...]:
        """Some of the objects of which the holder gained most, in the order of their addresses."""
        path, more = max(grown, key=lambda one: one[1], default=(NOBODY, 0))
        if more <= 0:
            return ()
        nodes = np.flatnonzero(self._last.paths.of_node == path)
        picked = nodes[:: max(1, -(-len(nodes) // _MOST_SAMPLES))]
        return tuple(dict.fromkeys(self._last.samples.show(node) for node in picked.tolist()))

    def _bound(self, node: int, chains: Chains) -> int | None:
        """The most elements that a container, or the object that has it, allows itself."""
        limits = self._last.picture.limits
        holders = self._last.analysis.holders
        for _ in range(_OWNER_STEPS):
            if node == NOBODY:
                return None
            found = np.flatnonzero(limits.nodes == node)
            if len(found):
                return int(limits.most[found[0]])
            named = self._named_bound(node)
            if named is not None:
                return named
            node = int(holders[node])
        return None

    def _named_bound(self, node: int) -> int | None:
        picture, words = self._last.picture, self._last.words
        edges = picture.edges
        begin, end = int(edges.starts[node]), int(edges.starts[node + 1])
        if end - begin > 200:
            return None
        for edge in range(begin, end):
            link, number = edges.links[edge], int(edges.numbers[edge])
            is_named = link == Link.ATTRIBUTE or (link == Link.VALUE and self._last.namespaces[node])
            if is_named and words.text(number) in BOUND_ATTRIBUTES:
                shown = words.show(int(edges.targets[edge]))
                if shown is not None and shown.isdigit() and int(shown) > 1:
                    return int(shown)
        return None


def _look(shelf: Shelf, at_seconds: float) -> Look:
    facts = shelf.picture.facts
    allocators = facts.get("allocators") or {}
    used = [allocators.get(name) for name in ("pool_used", "heap_used")]
    free = [allocators.get(name) for name in ("pool_free", "heap_free")]
    memory = facts.get("memory") or {}
    anonymous = [memory[name] for name in ("heap", "anonymous") if name in memory]
    garbage = shelf.analysis.roots == NOBODY
    return Look(
        at_seconds=round(at_seconds, 3),
        rss_bytes=facts.get("rss_bytes"),
        anonymous_bytes=sum(anonymous) if anonymous else None,
        objects_bytes=facts["bytes"],
        objects=facts["objects"],
        garbage_bytes=int(shelf.picture.nodes.sizes[garbage].sum()),
        garbage_objects=int(garbage.sum()),
        allocated_bytes=sum(one for one in used if one is not None) if any(used) else None,
        free_bytes=sum(one for one in free if one is not None) if any(used) else None,
        stop_seconds=facts.get("stop_seconds"),
        threads=facts.get("threads"),
    )


def _seconds(shelf: Shelf) -> float:
    return datetime.fromisoformat(str(shelf.picture.facts["taken_at"]).replace("Z", "+00:00")).timestamp()


def _lines(before: Shelf, after: Shelf) -> tuple[GrownLine, ...]:
    """Lines that allocated what is alive in the later picture and was not in the earlier one."""
    old, new = (shelf.picture.extra.get("allocations") for shelf in (before, after))
    if old is None or new is None:
        return ()
    known = {tuple(one["frames"][0]): (one["size_bytes"], one["count"]) for one in old}
    grown = []
    for one in new:
        place = tuple(one["frames"][0])
        size, count = known.get(place, (0, 0))
        grown.append(GrownLine(str(place[0]), int(place[1]), one["size_bytes"] - size, one["count"] - count))
    grown.sort(key=lambda one: -one.size_bytes)
    return tuple(one for one in grown[:_MOST_LINES] if one.size_bytes > 0)


_Figures = dict[str, tuple[int, int]]


def _by_type(shelf: Shelf) -> _Figures:
    return _figures(shelf, np.ones(len(shelf.picture.nodes), np.bool_))


def _garbage_by_type(shelf: Shelf) -> _Figures:
    return _figures(shelf, shelf.analysis.roots == NOBODY)


def _figures(shelf: Shelf, counted: np.ndarray) -> _Figures:
    count = len(shelf.type_names)
    types = shelf.named_types[counted]
    counts = np.bincount(types, minlength=count).tolist()
    sizes = np.bincount(types, shelf.picture.nodes.sizes[counted], minlength=count).tolist()
    return {name: (counts[row], int(sizes[row])) for row, name in enumerate(shelf.type_names)}


def _changes(before: _Figures, after: _Figures) -> tuple[GrownType, ...]:
    rows = [
        GrownType(name, count - before.get(name, (0, 0))[0], size - before.get(name, (0, 0))[1])
        for name, (count, size) in after.items()
    ]
    grown = sorted((one for one in rows if one.objects > 0 and one.size_bytes > 0), key=lambda one: -one.size_bytes)
    return tuple(grown[: _MOST_TYPES * 3])
