"""What the graph of a heap picture costs: analysis, file, paths, comparison; prints a table.

    python tests/benchmarks/heap_graph.py [OBJECTS ...]

The heaps are made up here, like those of an application: orders with names, numbers, lists and parents (so there are
cycles), a cache of bytes; and a linked list, the deepest of all heaps. CPU seconds of this process, and its memory.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from pictures import FIRST_ADDRESS, Heap

from memtui.heap.compare import compare
from memtui.heap.file import read_picture, write_picture
from memtui.heap.graph.analysis import analyse
from memtui.heap.graph.dominators import dominators, keeping_graph
from memtui.heap.graph.reach import reach
from memtui.heap.picture import Edges, Link, Nodes, Numbers, Picture, Texts
from memtui.heap.shelf import Shelf

_Result = TypeVar("_Result")
_ORDER = ("shop.Order", "str", "int", "list", "bytes")
_SIZES = (48, 55, 28, 88, 133)
_PARENTS = 0.3


def application(objects: int, seed: int = 0) -> Picture:
    """``objects`` of which a fifth are orders."""
    heap = Heap()
    main = heap.module("shop")
    heap.cls(main, "shop", "Order")
    orders, cache = heap.value(main, "ORDERS", heap.add("list")), heap.value(main, "CACHE", heap.add("dict"))
    name, quantity, tags, parent = (heap.text(word) for word in ("name", "quantity", "tags", "parent"))
    small = np.array([heap.number(value) for value in range(256)])
    for kind in _ORDER:
        heap.add(kind)
    start = heap.picture()
    first, count = len(start.nodes), (objects - len(start.nodes)) // len(_ORDER)
    order = first + len(_ORDER) * np.arange(count)
    chance = np.random.default_rng(seed)
    child = order[chance.random(count) < _PARENTS]
    number = np.arange(count)
    edges = [
        (orders, order, Link.ITEM, number), (cache, order + 1, Link.KEY, 0),
        (cache, order + 4, Link.VALUE, order + 1),
        (order, heap.classes["shop.Order"], Link.CLASS, 0), (order, order + 1, Link.ATTRIBUTE, name),
        (order, order + 2, Link.ATTRIBUTE, quantity), (order, order + 3, Link.ATTRIBUTE, tags),
        (order + 3, small[chance.integers(0, 256, count)], Link.ITEM, 0),
        (child, order[chance.integers(0, count, len(child))], Link.ATTRIBUTE, parent),
    ]  # fmt: skip
    return extended(start, _ORDER, _SIZES, count, edges, {orders: count, cache: count})


def linked(objects: int) -> Picture:
    """A list of half as many nodes, each with its bytes."""
    heap = Heap()
    main = heap.module("shop")
    heap.cls(main, "shop", "Node")
    head = heap.value(main, "HEAD", heap.instance("shop.Node"))
    following, payload = heap.text("next"), heap.text("payload")
    heap.add("bytes")
    start = heap.picture()
    first, count = len(start.nodes), objects // 2
    node = first + 2 * np.arange(count)
    edges = [
        (head, node[:1], Link.ATTRIBUTE, following), (node[:-1], node[1:], Link.ATTRIBUTE, following),
        (node, node + 1, Link.ATTRIBUTE, payload), (node, heap.classes["shop.Node"], Link.CLASS, 0),
    ]  # fmt: skip
    return extended(start, ("shop.Node", "bytes"), (48, 133), count, edges, {})


def extended(
    start: Picture,
    kinds: tuple[str, ...],
    sizes: tuple[int, ...],
    count: int,
    edges: list[tuple[object, object, Link, object]],
    lengths: dict[int, int],
) -> Picture:
    """A picture with ``count`` times these objects behind its own, and these edges."""
    first, more = len(start.nodes), count * len(kinds)
    rows = [
        np.repeat(np.arange(first), np.diff(start.edges.starts)),
        start.edges.targets,
        start.edges.links,
        start.edges.numbers,
    ]
    for source, target, link, number in edges:
        columns = np.broadcast_arrays(np.atleast_1d(source), target, int(link), number)
        rows = [np.concatenate(pair) for pair in zip(rows, columns, strict=True)]
    order = np.argsort(rows[0], kind="stable")
    known = np.append(start.nodes.lengths, np.full(more, -1))
    for node, length in lengths.items():
        known[node] = length
    total = first + more
    types = np.tile([start.types.names.index(kind) for kind in kinds], count)
    texts = first + 1 + len(kinds) * np.arange(count) if kinds[1] == "str" else np.zeros(0, np.int64)
    words = "".join(f"order{number:07}" for number in range(len(texts))).encode()
    return replace(
        start,
        nodes=Nodes(
            np.uint64(FIRST_ADDRESS) + np.uint64(48) * np.arange(total, dtype=np.uint64),
            np.append(start.nodes.types, types).astype(np.int32),
            np.append(start.nodes.sizes, np.tile(sizes, count)),
            np.bincount(rows[1], minlength=total).astype(np.uint32),
            known,
            np.full(total, 2, np.uint8),
        ),
        object_count=total,
        edges=Edges(
            np.searchsorted(rows[0][order], np.arange(total + 1)),
            rows[1][order].astype(np.int32), rows[2][order].astype(np.uint8), rows[3][order].astype(np.int32),
        ),
        texts=Texts(
            np.append(start.texts.nodes, texts).astype(np.int32),
            np.append(start.texts.starts[:-1], start.texts.starts[-1] + 12 * np.arange(len(texts) + 1)),
            np.append(start.texts.data, np.frombuffer(words, np.uint8)),
        ),
        numbers=Numbers(start.numbers.nodes, start.numbers.values),
    )  # fmt: skip


def timed(name: str, work: Callable[[], _Result]) -> _Result:
    """Do it and print what it took."""
    began = time.process_time()
    result = work()
    print(f"  {name:<34} {time.process_time() - began:7.2f} s CPU")
    return result


def measure(name: str, before: Picture, after: Picture, directory: Path) -> None:
    """All of it for one heap."""
    print(f"{name}: {len(after.nodes):,} objects, {len(after.edges):,} references")
    holders = timed("holders", lambda: reach(after))
    timed("dominators", lambda: dominators(keeping_graph(after, holders)))
    analysis = timed("analysis (both, and retained sizes)", lambda: analyse(after))
    path = directory / "after.memtui"
    timed("write", lambda: write_picture(path, after, analysis))
    print(f"  {'file':<34} {os.path.getsize(path) / 1e6:7.2f} MB")
    timed("read", lambda: read_picture(path))
    write_picture(directory / "before.memtui", before, analyse(before))
    one, other = (Shelf.open(directory / name) for name in ("before.memtui", "after.memtui"))
    timed("retained sizes by type", lambda: other.retained_by_type)
    timed("folded paths of all objects", lambda: (other.paths, other.path_sums, other.retained_by_path))
    timed("one chain", lambda: other.chains.path(len(after.nodes) - 1))
    timed("comparison by holder (other's paths)", lambda: compare(one, other, "holder", 100))
    fresh = [directory / name for name in ("before.memtui", "after.memtui")]
    diff = timed("comparison, from the files", lambda: compare(*map(Shelf.open, fresh), "holder", 100))
    print(f"  first row: {diff.rows[0].label}, +{diff.rows[0].count_change:,} objects" if diff.rows else "  no rows")
    most_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {'memory of this process so far':<34} {most_mib:7.0f} MiB")


def main() -> None:
    """Each number of objects in turn."""
    for objects in [int(float(word)) for word in sys.argv[1:]] or [1_000_000]:
        with tempfile.TemporaryDirectory() as directory:
            measure("application", application(objects - objects // 50), application(objects, 1), Path(directory))
            measure("linked list", linked(objects - objects // 50), linked(objects), Path(directory))


if __name__ == "__main__":
    main()
