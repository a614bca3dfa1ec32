"""A planted leak's holder is the first row of the comparison, whatever shape the leak has."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from pictures import Heap

from memtui.heap.compare import born_and_alive, compare
from memtui.heap.graph.labels import GARBAGE
from memtui.heap.picture import Group, Link
from memtui.heap.shelf import Shelf
from memtui.model.heap import HeapDiff

Plant = Callable[[Heap, int, int], None]
"""Makes a leak with so many entries; the second number is the namespace of ``__main__``."""


def payload(heap: Heap, name: str) -> int:
    """An instance with a dict of attributes, a text and a list."""
    thing = heap.instance(name)
    names = heap.field(thing, "__dict__", heap.add("dict", 104))
    heap.value(names, "title", heap.add("str", 60))
    heap.item(heap.value(names, "rows", heap.add("list", 120)), heap.add("float", 24))
    return thing


def application(plant: Plant | None, entries: int, seed: int = 0) -> Shelf:
    """Modules, a busy list whose objects come and go, a new temporary here and there, and the leak."""
    heap = Heap()
    main = heap.module("__main__")
    for name in ("Item", "Leaked"):
        heap.cls(main, "__main__", name)
    busy = heap.value(main, "BUSY", heap.add("list"))
    bounded = heap.value(main, "BOUNDED", heap.add("dict"))
    chance = random.Random(seed)
    if plant is not None:
        plant(heap, main, entries)
    order = list(range(300))
    chance.shuffle(order)
    for number in order:
        heap.item(busy, payload(heap, "__main__.Item"))
        heap.value(bounded, heap.number(number), heap.add("bytes", 200 + chance.randrange(3)))
    heap.root(
        heap.add("list", 100 + 8 * chance.randrange(50)), f"thread 1 main() local 'scratch{seed}'", Group.FRAMES
    )
    return Shelf(Path(f"{seed}.memtui"), heap.picture(), None)


def lists_in_a_dict(heap: Heap, main: int, entries: int) -> None:
    history = heap.value(main, "HISTORY", heap.add("dict"))
    pages = heap.value(history, "pages", heap.add("list"))
    heap.value(history, "users", heap.add("list"))
    heap.items(pages, [payload(heap, "__main__.Leaked") for _ in range(entries)])


def class_attribute(heap: Heap, main: int, entries: int) -> None:
    items = heap.value(heap.cls(main, "__main__", "Registry"), "items", heap.add("list"))
    heap.items(items, [payload(heap, "__main__.Leaked") for _ in range(entries)])


def cached_method(heap: Heap, main: int, entries: int) -> None:
    service = heap.cls(main, "__main__", "Service")
    wrapper = heap.value(service, "get", heap.add("functools._lru_cache_wrapper"))
    cache = heap.field(wrapper, "cache", heap.add("dict"))
    for _ in range(entries):
        heap.value(cache, heap.add("tuple"), payload(heap, "__main__.Leaked"))


def listeners(heap: Heap, main: int, entries: int) -> None:
    heap.cls(main, "__main__", "Bus")
    bus = heap.value(main, "bus", heap.instance("__main__.Bus"))
    waiting = heap.attribute(bus, "listeners", heap.add("list"))
    for _ in range(entries):
        heap.field(heap.item(waiting, heap.add("method")), "__self__", payload(heap, "__main__.Leaked"))


def closure(heap: Heap, main: int, entries: int) -> None:
    handler = heap.value(main, "handler", heap.add("function"))
    cell = heap.item(heap.field(handler, "__closure__", heap.add("tuple")), heap.add("cell"))
    seen = heap.field(cell, "cell_contents", heap.add("list"))
    heap.items(seen, [payload(heap, "__main__.Leaked") for _ in range(entries)])


def tasks(heap: Heap, main: int, entries: int) -> None:
    """They hang in the loop's list of timers, too, which other roots reach."""
    waiting = heap.value(main, "TASKS", heap.add("set"))
    timers = heap.root(heap.add("list"), "thread 1 run() local 'scheduled'", Group.FRAMES)
    for _ in range(entries):
        task = heap.link(waiting, Link.ELEMENT, heap.add("_asyncio.Task", 200))
        body = heap.field(task, "coro", heap.add("coroutine", 200))
        heap.link(body, Link.LOCAL, payload(heap, "__main__.Leaked"), heap.text("order"))
        heap.field(heap.item(timers, heap.add("TimerHandle", 80)), "_args", task)


