"""What a page of the heap screen is: a list that is fetched piece by piece, or one object."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from memtui.model.heap import HolderChain, PictureFacts
from memtui.tui.books import Book
from memtui.tui.presenters.heap import more_row
from memtui.tui.presenters.heap_tree import HeapTree
from memtui.tui.presenters.line import Line, Span, line, spread
from memtui.tui.presenters.text import clean, cut_end

ROWS = 200
"""Rows fetched at a time."""
MORE = "more"
"""Key of the row that fetches more."""
Item = TypeVar("Item")


@dataclass(eq=False, kw_only=True)
class Page:
    """Something of one picture that fills the screen. ``cursor`` is remembered while another page is on top.

    ``beside`` makes the page that looks at the same in another way. ``error``: why nothing could be fetched.
    """

    facts: PictureFacts
    beside: Callable[[], Page] | None = None
    cursor: Hashable | None = None
    error: str = ""

    @property
    def name(self) -> str:
        """What the page shows."""
        raise NotImplementedError


@dataclass(eq=False, kw_only=True)
class ListPage(Page, Generic[Item]):
    """A list. ``fetch`` asks a picture for the rows after so many (in another thread, may raise MemtuiError).

    ``text`` is what a search looks at, unless the picture itself searches (``search_remote``). ``opens`` makes the
    page of a row. A list that is not ``endless`` is fetched once.
    """

    title: str
    fetch: Callable[[ListPage[Item], Book, int], tuple[Item, ...]]
    header: Callable[[int], Line]
    show: Callable[[Item, int, int], Line]
    text: Callable[[Item], str]
    opens: Callable[[Item], Page | None]
    sorts: tuple[str, ...] = ()
    search_remote: bool = False
    endless: bool = False
    empty: str = "Nothing."
    items: list[Item] = field(default_factory=list)
    fetched: bool = False
    complete: bool = False
    search: str = ""
    sort: int = 0

    @property
    def name(self) -> str:
        """The title, cleaned."""
        return clean(self.title)

    @property
    def order(self) -> str:
        """The order the rows are in; empty where there is only one."""
        return self.sorts[self.sort] if self.sorts else ""

    def forget(self) -> None:
        """Fetch anew: order or search have changed."""
        self.items, self.fetched, self.complete, self.error, self.cursor = [], False, False, "", None

    def add(self, items: tuple[Item, ...], offset: int) -> None:
        """Rows that were fetched."""
        if offset == len(self.items):
            self.items += items
            self.fetched, self.complete = True, not self.endless or len(items) < ROWS

    def rows(self, width: int) -> list[tuple[Hashable, Line]]:
        """The rows that pass the search, with their numbers in the list, and one that fetches more."""
        wanted = "" if self.search_remote else self.search.casefold()
        shown: list[tuple[Hashable, Line]] = [
            (index, self.show(item, self.facts.size_bytes, width))
            for index, item in enumerate(self.items)
            if not wanted or wanted in self.text(item).casefold()
        ]
        if self.fetched and not self.complete:
            shown.append((MORE, more_row()))
        return shown

    def open(self, key: Hashable) -> Page | None:
        """The page of the row with this key."""
        return self.opens(self.items[key]) if isinstance(key, int) and key < len(self.items) else None


@dataclass(eq=False, kw_only=True)
class ObjectPage(Page):
    """One object: its chain to a root, what holds it, what it holds; None until they were fetched."""

    node: int
    tree: HeapTree | None = None
    chain: HolderChain | None = None

    @property
    def name(self) -> str:
        """The object's type."""
        return "object" if self.tree is None else f"object of type {clean(self.tree.root.type)}"


def page_line(page: Page | None, shown: tuple[int, int, int], width: int) -> Line:
    """What a page shows, how it is sorted and searched, and which of its rows are on the screen (``shown``)."""
    if page is None:
        return line(Span(" enter opens a picture, s takes one", "dim"))
    right: list[str | Span] = []
    if isinstance(page, ListPage):
        right += [Span("sort ", "dim"), page.order, "  "] if page.order else []
        right += [Span(f"“{cut_end(clean(page.search), 16)}”  ", "warn")] if page.search else []
        right += [Span(f"{shown[0]}–{shown[1]} of {shown[2]} ", "dim")] if shown[2] else []
    return spread(line(Span(f" {page.name}", "title")), line(*right), width)
