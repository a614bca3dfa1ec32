"""Dominators and retained sizes beside the plainest way to find them: take a node away and look what is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import Heap

from memtui.heap.graph import dominators as module
from memtui.heap.graph.analysis import analyse
from memtui.heap.graph.dominators import Graph, dominators, keeping_graph
from memtui.heap.graph.forest import Forest
from memtui.heap.graph.reach import reach
from memtui.heap.picture import NOBODY, Edges, Group, Link, Picture, Roots

Pairs = list[tuple[int, int]]


def reached(root: int, edges: Pairs, without: int | None = None) -> set[int]:
    """What a search from the root finds when one node is taken away."""
    following: dict[int, list[int]] = {}
    for source, target in edges:
        following.setdefault(source, []).append(target)
    found, waiting = {root}, [root]
    while waiting:
        for target in following.get(waiting.pop(), ()):
            if target not in found and target != without:
                found.add(target)
                waiting.append(target)
    return found


def naive_dominators(root: int, edges: Pairs) -> dict[int, int]:
    """Immediate dominators by definition: of all that dominate a node, the one that the others dominate."""
    every = reached(root, edges)
    lost = {node: every - reached(root, edges, node) if node != root else every for node in every}
    return {
        node: min((one for one in every if one != node and node in lost[one]), key=lambda one: len(lost[one]))
        for node in every - {root}
    }


def graph_of(node_count: int, root: int, edges: Pairs) -> Graph:
    """The edges that the root reaches, without loops of one node."""
    every = reached(root, edges)
    kept = [(a, b) for a, b in edges if a in every and a != b and b != root]
    columns = np.array(kept, np.int32).reshape(-1, 2)
    return Graph(node_count, root, columns[:, 0].copy(), columns[:, 1].copy())


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Pairs]:
    """Node 0 is the root. Loops, double edges, cycles and unreached nodes are among them."""
    count = draw(st.integers(2, 14))
    node = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(node, node), max_size=3 * count))
    line = draw(st.integers(0, count - 1))
    return count, [*pairs, *((one, one + 1) for one in range(line))]


@pytest.mark.parametrize("narrow_rounds", [0, 1, 3000])
@settings(max_examples=600, deadline=None)
@given(graphs())
def test_equal_to_the_definition(narrow_rounds: int, graph: tuple[int, Pairs]) -> None:
    count, edges = graph
    with pytest.MonkeyPatch.context() as patch:
        # With fewer rounds of peeling more is left to the plain algorithm.
        patch.setattr(module, "_MOST_NARROW_ROUNDS", narrow_rounds)
        tree = dominators(graph_of(count, 0, edges))
    found = {node: int(over) for node, over in enumerate(tree.parents) if over >= 0 and node != 0}
    assert found == naive_dominators(0, edges)


def random_picture(edges: list[tuple[int, int, int]], roots: list[tuple[int, int]], count: int) -> Picture:
    """Objects of types A and B (every third one is a class) with plain and class references."""
    heap = Heap()
    for node in range(count):
        heap.add("type" if node % 3 == 2 else "AB"[node % 2], size=2**node)
    for source, target, link in edges:
        heap.link(source, Link(link), target)
    for node, group in roots:
        heap.root(node, f"root {node}", Group(group))
    return heap.picture()


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    count = draw(st.integers(1, 12))
    node = st.integers(0, count - 1)
    links = st.sampled_from([Link.ITEM, Link.CLASS])
    edges = draw(st.lists(st.tuples(node, node, links), max_size=30))
    roots = draw(st.lists(st.tuples(node, st.sampled_from(list(Group))), max_size=5))
    return random_picture(edges, roots, count)


@settings(max_examples=600, deadline=None)
@given(pictures())
def test_what_goes_with_a_node_is_what_it_retains(picture: Picture) -> None:
    analysis, graph = analyse(picture), keeping_graph(picture, reach(picture))
    edges = list(zip(graph.sources.tolist(), graph.targets.tolist(), strict=True))
    every = reached(graph.root, edges)
    # All that any root reaches is in the graph, by whatever kind of reference.
    assert every - {graph.root} == set(np.flatnonzero(analysis.roots >= 0).tolist())
    for node in range(len(picture.nodes)):
        lost = every - reached(graph.root, edges, node) if node in every else {node}
        assert int(analysis.retained[node]) == sum(int(picture.nodes.sizes[one]) for one in lost)


@settings(max_examples=300, deadline=None)
@given(pictures())
def test_a_type_retains_what_its_outermost_objects_do(picture: Picture) -> None:
    analysis = analyse(picture)
    expected = np.zeros(len(picture.types.names), np.int64)
    types = picture.nodes.types
    for node in range(len(types)):
        above = int(analysis.dominators[node])
        while above != NOBODY and types[above] != types[node]:
            above = int(analysis.dominators[above])
        if above == NOBODY:
            expected[types[node]] += analysis.retained[node]
    assert np.array_equal(Forest(analysis).retained_by_group(types, len(expected)), expected)


def test_a_chain_of_many_nodes() -> None:
    count = 60_000
    picture = random_picture([], [(0, Group.MODULES)], 3)
    steps = np.arange(count, dtype=np.int32)
    there_and_back = np.stack([steps[:-1], steps[1:], steps[1:], steps[:-1]]).reshape(2, 2, -1)
    for pairs in (there_and_back[:1], there_and_back):
        # Alone, and as a doubly linked list.
        sources = pairs[:, 0].ravel()
        order = np.argsort(sources, kind="stable")
        long = replace(
            picture,
            nodes=replace(
                picture.nodes,
                **{name: np.ones(count, np.int64) for name in ("sizes", "lengths")},
                **{name: np.zeros(count, np.int32) for name in ("types", "flags", "reference_counts")},
                addresses=np.arange(count, dtype=np.uint64),
            ),
            edges=Edges(
                np.searchsorted(sources[order], np.arange(count + 1)),
                pairs[:, 1].ravel()[order],
                np.full(len(order), Link.ITEM, np.uint8),
                np.zeros(len(order), np.int32),
            ),
            roots=Roots(np.zeros(1, np.int32), ("sys.modules",), np.zeros(1, np.uint8)),
        )
        analysis = analyse(long)
        assert np.array_equal(analysis.retained, count - np.arange(count))
        assert np.array_equal(analysis.depths, np.arange(count))


def test_an_instance_does_not_keep_its_class() -> None:
    heap = Heap()
    namespace = heap.module("shop")
    heap.cls(namespace, "shop", "Order")
    order = heap.value(namespace, "ORDER", heap.instance("shop.Order"))
    analysis = analyse(heap.picture())
    assert int(analysis.retained[order]) == heap.sizes[order]


def test_a_class_that_only_its_instances_hold_goes_with_them() -> None:
    heap = Heap()
    namespace = heap.module("shop")
    local = heap.classes["shop.Local"] = heap.add("type", 1000)
    inside = heap.field(local, "__dict__", heap.add("dict", 200))
    pair = [heap.instance("shop.Local") for _ in range(2)]
    heap.items(heap.value(namespace, "PAIR", heap.add("list")), pair[:1])
    analysis = analyse(heap.picture())
    assert int(analysis.retained[pair[0]]) == heap.sizes[pair[0]] + 1200
    assert int(analysis.dominators[inside]) == local
    assert int(analysis.roots[pair[1]]) == NOBODY


def test_a_weaker_root_counts_only_where_no_stronger_reaches() -> None:
    heap = Heap()
    namespace = heap.module("shop")
    cache = heap.value(namespace, "CACHE", heap.add("dict"))
    entry = heap.value(cache, "one", heap.add("list", 100))
    heap.root(entry, "C variable", Group.STATIC)
    lone = heap.root(heap.add("list", 100), "C variable", Group.STATIC)
    heap.root(cache, "thread 1 main() local 'cache'", Group.FRAMES)
    analysis = analyse(heap.picture())
    assert int(analysis.dominators[entry]) == cache
    assert int(analysis.dominators[lone]) == NOBODY
    # A running function holds the cache, too: the module alone does not keep it.
    assert int(analysis.dominators[cache]) == NOBODY