def tracebacks(heap: Heap, main: int, entries: int) -> None:
    errors = heap.value(main, "ERRORS", heap.add("list"))
    for _ in range(entries):
        error = heap.item(errors, heap.add("ValueError", 80))
        trace = heap.field(error, "__traceback__", heap.add("traceback"))
        inner = heap.field(trace, "tb_next", heap.add("traceback"))
        frame = heap.field(inner, "tb_frame", heap.add("frame", 400))
        heap.link(frame, Link.LOCAL, payload(heap, "__main__.Leaked"), heap.text("order"))


def thread_local(heap: Heap, main: int, entries: int) -> None:
    local = heap.value(main, "tl", heap.add("_thread._local"))
    heap.fields.append("<per thread>")
    threads = heap.link(local, Link.FIELD, heap.add("dict"), len(heap.fields) - 1)
    names = heap.value(threads, heap.add("weakref.ReferenceType"), heap.add("dict"))
    buffer = heap.value(names, "buf", heap.add("list"))
    heap.items(buffer, [payload(heap, "__main__.Leaked") for _ in range(entries)])


def a_deque(heap: Heap, main: int, entries: int) -> None:
    queue = heap.value(main, "QUEUE", heap.add("collections.deque"))
    heap.items(queue, [payload(heap, "__main__.Leaked") for _ in range(entries)])


def linked_list(heap: Heap, main: int, entries: int) -> None:
    node = heap.value(main, "HEAD", heap.instance("__main__.Leaked"))
    for _ in range(entries):
        node = heap.attribute(node, "next", heap.instance("__main__.Leaked", 500))


def texts(heap: Heap, main: int, entries: int) -> None:
    cache = heap.value(main, "CACHE", heap.add("dict"))
    for number in range(entries):
        heap.value(cache, heap.text(f"key{number}", "str"), heap.add("bytes", 1000))


def children(heap: Heap, main: int, entries: int) -> None:
    """They know their parent, and have a list of their own."""
    root = heap.value(main, "ROOT", heap.instance("__main__.Leaked"))
    below = heap.attribute(root, "children", heap.add("list"))
    for _ in range(entries):
        child = heap.item(below, heap.instance("__main__.Leaked", 500))
        heap.attribute(child, "parent", root)
        heap.attribute(child, "children", heap.add("list"))


def deep_down(heap: Heap, main: int, entries: int) -> None:
    """A list of lists and dicts in a dict of dicts."""
    inner = heap.value(main, "DATA", heap.add("dict"))
    for key in "ab":
        inner = heap.value(inner, key, heap.add("dict"))
    rows = heap.value(inner, "c", heap.add("list"))
    for number in range(entries):
        row = heap.item(rows, heap.add("list"))
        heap.value(heap.item(row, heap.add("dict")), "v", heap.add("str", 500 + number % 2))


def locals_of_a_thread(heap: Heap, main: int, entries: int) -> None:
    mine = heap.root(heap.add("list"), "thread 7 worker() local 'mine'", Group.FRAMES)
    heap.items(mine, [payload(heap, "__main__.Leaked") for _ in range(entries)])


LEAKS = [
    (lists_in_a_dict, "__main__.HISTORY['pages']", "list"),
    (class_attribute, "__main__.Registry.items", "list"),
    (cached_method, "__main__.Service.get.cache", "dict"),
    (listeners, "__main__.bus.listeners", "list"),
    (closure, "__main__.handler.__closure__[0].cell_contents", "list"),
    (tasks, "__main__.TASKS", "set"),
    (tracebacks, "__main__.ERRORS", "list"),
    (thread_local, "__main__.tl<per thread>.buf", "list"),
    (a_deque, "__main__.QUEUE", "collections.deque"),
    (texts, "__main__.CACHE", "dict"),
    (children, "__main__.ROOT.children", "list"),
    (deep_down, "__main__.DATA['a']['b']['c']", "list"),
    (locals_of_a_thread, "thread 7 worker() local 'mine'", "list"),
]


