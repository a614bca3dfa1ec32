"""Answers the questions of :class:`memtui.heap.book.HeapBook`, whose methods these are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from memtui.errors import UsageError
from memtui.heap.compare import born_and_alive, compare
from memtui.heap.graph.forest import group_sums
from memtui.heap.picture import NOBODY, Group, IntColumn, Kind, Link, NodeFlag
from memtui.heap.shelf import Shelf
from memtui.model.heap import (
    DuplicateText,
    HeapDiff,
    HeapDiffBy,
    HeapFound,
    HeapLink,
    HeapObject,
    HeapType,
    HolderChain,
    HolderPath,
    InstanceOrder,
    PictureFacts,
    TypeOrder,
)

MOST_ROWS = 10_000
_OTHERS_KEPT = 2
_SHORT_KINDS = (Kind.STR, Kind.INT, Kind.BYTES, Kind.LEAF)
_Row = TypeVar("_Row")


class Explorer:
    """One picture, and others that it is compared with."""

    def __init__(self, path: str | Path) -> None:
        self._shelf = Shelf.open(path)
        self._others: dict[tuple[str, int, int, int], Shelf] = {}

    def facts(self) -> PictureFacts:
        """Where and when it was taken."""
        return self._shelf.facts

    def types(
        self, order: TypeOrder = "retained", search: str = "", offset: int = 0, limit: int = 200
    ) -> tuple[HeapType, ...]:
        """Types, most first."""
        shelf = self._shelf
        groups, count = shelf.named_types, len(shelf.type_names)
        counts = np.bincount(groups, minlength=count)
        sizes = group_sums(groups, shelf.picture.nodes.sizes, count)
        retained = shelf.retained_by_type
        by = {"count": counts, "size": sizes, "retained": sizes if retained is None else retained}
        if order != "name" and order not in by:
            raise _no_order(order)
        rows = np.arange(count) if order == "name" else np.argsort(-by[order], kind="stable")
        words = search.casefold()
        wanted = (row for row in rows.tolist() if counts[row] and words in shelf.type_names[row].casefold())
        return tuple(
            HeapType(
                shelf.type_names[row],
                int(counts[row]),
                int(sizes[row]),
                None if retained is None else int(retained[row]),
            )
            for row in _page(wanted, offset, limit)
        )

    def instances(
        self, type_name: str, order: InstanceOrder = "retained", offset: int = 0, limit: int = 200
    ) -> tuple[HeapObject, ...]:
        """The objects of one type, most first."""
        nodes = self._of_type(type_name)
        return tuple(self._shelf.object(node) for node in _page(self._ordered(nodes, order), offset, limit))

    def object(self, node: int) -> HeapObject:
        """One object."""
        return self._shelf.object(self._shelf.check(node))

    def references(self, node: int, offset: int = 0, limit: int = 200) -> tuple[HeapLink, ...]:
        """What an object holds; keys that are read in the labels of their values are left out."""
        shelf, edges = self._shelf, self._shelf.picture.edges
        first, end = edges.starts[shelf.check(node)], edges.starts[node + 1]
        keys = edges.links[first:end] == Link.KEY
        kinds = shelf.picture.types.kinds[shelf.picture.nodes.types[edges.targets[first:end]]]
        shown = np.flatnonzero(~(keys & np.isin(kinds, _SHORT_KINDS))) + first
        return tuple(
            HeapLink(shelf.labels.edge(node, edge), shelf.object(int(edges.targets[edge])))
            for edge in _page(shown.tolist(), offset, limit)
        )

    def holders(self, node: int, offset: int = 0, limit: int = 200) -> tuple[HeapLink, ...]:
        """Everything that holds an object, first the one that explains it."""
        shelf, backward = self._shelf, self._shelf.backward
        found = backward.edges[backward.starts[shelf.check(node)] : backward.starts[node + 1]].tolist()
        if not shelf.picture.is_quick and (best := int(shelf.analysis.holder_edges[node])) != NOBODY:
            found.remove(best)
            found.insert(0, best)
        return tuple(
            HeapLink(shelf.labels.edge(source, edge), shelf.object(source))
            for edge in _page(found, offset, limit)
            for source in (int(shelf.sources[edge]),)
        )

    def chain(self, node: int) -> HolderChain:
        """The chain of holders from a named root to an object."""
        return self._shelf.chains.chain(self._shelf.check(node))

    def paths(self, type_name: str | None = None, limit: int = 50) -> tuple[HolderPath, ...]:
        """Where the objects of a type hang, most bytes first."""
        shelf = self._shelf
        sums, types = shelf.path_sums, np.array(shelf.paths.tree.types, np.int32)
        rows = np.arange(len(types)) if type_name is None else np.flatnonzero(types == self._type_row(type_name))
        ordered = rows[np.argsort(-sums.sizes[rows], kind="stable")].tolist()
        return tuple(
            HolderPath(
                shelf.paths.text(path),
                shelf.type_names[types[path]],
                int(sums.counts[path]),
                int(sums.sizes[path]),
                int(shelf.retained_by_path[path]),
                shelf.shared_holder(path),
            )
            for path in _page(ordered, 0, limit)
        )

    def retainers(self, limit: int = 50, modules: bool = False) -> tuple[HeapLink, ...]:
        """Objects that keep the most bytes alive; the dicts of objects' attributes are left out."""
        shelf = self._shelf
        shown = np.ones(len(shelf.picture.nodes), np.bool_)
        if not modules:
            shown = ~(shelf.module_parts | shelf.namespaces)
            shown[shelf.picture.roots.nodes[shelf.picture.roots.groups == Group.MODULES]] = False
        return self._with_paths(self._ordered(np.flatnonzero(shown), "retained"), limit)

    def biggest(self, limit: int = 50) -> tuple[HeapLink, ...]:
        """The largest single objects."""
        return self._with_paths(self._ordered(np.arange(len(self._shelf.picture.nodes)), "size"), limit)

    def held_from_c(self, limit: int = 50) -> tuple[HeapLink, ...]:
        """Objects that only C code holds. What lies in the data of a program or library is left out."""
        shelf = self._shelf
        groups = np.append(shelf.picture.roots.groups, Group.MODULES)[shelf.analysis.roots]
        found = (groups >= Group.STATIC) & (shelf.analysis.depths == 0)
        found &= shelf.picture.nodes.flags & NodeFlag.STATIC == 0
        return self._with_paths(self._ordered(np.flatnonzero(found), "retained"), limit)

    def duplicates(self, limit: int = 50) -> tuple[DuplicateText, ...]:
        """Texts that exist more than once."""
        shelf, rows = self._shelf, self._shelf.picture.duplicates
        every = zip(rows.nodes.tolist(), rows.counts.tolist(), rows.wasted_bytes.tolist(), strict=True)
        return tuple(
            DuplicateText(
                shelf.words.show(node) or self._nameless(node), shelf.words.type_name(node), count, wasted, node
            )
            for node, count, wasted in _page(every, 0, limit)
        )

    def diff(self, other_path: str, by: HeapDiffBy, limit: int = 100) -> HeapDiff:
        """What this picture has more than an earlier one."""
        return compare(self._other(other_path), self._shelf, by, _most(limit))

    def born_and_alive(self, b_path: str, c_path: str, limit: int = 100) -> HeapDiff:
        """What was born between this picture and B and is still alive in C."""
        return born_and_alive(self._shelf, self._other(b_path), self._other(c_path), _most(limit))

    def _other(self, path: str) -> Shelf:
        """Another picture; the last two are kept for as long as their files do not change."""
        try:
            about = os.stat(path)
        except OSError as error:
            raise UsageError(f"{path} cannot be read.", why=f"{error.strerror or error}.") from error
        key = path, about.st_ino, about.st_size, about.st_mtime_ns
        if key not in self._others:
            while len(self._others) >= _OTHERS_KEPT:
                del self._others[next(iter(self._others))]
            self._others[key] = Shelf.open(path)
        return self._others[key]

    def search(self, text: str, limit: int = 100) -> tuple[HeapFound, ...]:
        """Types, roots and texts that contain a text."""
        return tuple(_page(self._found(text), 0, limit)) if text else ()

    def _nameless(self, node: int) -> str:
        """What stands for a text that was not read."""
        length = int(self._shelf.picture.nodes.lengths[node])
        return f"<{length:,} bytes>" if length >= 0 else "?"

    def _found(self, text: str) -> Iterator[HeapFound]:
        picture, words = self._shelf.picture, text.casefold()
        for name, node in zip(picture.types.names, picture.types.nodes.tolist(), strict=True):
            if words in name.casefold():
                yield HeapFound("type", name, name, node if node != NOBODY else None)
        for name, node in zip(picture.roots.names, picture.roots.nodes.tolist(), strict=True):
            if words in name.casefold():
                yield HeapFound("root", name, self._shelf.words.type_name(node), node)
        for node in self._with_text(text):
            shown = self._shelf.words.show(node) or "?"
            yield HeapFound("text", shown, self._shelf.words.type_name(node), node)

    def _with_text(self, text: str) -> Iterator[int]:
        """Strings that contain a text; upper and lower case are the same for ASCII."""
        texts = self._shelf.picture.texts
        data, words = texts.data.tobytes().lower(), text.encode("utf-8", "replace").lower()
        position = data.find(words)
        while position >= 0:
            row = int(np.searchsorted(texts.starts, position, side="right")) - 1
            end = int(texts.starts[row + 1])
            inside = position + len(words) <= end
            if inside:
                yield int(texts.nodes[row])
            # The rest of a text that was found is passed over.
            position = data.find(words, end if inside else position + 1)

    def _of_type(self, type_name: str) -> IntColumn:
        return np.flatnonzero(self._shelf.named_types == self._type_row(type_name))

    def _type_row(self, type_name: str) -> int:
        row = self._shelf.type_rows.get(type_name)
        if row is None:
            raise UsageError(f"There is no type {type_name} in the picture {self._shelf.path}.")
        return row

    def _ordered(self, nodes: IntColumn, order: str) -> list[int]:
        """Nodes, most first."""
        columns = self._shelf.picture.nodes
        by = {"size": columns.sizes, "length": columns.lengths}
        if order == "retained":
            by["retained"] = columns.sizes if self._shelf.picture.is_quick else self._shelf.analysis.retained
        if order not in by:
            raise _no_order(order)
        ordered: list[int] = nodes[np.argsort(-by[order][nodes], kind="stable")].tolist()
        return ordered

    def _with_paths(self, nodes: Iterable[int], limit: int) -> tuple[HeapLink, ...]:
        return tuple(HeapLink(self._path(node), self._shelf.object(node)) for node in _page(nodes, 0, limit))

    def _path(self, node: int) -> str:
        return "" if self._shelf.picture.is_quick else self._shelf.chains.path(node)


def _page(rows: Iterable[_Row], offset: int, limit: int) -> Iterator[_Row]:
    start = max(offset, 0)
    return islice(rows, start, start + _most(limit))


def _most(limit: int) -> int:
    return min(max(limit, 0), MOST_ROWS)


def _no_order(order: str) -> UsageError:
    return UsageError(f"Nothing can be ordered by {order}.")
