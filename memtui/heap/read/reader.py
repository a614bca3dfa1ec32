"""One heap, read from an image: the steps in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from memtui.heap.facts import Facts
from memtui.heap.picture import (
    NOBODY,
    Duplicates,
    Edges,
    Kind,
    Limits,
    Link,
    NodeFlag,
    Nodes,
    Numbers,
    Picture,
    Roots,
    Texts,
    Types,
)
from memtui.heap.read.allocators import measure_allocators
from memtui.heap.read.blocks import Blocks, find_blocks, no_blocks
from memtui.heap.read.checks import Check, check_quickly, run_checks
from memtui.heap.read.classes import Classes, find_classes
from memtui.heap.read.fields import name_fields
from memtui.heap.read.image import Image, Indices
from memtui.heap.read.layout import Layout
from memtui.heap.read.naming import name_types
from memtui.heap.read.objects import Objects, find_objects
from memtui.heap.read.owned import Owned
from memtui.heap.read.references import collect, find_references, of_classes, total_sizes
from memtui.heap.read.roots import Found, Heap, find_roots
from memtui.heap.read.stretches import Gathered, Numbering, join
from memtui.heap.read.strings import Strings, find_duplicates, read_numbers

_LARGEST_COUNT = 0xFFFFFFFF
_DEQUE_MOST, _CACHE_MOST = 64, 96
"""Where a deque keeps ``maxlen`` (``_collectionsmodule.c``), a cache ``maxsize`` (``_functoolsmodule.c``)."""
_CACHE_NAME = "functools._lru_cache_wrapper"

Progress = Callable[[str], None]
"""Told the step that begins: "objects", "references", "names"."""


@dataclass(slots=True)
class Reader:
    """Reads ``image``. ``runtime`` is the address of ``_PyRuntime``, 0 when it is not known."""

    image: Image
    layout: Layout
    runtime: int
    progress: Progress = lambda step: None
    classes: Classes = field(init=False)
    objects: Objects = field(init=False)
    owned: Owned = field(init=False)
    numbering: Numbering = field(init=False)
    strings: Strings = field(init=False)
    sizes: Indices = field(init=False)

    def read(self, facts: Facts, quick: bool) -> Picture:
        """The picture. Raises :class:`RefusedError` when the memory is not laid out as it should be."""
        self.progress("objects")
        self.classes = find_classes(self.image, self.layout)
        self.objects = find_objects(self.image, self.classes, self.layout)
        self.owned = collect(self.image, self.classes, self.layout, self.objects)
        self.numbering = Numbering(self.image, self.objects.index)
        self.strings = Strings(self.image, self.classes, self.layout, self.objects)
        self.sizes = total_sizes(self.owned)
        return self._quick(facts) if quick else self._whole(facts)

    def text(self, node: int) -> str | None:
        """The beginning of the string that a node is; None when it is none."""
        return self.strings.one(node) if node != NOBODY else None

    def _heap(self, edges: Gathered) -> Heap:
        return Heap(self.image, self.classes, self.layout, self.objects, self.numbering, edges, self.text)

    def _quick(self, facts: Facts) -> Picture:
        edges, names = self._named(of_classes(self.owned, self.numbering))
        heap = self._heap(edges)
        types = name_types(heap, self.strings, names)
        checks = check_quickly(heap, self.strings)
        nothing = np.empty(0, np.int32)
        none = np.empty(0, np.int64)
        return Picture(
            facts=facts | self._counted(0, 0, None, checks),
            types=types,
            nodes=self._nodes(no_blocks(), np.zeros(len(self.objects), bool), len(types.names)),
            object_count=len(self.objects),
            edges=Edges(np.zeros(len(self.objects) + 1, np.int64), nothing, nothing.astype(np.uint8), nothing),
            roots=Roots(nothing, (), nothing.astype(np.uint8)),
            field_names=(),
            texts=Texts(nothing, np.zeros(1, np.int64), nothing.astype(np.uint8)),
            numbers=Numbers(nothing, none),
            duplicates=Duplicates(nothing, none, none),
            limits=Limits(nothing, none),
        )

    def _whole(self, facts: Facts) -> Picture:
        self.progress("references")
        edges, names = self._named(find_references(self.owned, self.numbering))
        heap = self._heap(edges)
        interpreter = self.image.word(self.runtime + self.layout.runtime_main) if self.runtime else 0
        roots = find_roots(heap, interpreter)
        found = np.bincount(edges.targets, minlength=len(self.objects))
        explained, missing = self._explain(found, roots)
        self.progress("names")
        checks = run_checks(heap, self.strings, roots.modules, explained, interpreter)
        blocks = find_blocks(heap, self.owned, missing)
        held_from_c = missing - blocks.held > 0
        for node in np.flatnonzero(held_from_c).tolist():
            roots.add_unknown(node)
        types = name_types(heap, self.strings, names)
        all_edges = join([edges, blocks.edges])
        quality = float((explained[explained >= 0] > 0).mean()) if (explained >= 0).any() else None
        return Picture(
            facts=facts | self._counted(len(blocks), len(all_edges), quality, checks),
            types=self._with_block_type(types),
            nodes=self._nodes(blocks, held_from_c, len(types.names)),
            object_count=len(self.objects),
            edges=self._columns(all_edges, len(blocks)),
            roots=roots.columns(),
            field_names=names,
            texts=self.strings.texts(),
            numbers=read_numbers(self.image, self.classes, self.layout, self.objects),
            duplicates=find_duplicates(
                self.image, self.classes, self.objects, self.strings, self.sizes, self.layout.bytes_data
            ),
            limits=self._limits(),
        )

    def _named(self, edges: Gathered) -> tuple[Gathered, tuple[str, ...]]:
        return name_fields(
            self.image, self.classes, self.layout, self.objects, edges,
            lambda address: self.text(self.numbering.one(address)),
        )  # fmt: skip

    def _counts(self) -> Indices:
        counts: Indices = self.image.words[self.objects.index].astype(np.int64)
        return counts

    def _explain(self, found: Indices, roots: Found) -> tuple[Indices, Indices]:
        """Whether each object's count is explained (-1: it has none that counts), and by how much it is too high.

        Roots count as far as they are needed: caches of the interpreter remember objects without holding them.
        """
        counts = self._counts()
        mortal = ~self.objects.static & (counts < _LARGEST_COUNT)
        most = found + roots.references
        explained = np.where(mortal, (counts >= found) & (counts <= most), -1)
        missing = np.where(mortal, np.maximum(counts - most, 0), 0)
        return explained, missing

    def _nodes(self, blocks: Blocks, held_from_c: np.ndarray, block_type: int) -> Nodes:
        counts = self._counts()
        flags = self.objects.static * NodeFlag.STATIC + self.objects.tracked * NodeFlag.TRACKED
        flags = flags + held_from_c * NodeFlag.HELD_FROM_C + (counts >= _LARGEST_COUNT) * NodeFlag.IMMORTAL
        count = len(blocks)
        return Nodes(
            np.concatenate([self.image.addresses(self.objects.index), blocks.addresses]),
            np.concatenate([self.objects.row, np.full(count, block_type)]).astype(np.int32),
            np.concatenate([self.sizes, blocks.sizes]),
            np.concatenate([counts, np.ones(count, np.int64)]).astype(np.uint32),
            np.concatenate([self._lengths(), np.full(count, -1, np.int64)]),
            np.concatenate([flags, np.zeros(count, np.int64)]).astype(np.uint8),
        )

    def _lengths(self) -> Indices:
        lengths = np.full(len(self.objects), -1, np.int64)
        layout = self.layout
        offsets = {
            Kind.STR: layout.str_length, Kind.BYTES: 16, Kind.BYTEARRAY: 16, Kind.TUPLE: 16, Kind.LIST: 16,
            Kind.DEQUE: 16, Kind.ARRAY: 16, Kind.DICT: layout.ma_used, Kind.ORDERED_DICT: layout.ma_used,
            Kind.SET: layout.set_used,
        }  # fmt: skip
        for kind, offset in offsets.items():
            rows = self.owned.of_kind(kind)
            lengths[rows] = np.maximum(self.owned.field(rows, offset), -1)
        return lengths

    def _limits(self) -> Limits:
        deques = self.owned.of_kind(Kind.DEQUE)
        is_cache = np.array([one.name == _CACHE_NAME for one in self.classes.raw], bool)[self.objects.row]
        caches = np.flatnonzero(is_cache)
        rows = np.concatenate([deques, caches])
        most = np.concatenate([self.owned.field(deques, _DEQUE_MOST), self.owned.field(caches, _CACHE_MOST)])
        return Limits(rows[most >= 0].astype(np.int32), most[most >= 0])

    def _with_block_type(self, types: Types) -> Types:
        """One more row: what blocks of C memory are."""
        return Types(
            (*types.names, "C memory"),
            np.append(types.nodes, NOBODY).astype(np.int32),
            np.append(types.bases, NOBODY).astype(np.int32),
            np.append(types.kinds, Kind.BLOCK).astype(np.uint8),
            np.append(types.is_heap_type, False),
        )

    def _columns(self, edges: Gathered, block_count: int) -> Edges:
        if block_count:
            order = np.argsort(edges.sources, kind="stable")
            edges = edges.where(order)
        starts = np.searchsorted(edges.sources, np.arange(len(self.objects) + block_count + 1))
        return Edges(starts.astype(np.int64), edges.targets, edges.links, self._with_keys(edges))

    def _with_keys(self, edges: Gathered) -> np.ndarray:
        keyed = np.isin(edges.links, [Link.VALUE, Link.ATTRIBUTE, Link.LOCAL])
        assert (edges.numbers[keyed] < len(self.objects)).all()
        return edges.numbers

    def _counted(self, blocks: int, edges: int, quality: float | None, checks: list[Check]) -> Facts:
        return {
            "objects": len(self.objects),
            "blocks": blocks,
            "edges": edges,
            "bytes": int(self.sizes.sum()),
            "allocators": measure_allocators(self.image, self.layout),
            "quality": quality,
            "checks": [[one.name, one.passed, f"{one.share:.2%} of {one.cases}"] for one in checks],
        }