def by_holder(before: Shelf, after: Shelf) -> HeapDiff:
    return compare(before, after, "holder", 100)


@pytest.mark.parametrize(("plant", "path", "kind"), LEAKS, ids=[leak[0].__name__ for leak in LEAKS])
def test_the_container_that_leaks_is_the_first_row(plant: Plant, path: str, kind: str) -> None:
    rows = by_holder(application(plant, 200, 1), application(plant, 1200, 2)).rows
    assert (rows[0].label, rows[0].type) == (path, kind)
    assert (rows[0].elements_before, rows[0].elements_after) == (200, 1200)
    assert not rows[0].new
    assert rows[0].count_change >= 1000
    assert rows[0].size_change_bytes > 10 * sum(
        row.size_change_bytes for row in rows[1:] if "scheduled" not in row.label
    )
    # Its entries and all that hangs on them are in this row alone.
    assert not [row for row in rows[1:] if row.label.startswith(path)]


@pytest.mark.parametrize("plant", [lists_in_a_dict, texts, a_deque])
def test_what_it_retains_grew_as_much(plant: Plant) -> None:
    row = by_holder(application(plant, 200, 1), application(plant, 1200, 2)).rows[0]
    assert row.retained_before_bytes is not None
    assert row.retained_after_bytes is not None
    # The list's own table is not modelled: all growth is what it holds.
    assert row.retained_after_bytes - row.retained_before_bytes == row.size_change_bytes


def test_a_linked_list_is_named_by_its_path() -> None:
    rows = by_holder(application(linked_list, 200, 1), application(linked_list, 1200, 2)).rows
    assert rows[0].label == "__main__.HEAD(.next)*"
    assert rows[0].count_change == 1000
    assert rows[0].elements_after is None


def test_nothing_grew() -> None:
    before, after = application(lists_in_a_dict, 300, 1), application(lists_in_a_dict, 300, 2)
    assert sum(row.size_change_bytes for row in by_holder(before, after).rows) < 2000
    assert by_holder(before, before).rows == ()


def test_a_container_that_is_new() -> None:
    rows = by_holder(application(None, 0, 1), application(texts, 500, 2)).rows
    assert (rows[0].label, rows[0].new, rows[0].elements_after) == ("__main__.CACHE", True, 500)


