"""All references between the objects of an image, with how they are held."""

from __future__ import annotations

import numpy as np

from memtui.heap.picture import NOBODY, Kind, Link
from memtui.heap.read.classes import HEAP_TYPE, Classes
from memtui.heap.read.dicts import collect_dicts, collect_instances
from memtui.heap.read.image import Image, Indices
from memtui.heap.read.layout import ABSENT, Layout
from memtui.heap.read.objects import Objects, in_front_bytes
from memtui.heap.read.owned import (
    Collector,
    Owned,
    collect_bodies,
    collect_buffers,
    collect_code_caches,
    collect_deques,
    collect_lists,
    collect_ndarrays,
    collect_sets,
    collect_tuples,
    collect_weakrefs,
)
from memtui.heap.read.stretches import Gathered, Numbering, Stretches, gather, join
from memtui.heap.read.variables import collect_frames

_COLLECTORS: tuple[Collector, ...] = (
    collect_bodies, collect_tuples, collect_lists, collect_sets, collect_deques, collect_dicts, collect_instances,
    collect_weakrefs, collect_frames, collect_buffers, collect_ndarrays, collect_code_caches,
)  # fmt: skip
_SMALLEST_INTERNED = 200
_BORROWED = {
    "functools._lru_cache_wrapper": (16, 24),
    "functools._lru_list_elem": (16, 24),
    "_thread._localdummy": (16,),
    "_thread.lock": (32,),
    "memoryview": (64,),
    "ContextVar": (32,),
    "_contextvars.ContextVar": (32,),
}
"""Fields in which a type in C remembers what it does not hold, or in which there is anything (``_functoolsmodule.c``,
``_threadmodule.c``, ``memoryobject.c``, ``context.c``)."""
_ORIGIN_OF_COROUTINES = {(3, 11): 64, (3, 12): 56, (3, 13): 56}
"""Other generators never fill this field (``genobject.c``)."""


def collect(image: Image, classes: Classes, layout: Layout, objects: Objects) -> Owned:
    """All memory that belongs to objects, and what it weighs."""
    owned = Owned(image, classes, layout, objects, [], np.zeros(len(objects), np.int64))
    for collector in _COLLECTORS:
        collector(owned)
    return owned


def find_references(owned: Owned, numbering: Numbering) -> Gathered:
    """Every reference that memory of an object holds, those to classes included, sorted by source."""
    parts = [_to_classes(owned, numbering)]
    for stretches in owned.stretches:
        found = gather(owned.image, numbering, stretches)
        parts += [_without_weak_links(owned, stretches, part) for part in found]
    edges = join(parts)
    edges = edges.where(np.argsort(edges.sources, kind="stable"))
    interned = _find_interned(owned, edges)
    return edges.where(edges.sources != interned) if interned != NOBODY else edges


def of_classes(owned: Owned, numbering: Numbering) -> Gathered:
    """Only the references that classes and their dicts hold: enough to name them."""
    types = owned.of_kind(Kind.TYPE)
    held = numbering.lookup(owned.image.words[owned.objects.index[types] + owned.layout.tp_dict // 8])
    wanted = np.concatenate([types, held[held != NOBODY]])
    parts: list[Gathered] = []
    for stretches in owned.stretches:
        some = stretches.where(np.isin(stretches.owners, wanted))
        parts += gather(owned.image, numbering, some)
    edges = join(parts)
    return edges.where(np.argsort(edges.sources, kind="stable"))


def _to_classes(owned: Owned, numbering: Numbering) -> Gathered:
    """Objects hold their class when it was made while the program ran."""
    of_class = numbering.lookup(owned.classes.addresses)
    of_class[~owned.classes.has(HEAP_TYPE)] = NOBODY
    targets = of_class[owned.objects.row]
    sources = np.flatnonzero(targets != NOBODY)
    count = len(sources)
    return Gathered(
        sources.astype(np.int32),
        targets[sources],
        np.full(count, Link.CLASS, np.uint8),
        np.full(count, NOBODY, np.int32),
    )


def total_sizes(owned: Owned) -> Indices:
    """Bytes as ``sys.getsizeof`` counts: with the collector's head, and the pointers in front of an instance."""
    classes, row = owned.classes, owned.objects.row
    in_front = in_front_bytes(classes, owned.layout)
    unmanaged = owned.objects.static & (classes.kinds[row] == Kind.TYPE)  # types written in C have no head
    return owned.objects.size_bytes + owned.extra_bytes + np.where(unmanaged, 0, in_front[row])


def _without_weak_links(owned: Owned, stretches: Stretches, part: Gathered) -> Gathered:
    """An object's list of the weak references to it holds none of them."""
    if not stretches.is_body:
        return part
    row = owned.objects.row
    part = _without_borrowed(owned, part)
    to_weakref = owned.classes.kinds[row[part.targets]] == Kind.WEAKREF
    weak = to_weakref & (part.numbers == owned.classes.weaklist_offsets[row[part.sources]])
    return part.where(~weak) if weak.any() else part


def _without_borrowed(owned: Owned, part: Gathered) -> Gathered:
    layout, kinds = owned.layout, owned.classes.kinds
    offsets = dict(_BORROWED)
    if layout.minor in _ORIGIN_OF_COROUTINES:
        offsets["generator"] = (_ORIGIN_OF_COROUTINES[layout.minor],)
    source_rows = owned.objects.row[part.sources]
    borrowed = np.zeros(len(part), bool)
    for number, one in enumerate(owned.classes.raw):
        if one.name in offsets:
            mine = np.flatnonzero(source_rows == number)
            borrowed[mine[np.isin(part.numbers[mine], offsets[one.name])]] = True
    if (
        layout.ht_getitem != ABSENT
    ):  # what the interpreter has remembered of ``__getitem__``; in 3.13 ``__init__``, too
        remembered = [layout.ht_getitem, layout.ht_getitem + 16] if layout.minor >= (3, 13) else [layout.ht_getitem]
        borrowed |= np.isin(part.numbers, remembered) & (kinds[source_rows] == Kind.TYPE)
    return part.where(~borrowed) if borrowed.any() else part


def _find_interned(owned: Owned, edges: Gathered) -> int:
    """The dict that nothing refers to and in which each key is its own value.

    Its references are not counted in the strings (``Objects/unicodeobject.c``).
    """
    count = len(owned.objects)
    kinds = owned.classes.kinds[owned.objects.row]
    held = np.bincount(edges.targets, minlength=count) > 0
    holds = np.bincount(edges.sources, minlength=count)
    for row in np.flatnonzero((kinds == Kind.DICT) & ~held & (holds > _SMALLEST_INTERNED)).tolist():
        mine = edges.of(row)
        values = mine.where(mine.links == Link.VALUE)
        if len(values) and (values.targets == values.numbers).all() and (kinds[mine.targets] == Kind.STR).all():
            return int(row)
    return NOBODY
