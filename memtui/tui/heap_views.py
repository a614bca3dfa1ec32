"""The pages of the heap screen, and how one leads to another."""

from __future__ import annotations

from collections.abc import Callable

from memtui.model.heap import (
    DuplicateText,
    HeapFound,
    HeapLink,
    HeapObject,
    HeapType,
    HolderPath,
    InstanceOrder,
    PictureFacts,
    TypeOrder,
)
from memtui.tui.books import Book
from memtui.tui.heap_pages import ROWS, ListPage, ObjectPage, Page
from memtui.tui.presenters import heap

TYPE_ORDERS: tuple[TypeOrder, ...] = ("retained", "size", "count", "name")
INSTANCE_ORDERS: tuple[InstanceOrder, ...] = ("retained", "size", "length")


def types_page(facts: PictureFacts) -> ListPage[HeapType]:
    """All types. A quick picture knows no retained sizes."""
    orders = TYPE_ORDERS[1:] if facts.quick else TYPE_ORDERS
    return ListPage(
        facts=facts,
        title="types",
        fetch=lambda page, book, offset: book.types(orders[page.sort], page.search, offset, ROWS),
        header=heap.type_header,
        show=heap.type_row,
        text=lambda one: one.type,
        opens=lambda one: instances_page(facts, one.type),
        beside=lambda: retainers_page(facts),
        sorts=orders,
        search_remote=True,
        endless=True,
    )


def instances_page(facts: PictureFacts, type_name: str) -> ListPage[HeapObject]:
    """The objects of one type."""
    orders = INSTANCE_ORDERS[1:] if facts.quick else INSTANCE_ORDERS
    return ListPage(
        facts=facts,
        title=f"objects of type {type_name}",
        fetch=lambda page, book, offset: book.instances(type_name, orders[page.sort], offset, ROWS),
        header=heap.object_header,
        show=heap.object_row,
        text=lambda one: f"{one.text or ''} {one.address:#x}",
        opens=lambda one: ObjectPage(facts=facts, node=one.node),
        beside=lambda: paths_page(facts, type_name),
        sorts=orders,
        endless=True,
    )


def paths_page(facts: PictureFacts, type_name: str | None = None) -> ListPage[HolderPath]:
    """Where objects hang, keys and indices folded: those of one type, or all. Enter shows the container."""

    def opens(one: HolderPath) -> Page | None:
        if one.container is not None:
            return ObjectPage(facts=facts, node=one.container)
        return None if type_name else instances_page(facts, one.type)

    def beside() -> Page:
        return biggest_page(facts) if type_name is None else instances_page(facts, type_name)

    return ListPage(
        facts=facts,
        title="where objects hang" + (f": {type_name}" if type_name else ""),
        fetch=lambda page, book, offset: book.paths(type_name, ROWS),
        header=heap.path_header,
        show=heap.path_row,
        text=lambda one: f"{one.path} {one.type}",
        opens=opens,
        beside=beside,
    )


def retainers_page(facts: PictureFacts) -> ListPage[HeapLink]:
    """What keeps the most memory alive."""
    return _links(facts, "what keeps the most alive", lambda book: book.retainers(ROWS), paths_page)


def biggest_page(facts: PictureFacts) -> ListPage[HeapLink]:
    """The largest single objects."""
    page = _links(facts, "biggest single objects", lambda book: book.biggest(ROWS), duplicates_page)
    page.header, page.show = heap.big_header, heap.big_row
    return page


def held_from_c_page(facts: PictureFacts) -> ListPage[HeapLink]:
    """What only C code holds."""
    return _links(facts, "held by C code only", lambda book: book.held_from_c(ROWS), found_page)


def duplicates_page(facts: PictureFacts) -> ListPage[DuplicateText]:
    """Texts that exist more than once."""
    return ListPage(
        facts=facts,
        title="texts that exist more than once",
        fetch=lambda page, book, offset: book.duplicates(ROWS),
        header=heap.duplicate_header,
        show=heap.duplicate_row,
        text=lambda one: one.text,
        opens=lambda one: ObjectPage(facts=facts, node=one.node),
        beside=lambda: held_from_c_page(facts),
    )


def found_page(facts: PictureFacts) -> ListPage[HeapFound]:
    """Types, roots and texts that contain what was searched for."""

    def fetch(page: ListPage[HeapFound], book: Book, offset: int) -> tuple[HeapFound, ...]:
        page.empty = "Nothing was found." if page.search else "/ searches names of types and roots, and texts."
        return book.search(page.search, ROWS) if page.search else ()

    def opens(one: HeapFound) -> Page | None:
        if one.kind == "type":
            return instances_page(facts, one.label)
        return None if one.node is None else ObjectPage(facts=facts, node=one.node)

    return ListPage(
        facts=facts,
        title="search",
        fetch=fetch,
        header=heap.found_header,
        show=heap.found_row,
        text=lambda one: one.label,
        opens=opens,
        beside=lambda: types_page(facts),
        search_remote=True,
    )


def _links(
    facts: PictureFacts,
    title: str,
    ask: Callable[[Book], tuple[HeapLink, ...]],
    beside: Callable[[PictureFacts], Page],
) -> ListPage[HeapLink]:
    return ListPage(
        facts=facts,
        title=title,
        fetch=lambda page, book, offset: ask(book),
        header=heap.link_header,
        show=heap.link_row,
        text=lambda one: f"{one.label} {one.object.type}",
        opens=lambda one: ObjectPage(facts=facts, node=one.object.node),
        beside=lambda: beside(facts),
    )
