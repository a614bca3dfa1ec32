"""Who holds an object of this process, by name; without running code of the objects on the way."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from memtui.testing.chain import Chain, Step
from memtui.testing.holders import find_holder
from memtui.testing.labels import show_key

CACHE: dict[Any, Any] = {}
ROW: deque[Any] = deque()


class Order:
    """What is held; its reprs and its length must not be asked for."""

    def __repr__(self) -> str:
        raise AssertionError("code of the object was run")

    __len__ = __bool__ = __eq__ = __hash__ = __repr__  # type: ignore[assignment]


class Registry:
    items: list[Any] = []
    slotted: Any = None

    def __init__(self) -> None:
        self.rows: list[Any] = []


class Slotted:
    __slots__ = ("item",)


REGISTRY = Registry()


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    yield
    CACHE.clear()
    ROW.clear()
    Registry.items.clear()
    REGISTRY.__dict__.clear()
    REGISTRY.rows = []


def text(one: object) -> str | None:
    chain = find_holder(one).chain
    return None if chain is None else chain.text.removeprefix(f"{__name__}.")


def _closure(one: object) -> Callable[[], object]:
    def handler() -> object:
        return one

    return handler


def _suspended(one: object) -> Iterator[object]:
    mine = one
    yield 1
    yield mine


def _in_slots(one: object) -> Slotted:
    slotted = Slotted()
    slotted.item = one
    return slotted


def _started(one: object) -> Iterator[object]:
    running = _suspended(one)
    next(running)
    return running


def _attribute(one: object) -> None:
    REGISTRY.other = one  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("hold", "path"),
    [
        (lambda one: CACHE.update(k17=[1, one]), "CACHE['k17'][1]"),
        (lambda one: CACHE.update({("a", 1): one}), "CACHE[('a', 1)]"),
        (lambda one: CACHE.update({"a" * 41: one}), "CACHE['" + "a" * 37 + "...']"),
        (lambda one: CACHE.update({"esc\x1b": one}), r"CACHE['esc\x1b']"),
        (lambda one: CACHE.update({Registry: one}), "CACHE[<type>]"),
        (Registry.items.append, "Registry.items[0]"),
        (lambda one: REGISTRY.rows.append((one,)), "REGISTRY.rows[0][0]"),
        (_attribute, "REGISTRY.other"),
        (lambda one: CACHE.update(x=_in_slots(one)), "CACHE['x'].item"),
        (lambda one: CACHE.update(x=_closure(one)), "CACHE['x'].__closure__[0].cell_contents"),
        (lambda one: CACHE.update(x=_started(one)), "CACHE['x'].gi_frame.f_locals['one']"),
        (lambda one: CACHE.update(x=functools.partial(print, one)), "CACHE['x'].args[0]"),
        (lambda one: CACHE.update(x=one.__repr__), "CACHE['x'].__self__"),
        (lambda one: CACHE.update(x=ValueError(one)), "CACHE['x'].args[0]"),
        (ROW.append, "ROW[0]"),
    ],
)
def test_holders_have_names(hold: Callable[[Any], object], path: str) -> None:
    order = Order()
    hold(order)
    assert text(order) == path


def test_nobody_but_the_test_holds_it() -> None:
    order: Any = Order()
    order.myself = [order]
    found = find_holder(order)
    assert found.chain is None
    assert found.complete


def test_variables_of_the_test_are_named_when_they_count() -> None:
    order = Order()
    assert find_holder(order).chain is None
    chain = find_holder(order, variables_too=True).chain
    assert chain is not None
    assert chain.text == "test_variables_of_the_test_are_named_when_they_count() local 'order'"


def test_what_a_variable_of_the_test_holds_is_held() -> None:
    items = [Order()]
    chain = find_holder(items[0]).chain
    assert chain is not None
    assert chain.text == "test_what_a_variable_of_the_test_holds_is_held() local 'items'[0]"
    CACHE["too"] = items
    assert text(items[0]) == "CACHE['too'][0]"


def test_a_variable_of_another_thread() -> None:
    release, held = threading.Event(), threading.Event()

    def worker(mine: object) -> None:
        held.set()
        release.wait(30)

    order = Order()
    thread = threading.Thread(target=worker, args=(order,))
    thread.start()
    try:
        assert held.wait(30)
        assert (text(order) or "").endswith("worker() local 'mine'")
    finally:
        release.set()
        thread.join()


async def test_a_pending_task() -> None:
    async def job(mine: object) -> None:
        await asyncio.sleep(60)

    order = Order()
    task = asyncio.create_task(job(order), name="the job")
    await asyncio.sleep(0)
    assert (text(order) or "").startswith("asyncio 'the job'")
    task.cancel()


def test_a_long_list_is_one_step() -> None:
    head: Any = None
    order = Order()
    for _ in range(60):
        node: Any = Registry()
        node.next, head = head, node
        node.rows = order if node.next is None else None
    CACHE["head"] = head
    chain = find_holder(order).chain
    assert chain is not None
    assert chain.text == f"{__name__}.CACHE['head'].next{{x59}}.rows"
    assert any("59 times in a row" in line for line in chain.lines())


def test_a_fixture_is_a_root_by_its_name() -> None:
    order, service = Order(), Registry()
    service.rows.append(order)
    chain = find_holder(order, named={id(service): "service"}).chain
    assert chain is not None
    assert chain.text == "service.rows[0]"


def test_the_lines_of_a_chain() -> None:
    chain = Chain("module", "shop", (Step(".CACHE", "dict"), Step("['k']", "list"), Step("[3]", "shop.Order")))
    assert chain.text == "shop.CACHE['k'][3]"
    assert chain.lines() == ["module shop", "  .CACHE  dict", "  ['k']   list", "  [3]     shop.Order"]


@pytest.mark.parametrize(
    ("key", "shown"),
    [(None, "None"), (True, "True"), (1.5, "1.5"), (10**30, "<int>"), (b"ab", "b'ab'"), ((), "<tuple>")],
)
def test_keys(key: object, shown: str) -> None:
    assert show_key(key) == shown
