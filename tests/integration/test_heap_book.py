"""A picture's file behind its process: questions, answers, and what happens when something goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memtui.errors import MemtuiError, UsageError
from memtui.heap.book import HeapBook
from memtui.heap.file import write_picture
from memtui.heap.graph.analysis import analyse
from memtui.heap.picture import Duplicates, Group, NodeFlag

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from pictures import Heap


def shop(orders: int) -> Heap:
    """A dict of lists of orders; each order has a title."""
    heap = Heap()
    main = heap.module("shop")
    heap.cls(main, "shop", "Order")
    cache = heap.value(main, "CACHE", heap.add("dict"))
    rows = heap.value(cache, "open", heap.add("list"))
    lost = heap.root(heap.add("bytearray", 5000), "C code", Group.UNKNOWN)
    heap.flags[lost] = int(NodeFlag.HELD_FROM_C | NodeFlag.IMMORTAL)
    for number in range(orders):
        order = heap.item(rows, heap.instance("shop.Order", 100 + number))
        heap.attribute(order, "title", heap.text(f"Order \x1b[31m {number}", "str"))
    return heap


def save(heap: Heap, path: Path, **facts: Any) -> Path:
    picture = heap.picture()
    titles = [node for node, name in heap.texts.items() if name.startswith("Order ")]
    picture = replace(
        picture,
        facts={**picture.facts, **facts},
        duplicates=Duplicates(np.array(titles[:1], np.int32), np.array([2]), np.array([55])),
    )
    return write_picture(path, picture, analyse(picture))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(shop(30), tmp_path / "shop.memtui")


@pytest.fixture
def book(path: Path) -> Iterator[HeapBook]:
    with HeapBook(path) as book:
        yield book


def test_the_head(book: HeapBook, path: Path) -> None:
    facts = book.facts()
    assert (facts.path, facts.pid, facts.command) == (str(path), 4242, ("python", "app.py"))


def test_types(book: HeapBook) -> None:
    every = book.types()
    assert [one.retained_bytes for one in every] == sorted((one.retained_bytes or 0 for one in every), reverse=True)
    assert [one.type for one in book.types("name")] == sorted(one.type for one in every)
    (order,) = book.types(search="ORDER")
    assert (order.type, order.count, order.size_bytes) == ("shop.Order", 30, sum(range(100, 130)))
    assert order.retained_bytes is not None
    assert order.retained_bytes > order.size_bytes
    assert book.types("count", offset=1, limit=2) == book.types("count")[1:3]


def test_instances_and_what_is_around_one(book: HeapBook) -> None:
    first, second = book.instances("shop.Order", "size", limit=2)
    assert (first.size_bytes, second.size_bytes) == (129, 128)
    assert book.instances("shop.Order", "size", offset=1, limit=1) == (second,)
    assert book.object(first.node) == first
    links = book.references(first.node)
    assert [link.label for link in links] == [".__class__", ".title"]
    assert links[1].object.text == r"'Order \x1b[31m 29'"
    (holder,) = book.holders(first.node)
    assert (holder.label, holder.object.type, holder.object.length) == ("[29]", "list", 30)
    chain = book.chain(first.node)
    assert chain.path == "shop.CACHE['open'][29]"
    assert [step.type for step in chain.steps] == ["module", "dict", "list", "shop.Order"]


def test_the_holder_that_explains_comes_first(book: HeapBook) -> None:
    (order,) = (one for one in book.types() if one.type == "type")
    assert order.count == 1
    (node,) = (one.node for one in book.instances("type"))
    labels = [link.label for link in book.holders(node)]
    assert labels == ["['Order']", *[".__class__"] * 30]


def test_lists_of_the_whole_heap(book: HeapBook) -> None:
    (path,) = book.paths("shop.Order")
    assert (path.path, path.count, path.size_bytes) == ("shop.CACHE[*][*]", 30, sum(range(100, 130)))
    assert path.container is not None
    assert book.chain(path.container).path == "shop.CACHE['open']"
    assert len(book.paths(limit=3)) == 3
    retainers = book.retainers(2)
    # An object that only C code holds keeps nothing but itself, and that is much.
    assert {link.label for link in retainers} == {"shop.CACHE", "C code"} or retainers[0].label == "shop.CACHE"
    assert book.retainers(1, modules=True)[0].label == "sys.modules"
    assert book.biggest(1)[0].object.type == "bytearray"
    (held,) = book.held_from_c()
    assert (held.label, held.object.references, held.object.held_from_c) == ("C code", -1, True)
    (text,) = book.duplicates()
    assert (text.text, text.count, text.wasted_bytes) == (r"'Order \x1b[31m 0'", 2, 55)


def test_search(book: HeapBook) -> None:
    kinds = {(one.kind, one.label) for one in book.search("order")}
    assert {("type", "shop.Order"), ("text", "'Order'"), ("text", r"'Order \x1b[31m 7'")} <= kinds
    assert [one.label for one in book.search("c CODE")] == ["C code"]
    assert len(book.search("order", 3)) == 3
    assert book.search("") == ()
    assert book.search("nowhere at all") == ()


def test_differences(path: Path, tmp_path: Path) -> None:
    later = save(shop(80), tmp_path / "later.memtui", taken_at="2026-11-21T12:01:00Z")
    last = save(shop(50), tmp_path / "last.memtui")
    with HeapBook(later) as book:
        diff = book.diff(path, "holder")
        assert (diff.by, diff.seconds_between) == ("holder", 60.0)
        row = diff.rows[0]
        assert (row.label, row.elements_before, row.elements_after) == ("shop.CACHE['open']", 30, 80)
        assert book.chain(row.node or 0).path == row.label
        assert book.diff(path, "type").rows[0].label == "shop.Order"
        assert "tracemalloc was not on" in book.diff(path, "line").note
        save(shop(75), path)
        assert book.diff(path, "holder").rows[0].elements_before == 75
    save(shop(30), path)
    with HeapBook(path) as book:
        row = book.born_and_alive(later, last).rows[0]
        assert (row.label, row.count_before, row.count_after) == ("shop.CACHE[*][*]", 30, 50)


@pytest.mark.parametrize("node", [-1, 10**9])
def test_nodes_that_are_not_there(book: HeapBook, node: int) -> None:
    for ask in (book.object, book.references, book.holders, book.chain):
        with pytest.raises(UsageError, match=f"There is no object {node} in the picture"):
            ask(node)


def test_other_wrong_questions(book: HeapBook, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no type shop\.Nothing"):
        book.instances("shop.Nothing")
    with pytest.raises(UsageError, match="Nothing can be ordered by colour"):
        book.types("colour")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be compared by colour"):
        book.diff(book.path, "colour")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot be read"):
        book.diff(tmp_path / "none.memtui", "type")
    assert book.types(limit=-3) == ()
    assert book.types(), "it goes on answering"


def test_a_quick_picture_says_what_it_does_not_know(tmp_path: Path) -> None:
    heap = Heap()
    heap.add("dict")
    path = write_picture(
        tmp_path / "quick.memtui", replace(heap.picture(), facts={**heap.picture().facts, "quick": True}), None
    )
    with HeapBook(path) as book:
        assert [(one.type, one.count, one.retained_bytes) for one in book.types()] == [("dict", 1, None)]
        assert book.biggest(1)[0].object.retained_bytes is None
        for ask in (lambda: book.chain(0), book.paths, book.held_from_c, lambda: book.diff(path, "holder")):
            with pytest.raises(UsageError, match="It is a quick one"):
                ask()
        assert book.diff(path, "type").rows == ()


def test_a_bad_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.memtui").write_bytes(b"nonsense")
    with HeapBook(tmp_path / "bad.memtui") as book:
        for _ in range(2):
            with pytest.raises(UsageError, match="is no file of memtui"):
                book.facts()


def test_a_process_that_dies_is_one_sentence(book: HeapBook) -> None:
    book.facts()
    os.kill(book._process.pid, signal.SIGKILL)
    book._process.wait()
    for _ in range(2):
        with pytest.raises(MemtuiError, match="It was killed; perhaps memory ran out"):
            book.facts()


def test_closing_ends_what_waits(book: HeapBook) -> None:
    book.facts()
    os.kill(book._process.pid, signal.SIGSTOP)
    heard: list[MemtuiError] = []

    def ask() -> None:
        try:
            book.types()
        except MemtuiError as error:
            heard.append(error)

    waiting = threading.Thread(target=ask)
    waiting.start()
    book.close()
    waiting.join(20)
    assert "closed" in heard[0].what
    assert book._process.returncode is not None
    with pytest.raises(MemtuiError, match="is closed"):
        book.facts()


def test_the_process_ends_with_its_questions(path: Path) -> None:
    """Also when nobody closes it: its stdin ends with the process that asked."""
    code = """
import os, sys
from memtui.heap.book import HeapBook
book = HeapBook(sys.argv[1])
book.facts()
print(book._process.pid, flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    pid = int(done.stdout)
    for _ in range(2000):
        if not os.path.exists(f"/proc/{pid}") or b"explorer_main" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return
        threading.Event().wait(0.01)
    pytest.fail("it goes on")


def test_the_client_knows_no_numpy() -> None:
    code = "import sys, memtui.heap.book; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.lower()) is False
