"""What the pages of the heap screen need of their pictures: asked for when they are on top, put into them later."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from memtui.model.heap import HeapLink, HeapObject, HolderChain
from memtui.tui.books import Book
from memtui.tui.heap_pages import ListPage, ObjectPage, Page
from memtui.tui.presenters.heap_tree import PAGE, HeapTree, Wanted
from memtui.tui.screens.book import BookScreen


class Fetcher:
    """Asks through ``screen``; ``changed`` is called when a page has got something."""

    def __init__(self, screen: BookScreen[None], changed: Callable[[], None]) -> None:
        self._screen = screen
        self._changed = changed

    def begin(self, page: Page | None) -> None:
        """Fetch what a page shows first, unless that was done."""
        if isinstance(page, ObjectPage) and page.tree is None:
            self._object(page)
        elif isinstance(page, ListPage) and not page.fetched:
            self.rows(page)

    def rows(self, page: ListPage[Any]) -> None:
        """Fetch the next rows of a list."""
        offset = len(page.items)

        def then(items: tuple[Any, ...]) -> None:
            page.add(items, offset)
            self._changed()

        self._ask("rows", page, lambda book: page.fetch(page, book, offset), then)

    def branch(self, page: ObjectPage, key: tuple[int, ...]) -> None:
        """Open a branch of a tree, and fetch what is below it."""
        if page.tree is not None:
            self._links(page, page.tree.open(key))

    def _object(self, page: ObjectPage) -> None:
        def question(book: Book) -> tuple[HeapObject, HolderChain]:
            return book.object(page.node), book.chain(page.node)

        def then(answer: tuple[HeapObject, HolderChain]) -> None:
            page.tree, page.chain = HeapTree(answer[0]), answer[1]
            self._links(page, page.tree.begin())

        self._ask("object", page, question, then)

    def _links(self, page: ObjectPage, wanted: list[Wanted]) -> None:
        for one in wanted:
            self._ask(f"links {one.key}", page, partial(_links_of, one), partial(self._have_links, page, one))
        self._changed()

    def _have_links(self, page: ObjectPage, wanted: Wanted, links: tuple[HeapLink, ...]) -> None:
        if page.tree is not None:
            page.tree.add(wanted, links)
        self._changed()

    def _ask(self, what: str, page: Page, question: Callable[[Book], Any], then: Callable[[Any], None]) -> None:
        def refused(why: str) -> None:
            page.error = why
            self._changed()

        self._screen.ask(f"{what} of {id(page)}", page.facts.path, question, then, refused)


def _links_of(wanted: Wanted, book: Book) -> tuple[HeapLink, ...]:
    fetch = book.holders if wanted.direction == "holders" else book.references
    return fetch(wanted.node, wanted.offset, PAGE)
