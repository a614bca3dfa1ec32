"""A heap picture to leaf through: types, their instances, who holds them, what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from memtui.errors import MemtuiError
from memtui.model.heap import PictureFacts
from memtui.model.state import EventKind, State
from memtui.session.pictures import default_name, save_picture
from memtui.tui.actions import bindings
from memtui.tui.heap_pages import MORE, ListPage, ObjectPage, Page, page_line
from memtui.tui.heap_views import types_page
from memtui.tui.presenters import heap, keys, process, requests, snapshots
from memtui.tui.presenters.line import Line, Span, line
from memtui.tui.screens.book import BookScreen
from memtui.tui.screens.fetching import Fetcher
from memtui.tui.widgets.lines import Lines
from memtui.tui.widgets.table import LineTable, Row

_CHAIN_ROWS = 6
_Shown = tuple[Line, list[Row], tuple[Line, ...]]


class HeapScreen(BookScreen[None]):
    """Pages in a pile; Enter opens one on top, Esc takes it away. Below them all is the list of pictures.

    ``page``: begin with this one, and leave with it.
    """

    CSS_PATH = "heap.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("heap"),
        Binding("left", "left", "Close", show=False),
        Binding("right", "right", "Open", show=False),
    ]

    def __init__(self, page: Page | None = None) -> None:
        super().__init__()
        self._pile: list[Page] = [page] if page is not None else []
        self._has_list = page is None
        self._awaits_first = False
        self._fetcher = Fetcher(self, self.refresh_view)

    @property
    def page(self) -> Page | None:
        """The page on top; None: the list of pictures."""
        return self._pile[-1] if self._pile else None

    def compose(self) -> ComposeResult:
        """What is looked at, over its rows."""
        for name in ("identity", "picture", "page", "chain"):
            yield Lines(id=name)
        yield Input(placeholder="what to look for; enter searches, esc clears", id="search")
        yield LineTable(id="rows")
        yield Lines(id="keys")

    def on_mount(self) -> None:
        """Begin with the types of the newest picture."""
        self._table.focus()
        self._awaits_first = self._has_list
        self._open_first()
        self._fetcher.begin(self.page)
        self.call_after_refresh(self.begin)

    def show_state(self, state: State) -> None:
        """The head, and the rows of the page on top."""
        if self._open_first():
            self._fetcher.begin(self.page)
        width, page = self.size.width, self.page
        self._lines("identity").show([process.identity(state, width, progress=True)])
        self._lines("keys").show([keys.footer("heap", self.settings.keys, width, hidden=self._hidden(state))])
        self.set_class(isinstance(page, ObjectPage), "-object")
        header, rows, empty = self._rows(max(20, self._table.size.width - 1))
        self._table.show_rows(header if rows else (), rows, empty)
        self._lines("picture").show([self._picture_line(width)])
        self._lines("page").show([page_line(page, self._table.shown, width)])

    def _pictures(self) -> list[PictureFacts]:
        return [one.picture for one in self.state.snapshots if one.picture is not None]

    def _open_first(self) -> bool:
        """Open the newest picture, once there is one; whether that was done now."""
        facts = self._pictures()
        if not self._awaits_first or not facts:
            return False
        self._awaits_first = False
        self._pile = [types_page(facts[-1])]
        return True

    def _rows(self, width: int) -> _Shown:
        page = self.page
        if page is None:
            kept = [one for one in self.state.snapshots if one.picture is not None]
            rows = [
                Row(one.number, snapshots.list_row(one, "", self.name_of(one) if self.memtui.files else ""))
                for one in kept
            ]
            return snapshots.list_header(), rows, heap.paragraph(snapshots.no_picture(self.state), width)
        if page.error:
            return (), [], heap.paragraph(page.error, width, "bad")
        if isinstance(page, ObjectPage):
            return self._object_rows(page, width)
        assert isinstance(page, ListPage)
        rows = [Row(key, shown) for key, shown in page.rows(width)]
        return page.header(width), rows, heap.paragraph(page.empty if page.fetched else "…", width)

    def _object_rows(self, page: ObjectPage, width: int) -> _Shown:
        chain = self._lines("chain")
        if page.tree is None or page.chain is None:
            chain.show([])
            return (), [], heap.paragraph("…", width)
        chain.show(heap.chain_lines(page.chain, page.tree.root, self.size.width, _CHAIN_ROWS))
        return heap.tree_header(width), [Row(key, shown) for key, shown in page.tree.rows(width)], ()

    def _picture_line(self, width: int) -> Line:
        if self.page is None:
            return line(Span(" heap pictures", "title"))
        facts = self.page.facts
        taken = next((one for one in self.state.snapshots if one.picture == facts), None)
        return heap.facts_line(facts, self.name_of(taken) if taken else Path(facts.path).name, width)

    def _hidden(self, state: State) -> list[str]:
        page = self.page
        hidden = ["heap", "native", *([] if requests.needs_agent(state) else ["attach"])]
        hidden += [] if isinstance(page, ObjectPage) else ["heap-look"]
        hidden += [] if isinstance(page, ListPage) else ["heap-search", "heap-view"]
        hidden += [] if isinstance(page, ListPage) and page.sorts else ["heap-sort"]
        return [*hidden, *([] if page else ["heap-save"]), *self.memtui.hidden]

    # -- moving between pages -------------------------------------------------------------------------------------

    def open_page(self, page: Page, *, instead: bool = False) -> None:
        """Put a page on top of the others, or in the place of the one on top."""
        if self.page is not None:
            self.page.cursor = self._table.cursor_key
            if instead:
                self._pile.pop()
        self._pile.append(page)
        self._turned()

    def action_heap_back(self) -> None:
        """Close the search; else the page before, and before the first one the screen that was here."""
        entry = self.query_one("#search", Input)
        if entry.has_class("-open"):
            entry.value = ""
            self._search("")
        elif isinstance(self.page, ListPage) and self.page.search:
            self._search("")
        elif len(self._pile) > (0 if self._has_list else 1):
            self._pile.pop()
            self._turned()
        elif len(self.app.screen_stack) > 1:
            self.dismiss(None)

    def _turned(self) -> None:
        self._fetcher.begin(self.page)
        self.refresh_view()
        self._table.go_to(self.page.cursor if self.page else None)
        self.refresh_view()

    @on(LineTable.Chosen, "#rows")
    def _chosen(self, event: LineTable.Chosen) -> None:
        page = self.page
        if page is None:
            facts = next(one.picture for one in self.state.snapshots if one.number == event.key)
            if facts is not None:
                self.open_page(types_page(facts))
        elif isinstance(page, ObjectPage):
            self._toggle(page, cast("tuple[int, ...]", event.key))
        elif isinstance(page, ListPage) and event.key == MORE:
            self._fetcher.rows(page)
        elif isinstance(page, ListPage) and (opened := page.open(event.key)) is not None:
            self.open_page(opened)

    def _toggle(self, page: ObjectPage, key: tuple[int, ...]) -> None:
        branch = page.tree.find(key) if page.tree else None
        if branch is not None and branch.open:
            branch.open = False
            self.refresh_view()
        else:
            self._fetcher.branch(page, key)

    def action_right(self) -> None:
        """Open the row under the cursor."""
        self._table.action_choose()

    def action_left(self) -> None:
        """Close the branch under the cursor, or the one it is on; elsewhere the page before."""
        page, key = self.page, self._table.cursor_key
        if not isinstance(page, ObjectPage) or page.tree is None:
            self.action_heap_back()
            return
        above = page.tree.close(cast("tuple[int, ...]", key)) if key is not None else None
        if above is None:
            self.action_heap_back()
        else:
            self.refresh_view()
            self._table.go_to(above)

    # -- what else the keys do ------------------------------------------------------------------------------------

    def action_heap_view(self) -> None:
        """The next of the pages that look at the same."""
        if self.page is not None and self.page.beside is not None:
            self.open_page(self.page.beside(), instead=True)

    def action_heap_sort(self) -> None:
        """The next order of the rows."""
        page = self.page
        if isinstance(page, ListPage) and page.sorts:
            page.sort = (page.sort + 1) % len(page.sorts)
            page.forget()
            self._turned()

    def action_heap_look(self) -> None:
        """The object under the cursor of a tree becomes that of a page of its own."""
        page, key = self.page, self._table.cursor_key
        if isinstance(page, ObjectPage) and page.tree is not None and key is not None:
            branch = page.tree.find(cast("tuple[int, ...]", key))
            if branch is not None and branch.link is not None:
                self.open_page(ObjectPage(facts=page.facts, node=branch.node))

    def action_heap_search(self) -> None:
        """Open the line for the search."""
        if isinstance(self.page, ListPage):
            entry = self.query_one("#search", Input)
            entry.add_class("-open")
            entry.focus()

    def action_heap_save(self) -> None:
        """Copy the picture to a file in the current directory, and say where it is."""
        if self.page is not None:
            self.run_worker(lambda facts=self.page.facts: self._save(facts), thread=True)

    def _save(self, facts: PictureFacts) -> None:
        try:
            taken = next(one.taken_at for one in self.state.snapshots if one.picture == facts)
            path = save_picture(facts.path, Path.cwd(), default_name(facts.pid, taken))
        except (MemtuiError, OSError, StopIteration) as error:
            self.app.call_from_thread(self.memtui.log_locally, EventKind.ERROR, f"Not written: {error}")
        else:
            self.app.call_from_thread(self.memtui.log_locally, EventKind.INFO, f"Picture written to {path}")

    @on(Input.Submitted, "#search")
    def _searched(self, event: Input.Submitted) -> None:
        self._search(event.value.strip())

    def _search(self, text: str) -> None:
        self.query_one("#search").remove_class("-open")
        self._table.focus()
        page = self.page
        if isinstance(page, ListPage) and page.search != text:
            page.search = text
            if page.search_remote:
                page.forget()
        self._turned()

    @property
    def _table(self) -> LineTable:
        return self.query_one("#rows", LineTable)

    def _lines(self, name: str) -> Lines:
        return self.query_one(f"#{name}", Lines)