def many_lists(heap: Heap, main: int, entries: int) -> None:
    """Each of twenty lists grows."""
    table = heap.value(main, "TABLE", heap.add("dict"))
    rows = [heap.value(table, f"row{number}", heap.add("list")) for number in range(20)]
    for row in rows:
        heap.items(row, [payload(heap, "__main__.Leaked") for _ in range(entries // 20)])


def test_many_containers_on_one_path_are_one_row() -> None:
    rows = by_holder(application(many_lists, 200, 1), application(many_lists, 1200, 2)).rows
    assert (rows[0].label, rows[0].elements_before, rows[0].elements_after) == ("__main__.TABLE[*]", 200, 1200)


def one_list_of_a_growing_dict(heap: Heap, main: int, entries: int) -> None:
    """The dict gets one more list; the growth is in an older one."""
    table = heap.value(main, "TABLE", heap.add("dict"))
    old = heap.value(table, "old", heap.add("list"))
    heap.items(old, [payload(heap, "__main__.Leaked") for _ in range(entries)])
    if entries > 500:
        heap.item(heap.value(table, "new", heap.add("list")), payload(heap, "__main__.Leaked"))


def test_the_inner_container_that_grew_comes_before_the_outer_one() -> None:
    before, after = (application(one_list_of_a_growing_dict, *pair) for pair in ((200, 1), (1200, 2)))
    rows = by_holder(before, after).rows
    assert (rows[0].label, rows[0].elements_after) == ("__main__.TABLE['old']", 1200)
    assert any(row.label == "__main__.TABLE" for row in rows[1:])


def imported(heap: Heap, main: int, entries: int) -> None:
    """A leak of a few, and a large module that was imported meanwhile."""
    texts(heap, main, entries // 10)
    if entries > 500:
        tables = heap.value(heap.module("unicodedata"), "TABLES", heap.add("list"))
        heap.items(tables, [heap.add("bytes", 5000) for _ in range(2000)])


def test_imported_modules_come_last() -> None:
    rows = by_holder(application(imported, 200, 1), application(imported, 1200, 2)).rows
    assert rows[0].label == "__main__.CACHE"
    assert "unicodedata" in [row.label for row in rows[-2:]]


def cycles(heap: Heap, main: int, entries: int) -> None:
    """Garbage that nobody collects."""
    for _ in range(entries):
        thing = payload(heap, "__main__.Leaked")
        heap.attribute(thing, "self", thing)


def test_garbage_is_one_row() -> None:
    rows = by_holder(application(cycles, 200, 1), application(cycles, 1200, 2)).rows
    assert (rows[0].label, rows[0].count_change >= 4000, rows[0].elements_after) == (GARBAGE, True, None)
    assert not [row for row in rows[1:] if row.label == GARBAGE]


def called(heap: Heap, main: int, entries: int) -> None:
    """A leak of a few, and a function at work with much, or the standard library's cache of source lines."""
    texts(heap, main, entries // 10)
    lines = heap.value(heap.module("linecache"), "cache", heap.add("dict"))
    if entries > 500:
        rows = heap.root(heap.add("list"), "thread 1 work() local 'rows'", Group.FRAMES)
        heap.items(rows, [heap.add("bytes", 5000) for _ in range(2000)])
        for number in range(2000):
            heap.value(lines, heap.text(f"file{number}.py"), heap.add("tuple", 2000))


def test_what_is_usual_comes_last() -> None:
    rows = by_holder(application(called, 200, 1), application(called, 1200, 2)).rows
    assert rows[0].label == "__main__.CACHE"
    assert [row.label for row in rows[-3:-1]] == ["thread 1 work() local 'rows'", "linecache.cache"]


def test_by_type() -> None:
    diff = compare(application(texts, 200, 1), application(texts, 1200, 2), "type", 100)
    assert (diff.rows[0].label, diff.rows[0].count_change) == ("bytes", 1000)
    assert diff.rows[0].retained_after_bytes is not None
    assert diff.seconds_between == 0


def test_by_line_and_traceback() -> None:
    before, after = application(None, 0, 1), application(None, 0, 2)
    for by in ("line", "traceback"):
        diff = compare(before, after, by, 10)
        assert diff.rows == ()
        assert "tracemalloc was not on in both pictures" in diff.note
    frames = [["shop.py", 7], ["main.py", 3]]
    before.picture.extra["tracebacks"] = [{"frames": frames, "size_bytes": 100, "count": 1}]
    after.picture.extra["tracebacks"] = [
        {"frames": frames, "size_bytes": 900, "count": 9},
        {"frames": frames[:1], "size_bytes": 50, "count": 1},
    ]
    line, trace = (compare(before, after, by, 10).rows for by in ("line", "traceback"))
    assert [(row.label, row.count_change, row.size_change_bytes) for row in line] == [("shop.py:7", 9, 850)]
    assert [(row.label, row.new) for row in trace] == [("shop.py:7 ← main.py:3", False), ("shop.py:7", True)]


def test_born_between_and_still_alive() -> None:
    pictures = [application(texts, *pair) for pair in ((200, 1), (700, 2), (400, 3))]
    rows = born_and_alive(*pictures, 100).rows
    assert (rows[0].label, rows[0].type, rows[0].count_change) == ("__main__.CACHE[*]", "bytes", 200)
    assert rows[0].size_change_bytes == 200_000
