"""Who holds an object, in words: chains of single objects and folded paths of many."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pictures import Heap

from memtui.heap.graph import paths as paths_module
from memtui.heap.graph.analysis import analyse
from memtui.heap.graph.chains import GARBAGE, MAX_STEPS
from memtui.heap.graph.reach import reach
from memtui.heap.picture import NOBODY, Group, Link
from memtui.heap.shelf import Shelf


def shelf(heap: Heap) -> Shelf:
    return Shelf(Path("shop.memtui"), heap.picture(), None)


def texts(heap: Heap, node: int) -> tuple[str, str]:
    """The path of an object, exact and folded."""
    one = shelf(heap)
    return one.chains.path(node), one.paths.text(int(one.paths.of_node[node]))


@pytest.fixture
def heap() -> Heap:
    return Heap()


@pytest.fixture
def main(heap: Heap) -> int:
    """The namespace of ``__main__``."""
    return heap.module("__main__")


def test_entries_of_a_cache(heap: Heap) -> None:
    cache = heap.value(heap.module("shop.cache"), "CACHE", heap.add("dict"))
    rows = heap.value(cache, "k17", heap.add("list"))
    heap.item(rows, heap.add("float"))
    order = heap.item(rows, heap.add("shop.Order"))
    assert texts(heap, order) == ("shop.cache.CACHE['k17'][1]", "shop.cache.CACHE[*][*]")
    assert texts(heap, rows) == ("shop.cache.CACHE['k17']", "shop.cache.CACHE[*]")


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("it's", '["it\'s"]'),
        ("a" * 41, "['" + "a" * 37 + "...']"),
        ("esc\x1b[31m\n", r"['esc\x1b[31m\n']"),
        ("", "['']"),
    ],
)
def test_keys_are_short_and_harmless(heap: Heap, main: int, key: str, shown: str) -> None:
    entry = heap.value(heap.value(main, "CACHE", heap.add("dict")), key, heap.add("list"))
    assert texts(heap, entry)[0] == f"__main__.CACHE{shown}"


def test_keys_that_are_no_texts(heap: Heap, main: int) -> None:
    cache = heap.value(main, "CACHE", heap.add("dict"))
    by_number = heap.value(cache, heap.number(-12), heap.add("list"))
    by_object = heap.value(cache, heap.add("shop.Key"), heap.add("list"))
    by_nothing = heap.link(cache, Link.VALUE, heap.add("list"), NOBODY)
    assert texts(heap, by_number)[0] == "__main__.CACHE[-12]"
    assert texts(heap, by_object)[0] == "__main__.CACHE[<Key>]"
    assert texts(heap, by_nothing)[0] == "__main__.CACHE[?]"


def test_attributes_of_classes_and_instances(heap: Heap, main: int) -> None:
    items = heap.value(heap.cls(main, "__main__", "Registry"), "items", heap.add("list"))
    entry = heap.item(items, heap.instance("__main__.Registry"))
    inline = heap.attribute(entry, "rows", heap.add("list"))
    names = heap.field(entry, "__dict__", heap.add("dict"))
    in_dict = heap.value(names, "state", heap.add("set"))
    odd = heap.value(names, "no name", heap.add("set"))
    assert texts(heap, inline) == ("__main__.Registry.items[0].rows", "__main__.Registry.items[*].rows")
    assert texts(heap, in_dict) == ("__main__.Registry.items[0].state", "__main__.Registry.items[*].state")
    assert texts(heap, odd)[0] == "__main__.Registry.items[0].__dict__['no name']"


def test_an_attribute_dict_that_is_used_as_a_cache_is_folded(heap: Heap, main: int) -> None:
    owner = heap.value(main, "owner", heap.add("Box"))
    names = heap.field(owner, "__dict__", heap.add("dict"))
    entries = [heap.value(names, f"k{number}", heap.add("list")) for number in range(600)]
    assert texts(heap, entries[7]) == ("__main__.owner.k7", "__main__.owner.__dict__[*]")


def test_a_closure(heap: Heap, main: int) -> None:
    handler = heap.value(main, "handler", heap.add("function"))
    cell = heap.item(heap.field(handler, "__closure__", heap.add("tuple")), heap.add("cell"))
    entry = heap.item(heap.field(cell, "cell_contents", heap.add("list")), heap.add("float"))
    assert texts(heap, entry) == (
        "__main__.handler.__closure__[0].cell_contents[0]",
        "__main__.handler.__closure__[*].cell_contents[*]",
    )


def test_variables_of_threads_frames_and_coroutines(heap: Heap, main: int) -> None:
    mine = heap.root(heap.add("list"), "thread 4242 worker() local 'mine'", Group.FRAMES)
    entry = heap.item(mine, heap.add("float"))
    frame = heap.value(main, "frame", heap.add("frame"))
    local = heap.link(frame, Link.LOCAL, heap.add("float"), heap.text("rows"))
    stacked = heap.link(frame, Link.LOCAL, heap.add("float"), NOBODY)
    waiting = heap.link(heap.value(main, "waiting", heap.add("set")), Link.ELEMENT, heap.add("coroutine"))
    awaited = heap.link(waiting, Link.LOCAL, heap.add("float"), heap.text("order"))
    assert texts(heap, entry) == ("thread 4242 worker() local 'mine'[0]", "thread 4242 worker() local 'mine'[*]")
    assert texts(heap, local)[0] == "__main__.frame.f_locals['rows']"
    assert texts(heap, stacked)[0] == "__main__.frame.<value stack>"
    assert texts(heap, awaited) == (
        "__main__.waiting{<coroutine>}.cr_frame.f_locals['order']",
        "__main__.waiting[*].cr_frame.f_locals['order']",
    )


def test_attributes_of_a_thread_local(heap: Heap, main: int) -> None:
    heap.fields.append("<per thread>")
    local = heap.value(main, "tl", heap.add("_thread._local"))
    threads = heap.link(local, Link.FIELD, heap.add("dict"), len(heap.fields) - 1)
    names = heap.value(threads, heap.add("weakref.ReferenceType"), heap.add("dict"))
    entry = heap.item(heap.value(names, "buf", heap.add("list")), heap.add("float"))
    assert texts(heap, entry) == ("__main__.tl<per thread>.buf[0]", "__main__.tl<per thread>.buf[*]")


def test_where_no_name_is_known_the_type_helps(heap: Heap, main: int) -> None:
    inside = heap.field(heap.value(main, "tl", heap.add("_local")), "<+48>", heap.add("shop.Order"))
    memory = heap.link(inside, Link.MEMORY, heap.add("shop.Part"), 72)
    assert texts(heap, memory) == (
        "__main__.tl.<+48><Order>.<memory+72><Part>",
        "__main__.tl.<+48>.<memory>",
    )


@pytest.mark.parametrize("in_dict", [False, True])
def test_repeats_are_folded(heap: Heap, main: int, in_dict: bool) -> None:
    node = heap.value(main, "HEAD", heap.add("Node"))
    for _ in range(498):
        holder = heap.field(node, "__dict__", heap.add("dict")) if in_dict else node
        hold = heap.value if in_dict else heap.attribute
        node = hold(holder, "next", heap.add("Node"))
    payload = heap.attribute(node, "payload", heap.add("bytes"))
    assert texts(heap, payload) == ("__main__.HEAD.next{x498}.payload", "__main__.HEAD(.next)*.payload")


def test_a_tree_is_one_path(heap: Heap, main: int) -> None:
    level = [heap.value(main, "ROOT", heap.add("Tree"))]
    for _ in range(6):
        level = [heap.attribute(node, side, heap.add("Tree")) for node in level for side in ("left", "right")]
    one = shelf(heap)
    assert {one.paths.text(int(one.paths.of_node[node])) for node in level} == {"__main__.ROOT(.left|.right)*"}
    assert one.chains.path(level[0]) == "__main__.ROOT.left{x6}"


def test_containers_in_containers_end_somewhere(heap: Heap, main: int) -> None:
    node = heap.value(main, "DATA", heap.add("list"))
    for _ in range(3000):
        node = heap.item(node, heap.add("list"))
    one = shelf(heap)
    assert one.paths.text(int(one.paths.of_node[node])) == "__main__.DATA" + 6 * "[*]"
    assert len(one.paths.tree.parents) < 20


def test_a_chain_without_rhythm_is_cut(heap: Heap, main: int) -> None:
    node = heap.value(main, "START", heap.add("Node"))
    for number in range(5000):
        node = heap.attribute(node, f"n{number * number}", heap.add("Node"))
    chain = shelf(heap).chains.chain(node)
    assert len(chain.path) < 1000
    assert "more…" in chain.path
    assert MAX_STEPS // 2 < len(chain.steps) <= MAX_STEPS + 2
    assert chain.steps[-1].node == node
    assert [step.node for step in chain.steps].count(NOBODY) == 1


def test_a_chain_of_very_many_steps() -> None:
    heap = Heap()
    node = heap.value(heap.module("__main__"), "HEAD", heap.add("Node"))
    name, count = heap.text("next"), 100_000
    first = len(heap.types)
    heap.types += ["Node"] * count
    heap.sizes += [48] * count
    nodes = [node, *range(first, first + count)]
    heap.held += [(one, Link.ATTRIBUTE, other, name) for one, other in pairwise(nodes)]
    assert texts(heap, nodes[-1]) == (f"__main__.HEAD.next{{x{count}}}", "__main__.HEAD(.next)*")


def test_steps_for_a_tree(heap: Heap, main: int) -> None:
    heap.cls(main, "__main__", "Bus")
    bus = heap.value(main, "bus", heap.instance("__main__.Bus"))
    waiting = heap.attribute(bus, "listeners", heap.add("list"))
    chain = shelf(heap).chains.chain(waiting)
    assert (chain.path, chain.root, chain.group) == ("__main__.bus.listeners", "sys.modules", "modules")
    assert [(step.label, step.type) for step in chain.steps] == [
        ("__main__", "module"), (".bus", "__main__.Bus"), (".listeners", "list"),
    ]  # fmt: skip
    assert chain.steps[-1].node == waiting


def test_garbage_has_no_holder(heap: Heap, main: int) -> None:
    lost = heap.add("list")
    heap.item(lost, lost)
    chain = shelf(heap).chains.chain(lost)
    assert chain.path == GARBAGE
    assert [step.node for step in chain.steps] == [lost]


def test_the_first_group_that_reaches_explains(heap: Heap, main: int) -> None:
    shared = heap.add("list")
    for name, group in (
        ("C code", Group.UNKNOWN),
        ("C variable", Group.STATIC),
        ("thread 1 f() local 'x'", Group.FRAMES),
    ):
        heap.root(shared, name, group)
    assert texts(heap, shared)[0] == "thread 1 f() local 'x'"
    heap.item(heap.value(main, "DEEP", heap.add("list")), shared)
    assert texts(heap, shared)[0] == "__main__.DEEP[0]"


def test_classes_and_callers_explain_only_what_nothing_else_does(heap: Heap, main: int) -> None:
    heap.classes["Local"] = heap.add("type")
    one = heap.value(main, "one", heap.instance("Local"))
    frame = heap.value(main, "frame", heap.add("frame"))
    caller = heap.field(frame, "f_back", heap.add("frame"))
    rows = heap.link(caller, Link.LOCAL, heap.add("list"), heap.text("rows"))
    assert texts(heap, heap.classes["Local"])[0] == "__main__.one.__class__"
    assert texts(heap, rows)[0] == "__main__.frame.f_back.f_locals['rows']"
    heap.root(rows, "thread 1 main() local 'rows'", Group.FRAMES)
    heap.root(heap.classes["Local"], "C variable", Group.STATIC)
    assert texts(heap, heap.classes["Local"])[0] == "C variable"
    assert texts(heap, rows)[0] == "thread 1 main() local 'rows'"
    assert one


def test_what_a_function_works_with_just_now_explains_only_what_nothing_else_does(heap: Heap, main: int) -> None:
    span, other = heap.add("list"), heap.add("list")
    for one in (span, other):
        heap.root(one, "thread 1 f() value stack", Group.FRAMES)
    heap.root(span, "thread 1 context", Group.INTERPRETER)
    frame = heap.value(main, "frame", heap.add("frame"))
    rows = heap.link(frame, Link.LOCAL, heap.add("list"), NOBODY)
    assert texts(heap, span)[0] == "thread 1 context"
    assert texts(heap, other)[0] == "thread 1 f() value stack"
    assert texts(heap, rows)[0] == "__main__.frame.<value stack>"
    heap.root(rows, "thread 1 main() local 'rows'", Group.FRAMES)
    assert texts(heap, rows)[0] == "thread 1 main() local 'rows'"


def test_holders_lead_to_roots(heap: Heap) -> None:
    random = np.random.default_rng(7)
    for _ in range(3000):
        heap.add("list")
    for source, target in random.integers(0, 3000, (4000, 2)).tolist():
        heap.link(source, Link.ITEM, target)
    for node in random.integers(0, 3000, 20).tolist():
        heap.root(node, "C variable", Group.STATIC)
    picture = heap.picture()
    found = reach(picture)
    held = np.flatnonzero(found.parents >= 0)
    assert len(held) > 1000
    assert np.array_equal(picture.edges.targets[found.edges[held]], held)
    assert np.array_equal(found.depths[held], found.depths[found.parents[held]] + 1)
    assert np.array_equal(found.roots[held], found.roots[found.parents[held]])
    assert set(np.flatnonzero(found.depths == 0).tolist()) == {node for node, _, _ in heap.roots}


def test_as_near_as_can_be(heap: Heap) -> None:
    """Without soft references the depth is the shortest distance."""
    edges = np.random.default_rng(3).integers(0, 400, (900, 2)).tolist()
    for _ in range(400):
        heap.add("list")
    for source, target in edges:
        heap.link(source, Link.ITEM, target)
    heap.root(0, "sys.modules")
    distance = {0: 0}
    waiting = [0]
    for node in waiting:
        for source, target in edges:
            if source == node and target not in distance:
                distance[target] = distance[node] + 1
                waiting.append(target)
    depths = analyse(heap.picture()).depths
    assert {node: int(depth) for node, depth in enumerate(depths) if depth >= 0} == distance


def random_heap() -> Heap:
    """Modules, instances, containers in containers, lists of links and circles."""
    chance = np.random.default_rng(5)
    heap = Heap()
    main = heap.module("__main__")
    nodes = [heap.value(main, f"name{number}", heap.add("list")) for number in range(40)]
    for number in range(4000):
        holder = nodes[int(chance.integers(max(len(nodes) - 900, 0), len(nodes)))]
        node = heap.add(("list", "dict", "A", "B", "C")[int(chance.integers(5))])
        if chance.random() < 0.5:
            heap.item(holder, node)
        else:
            heap.attribute(holder, f"at{number % 7}", node)
        nodes.append(node)
    return heap


def test_paths_added_by_columns_are_those_added_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for many in (0, 10**9):
        monkeypatch.setattr(paths_module, "_MANY_NEW", many)
        found.append(shelf(random_heap()).paths.of_node.tolist())
    # The numbers may differ; what is on one path must not.
    together = set(zip(*found, strict=True))
    assert len(together) == len(set(found[0])) == len(set(found[1])) > 500
