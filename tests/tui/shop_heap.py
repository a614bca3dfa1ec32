"""Heap pictures of the leaking shop, and a book that answers from them as the explorer would."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from shop_session import COMMAND, MIB

from memtui.errors import MemtuiError, UsageError
from memtui.model.heap import (
    DuplicateText,
    HeapDiff,
    HeapDiffBy,
    HeapDiffRow,
    HeapFound,
    HeapLink,
    HeapObject,
    HeapType,
    HolderChain,
    HolderPath,
    HolderStep,
    InstanceOrder,
    PictureFacts,
    TypeOrder,
)
from memtui.model.state import State

TYPES = (
    HeapType("dict", 41_200, 9_830_000, 30_100_000),
    HeapType("shop.cache.Page", 1_950, 93_600, 11_400_000),
    HeapType("bytes", 20_481, 10_200_000, 10_200_000),
    HeapType("str", 88_001, 7_050_112, 7_050_112),
    HeapType("shop.orders.Order", 15_950, 765_600, 6_313_000),
    HeapType("list", 22_100, 2_470_000, 5_800_000),
    HeapType("function", 18_042, 2_454_000, 2_454_000),
)
MODULE = HeapObject(1, "module", 0x7F00_0000_1000, 72, 13_000_000, 4)
CACHE = HeapObject(2, "dict", 0x7F00_0000_2000, 73_824, 11_800_000, 2, 1_950)
ORDERS = HeapObject(3, "list", 0x7F00_0000_3000, 127_600, 6_420_000, 2, 15_950)
PAGE = HeapObject(10, "shop.cache.Page", 0x7F00_0000_4000, 48, 5_840, 1)
BODY = HeapObject(11, "bytes", 0x7F00_0000_5000, 5_233, 5_233, 1, 5_200, "b'<html><body>Welcome, Ann'")
TUPLE = HeapObject(12, "tuple", 0x7F00_0000_6000, 56, 56, 3, 2, None, True)
OBJECTS = {one.node: one for one in (MODULE, CACHE, ORDERS, PAGE, BODY, TUPLE)}
CHAINS = {
    CACHE.node: HolderChain("shop.cache._RENDERED", "sys.modules", "modules", (
        HolderStep("sys.modules", 0, "dict"), HolderStep("['shop.cache']", 1, "module"),
        HolderStep("._RENDERED", 2, "dict"),
    )),
    PAGE.node: HolderChain("shop.cache._RENDERED['/basket/17']", "sys.modules", "modules", (
        HolderStep("sys.modules", 0, "dict"), HolderStep("['shop.cache']", 1, "module"),
        HolderStep("._RENDERED", 2, "dict"), HolderStep("['/basket/17']", 10, "shop.cache.Page"),
    )),
}  # fmt: skip
DIFF = {
    "holder": (
        HeapDiffRow("shop.cache._RENDERED[*]", 1_404, 1_950, 67_392, 93_600, 8_500_000, 11_800_000, 1_404, 1_950,
                    False, 2, "shop.cache.Page"),
        HeapDiffRow("shop.orders.ORDERS[*]", 11_330, 15_950, 543_840, 765_600, 4_500_000, 6_420_000, 11_330, 15_950,
                    False, 3, "shop.orders.Order"),
        HeapDiffRow("shop.events.BUS._listeners[*]", 0, 120, 0, 7_680, None, 19_000, None, 120, True, None, "method"),
    ),
    "type": (
        HeapDiffRow("bytes", 15_000, 20_481, 7_200_000, 10_200_000, 7_200_000, 10_200_000),
        HeapDiffRow("shop.orders.Order", 11_330, 15_950, 543_840, 765_600, 4_500_000, 6_313_000),
        HeapDiffRow("frame", 40, 31, 20_000, 14_000),
    ),
    "line": (HeapDiffRow("/srv/shop/shop/orders.py:42", 900, 5_500, 96_000, 990_000),),
    "traceback": (
        HeapDiffRow("/srv/shop/shop/orders.py:42 ← /srv/shop/shop/main.py:9", 900, 5_500, 96_000, 990_000),
    ),
}  # fmt: skip


def facts(number: int, at_seconds: float = 0.0, folder: str = "/private") -> PictureFacts:
    """What the picture of one of the shop's snapshots says of itself."""
    return PictureFacts(
        path=f"{folder}/{number}.memtui",
        pid=4242,
        command=COMMAND,
        python="3.11.7",
        taken_at="2026-09-21T12:00:00Z",
        source="frozen copy",
        objects=182_004 + 9_000 * number,
        edges=260_113,
        size_bytes=33 * MIB,
        rss_bytes=170 * MIB,
        stop_seconds=0.0042,
        quality=0.994,
        quick=False,
    )


def with_pictures(state: State, *, traced: bool = False) -> State:
    """The same State, whose snapshots are heap pictures."""
    kept = [replace(one, picture=facts(one.number)) for one in state.snapshots]
    if not traced:
        kept = [replace(one, allocations=None, traced_bytes=None) for one in kept]
    return replace(state, snapshots=tuple(kept))


