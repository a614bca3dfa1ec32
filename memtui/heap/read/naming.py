"""Full names of classes: ``shop.cart.Order`` from the ``Order`` that a class written in Python has in C."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import Link, Types
from memtui.heap.read.classes import HEAP_TYPE
from memtui.heap.read.roots import Heap
from memtui.heap.read.strings import Strings


def name_types(heap: Heap, strings: Strings, field_names: tuple[str, ...]) -> Types:
    """The table of types, by the addresses of the classes."""
    classes = heap.classes
    nodes = heap.numbering.lookup(classes.addresses)
    modules = _modules(heap, strings, field_names)
    names = []
    for row, one in enumerate(classes.raw):
        name = one.name
        node = int(nodes[row])
        if one.flags & HEAP_TYPE and node >= 0:
            qualified = heap.text(heap.at(one.address + heap.layout.ht_qualname)) or name
            module = modules.get(node)
            name = f"{module}.{qualified}" if module and module != "builtins" else qualified
        names.append(name)
    return Types(
        tuple(names), nodes.astype(np.int32), classes.bases.astype(np.int32), classes.kinds, classes.has(HEAP_TYPE)
    )


def _modules(heap: Heap, strings: Strings, field_names: tuple[str, ...]) -> dict[int, str]:
    """For each class that has one in its dict: its ``__module__``."""
    edges = heap.edges
    wanted = [
        row for row, start in zip(strings.rows.tolist(), _is_module_key(strings).tolist(), strict=True) if start
    ]
    is_key = np.zeros(len(heap.objects), bool)
    is_key[wanted] = True
    values = edges.where((edges.links == Link.VALUE) & (edges.numbers >= 0))
    values = values.where(is_key[values.numbers])
    module_of = dict(zip(values.sources.tolist(), values.targets.tolist(), strict=True))
    number = field_names.index(".__dict__") if ".__dict__" in field_names else -1
    dicts = edges.where((edges.links == Link.FIELD) & (edges.numbers == number))
    of_types = dicts.where(np.isin(dicts.sources, heap.numbering.lookup(heap.classes.addresses)))
    found: dict[int, str] = {}
    for node, attributes in zip(of_types.sources.tolist(), of_types.targets.tolist(), strict=True):
        text = heap.text(module_of[attributes]) if attributes in module_of else None
        if text:
            found[node] = text
    return found


def _is_module_key(strings: Strings) -> NDArray[np.bool_]:
    """Which strings are ``__module__``."""
    wanted = b"__module__"
    likely = strings.ascii & (strings.length == len(wanted))
    likely[likely] &= strings.image.words[strings.start[likely]] == np.frombuffer(wanted[:8], np.uint64)[0]
    likely[likely] &= strings.image.words[strings.start[likely] + 1] & np.uint64(0xFFFF) == int.from_bytes(
        wanted[8:], "little"
    )
    flags: NDArray[np.bool_] = likely
    return flags