class ShopBook:
    """Answers as a :class:`memtui.heap.book.HeapBook` on one of the shop's pictures.

    ``gate`` holds every answer back until it is set; ``error`` is raised instead.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.error: MemtuiError | None = None
        self.closed = False

    def _answer(self, name: str) -> None:
        self.asked.append(name)
        assert self.gate.wait(10)
        if self.closed:
            raise MemtuiError("The picture was closed.")
        if self.error is not None:
            raise self.error

    def types(
        self, order: TypeOrder = "retained", search: str = "", offset: int = 0, limit: int = 200
    ) -> tuple[HeapType, ...]:
        self._answer(f"types {order} {search}".strip())
        kept = [one for one in TYPES if search.casefold() in one.type.casefold()]
        if order == "name":
            kept.sort(key=lambda one: one.type)
        elif order == "count":
            kept.sort(key=lambda one: -one.count)
        return tuple(kept[offset : offset + limit])

    def instances(
        self, type_name: str, order: InstanceOrder = "retained", offset: int = 0, limit: int = 200
    ) -> tuple[HeapObject, ...]:
        self._answer(f"instances {type_name} {offset}")
        made = (replace(PAGE, node=1000 + number, address=PAGE.address + 64 * number) for number in range(450))
        return tuple([PAGE, *made][offset : offset + limit])

    def object(self, node: int) -> HeapObject:
        self._answer(f"object {node}")
        if node not in OBJECTS:
            raise UsageError(f"There is no object {node} in the picture.")
        return OBJECTS[node]

    def references(self, node: int, offset: int = 0, limit: int = 200) -> tuple[HeapLink, ...]:
        self._answer(f"references {node} {offset}")
        if node == CACHE.node:
            links = [HeapLink(f"['/basket/{number}']", PAGE) for number in range(120)]
            return tuple(links[offset : offset + limit])
        return (HeapLink(".body", BODY), HeapLink(".key", TUPLE)) if node == PAGE.node else ()

    def holders(self, node: int, offset: int = 0, limit: int = 200) -> tuple[HeapLink, ...]:
        self._answer(f"holders {node} {offset}")
        if node == PAGE.node:
            return (HeapLink("['/basket/17']", CACHE),)
        return (HeapLink("._RENDERED", MODULE),) if node == CACHE.node else ()

    def chain(self, node: int) -> HolderChain:
        self._answer(f"chain {node}")
        return CHAINS.get(node, HolderChain("(held from C)", "unknown", "unknown", ()))

    def paths(self, type_name: str | None = None, limit: int = 50) -> tuple[HolderPath, ...]:
        self._answer(f"paths {type_name}")
        return (
            HolderPath("shop.cache._RENDERED[*]", "shop.cache.Page", 1_950, 93_600, 11_400_000, 2),
            HolderPath("thread 4243 render() local 'page'", "shop.cache.Page", 1, 48, 5_840, None),
        )

    def retainers(self, limit: int = 50, modules: bool = False) -> tuple[HeapLink, ...]:
        self._answer("retainers")
        return (HeapLink("shop.cache._RENDERED", CACHE), HeapLink("shop.orders.ORDERS", ORDERS))

    def biggest(self, limit: int = 50) -> tuple[HeapLink, ...]:
        self._answer("biggest")
        return (HeapLink("shop.orders.ORDERS", ORDERS), HeapLink("shop.cache._RENDERED", CACHE))

    def duplicates(self, limit: int = 50) -> tuple[DuplicateText, ...]:
        self._answer("duplicates")
        return (DuplicateText("<nav class='top'>", "str", 1_951, 128_000, 11),)

    def held_from_c(self, limit: int = 50) -> tuple[HeapLink, ...]:
        self._answer("held_from_c")
        return (HeapLink("(held from C) tuple", TUPLE),)

    def search(self, text: str, limit: int = 100) -> tuple[HeapFound, ...]:
        self._answer(f"search {text}")
        return (HeapFound("type", "shop.cache.Page", "type", None), HeapFound("text", "/basket/17", "str", 11))

    def diff(self, other_path: str | Path, by: HeapDiffBy, limit: int = 100) -> HeapDiff:
        self._answer(f"diff {Path(other_path).stem} {by}")
        note = f"Pictures {Path(other_path).stem} and {Path(self.path).stem}, 60 s apart."
        return HeapDiff(by, DIFF[by], 60.0, note)

    def close(self) -> None:
        self.closed = True
        self.gate.set()


class Library:
    """Opens books, and keeps them."""

    def __init__(self) -> None:
        self.books: list[ShopBook] = []
        self.error: MemtuiError | None = None

    def __call__(self, path: str) -> ShopBook:
        self.books.append(ShopBook(path))
        self.books[-1].error = self.error
        return self.books[-1]

    @property
    def asked(self) -> list[str]:
        return [question for book in self.books for question in book.asked]
