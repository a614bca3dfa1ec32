"""Two snapshots compared."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input

from memtui.analysis.diff import diff_snapshots
from memtui.model.allocation import Snapshot
from memtui.model.heap import HeapDiff, HeapDiffBy
from memtui.model.state import State
from memtui.tui.actions import bindings
from memtui.tui.books import Book
from memtui.tui.heap_pages import ObjectPage
from memtui.tui.heap_views import paths_page
from memtui.tui.presenters import differences, keys, process, requests, snapshots
from memtui.tui.presenters.differences import DiffLine
from memtui.tui.presenters.heap import paragraph
from memtui.tui.presenters.line import Line, Span, line
from memtui.tui.screens.book import BookScreen
from memtui.tui.widgets.lines import Lines
from memtui.tui.widgets.table import LineTable, Row

_ROWS = 500
_Pair = tuple[Snapshot, Snapshot]


class DiffScreen(BookScreen[None]):
    """The list of snapshots, of which two are marked, over the difference of these two.

    Heap pictures are compared by the process that has them open; what it answered is remembered.
    """

    CSS_PATH = "diff.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("diff"),
        Binding("d", "close", "Back", show=False),
        Binding("left", "close", "Back", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.by: differences.By | None = None
        self.sort = differences.SORTS[0]
        self.filter = ""
        self._first: int | None = None
        self._second: int | None = None
        self._answers: dict[tuple[int, int, HeapDiffBy], HeapDiff | str] = {}
        self._shown: list[DiffLine] = []

    def compose(self) -> ComposeResult:
        """List, note, table, keys."""
        yield Lines(id="identity")
        with Vertical(id="snapshots-panel", classes="panel") as panel:
            panel.border_title = " snapshots "
            yield LineTable(id="snapshots")
        with Vertical(id="diff-panel", classes="panel") as panel:
            panel.border_title = " difference "
            yield Lines(id="note")
            yield Input(placeholder="show only rows with this text; enter keeps it, esc clears it", id="filter")
            yield LineTable(id="rows")
        yield Lines(id="keys")

    def on_mount(self) -> None:
        """Mark the last two snapshots."""
        self._mark_missing(self.state.snapshots)
        self.query_one("#rows" if self._second is not None else "#snapshots").focus()
        self.call_after_refresh(self.begin)

    def show_state(self, state: State) -> None:
        """The list may have grown; the difference changes only with the marks."""
        self._mark_missing(state.snapshots)
        width = self.size.width
        self.query_one("#identity", Lines).show([process.identity(state, width, progress=True)])
        hidden = ["diff", "native", *self.memtui.hidden, *([] if requests.needs_agent(state) else ["attach"])]
        self.query_one("#keys", Lines).show([keys.footer("diff", self.settings.keys, width, hidden=hidden)])
        rows = [
            Row(one.number, snapshots.list_row(one, self._mark(one.number), self._file_of(one)))
            for one in state.snapshots
        ]
        table = self.query_one("#snapshots", LineTable)
        table.show_rows(snapshots.list_header() if rows else (), rows, snapshots.too_few(len(rows)))
        table.styles.height = max(3, len(rows) + 1)
        self._show_difference(self._pair())

    def action_diff_from(self) -> None:
        """The snapshot under the cursor is what is compared from."""
        self._first = self._under_cursor() or self._first
        self.refresh_view()

    def action_diff_to(self) -> None:
        """The snapshot under the cursor is what is compared to."""
        self._second = self._under_cursor() or self._second
        self.refresh_view()

    def action_diff_by(self) -> None:
        """The next grouping that these two snapshots know."""
        if (pair := self._pair()) is not None:
            ways = differences.groupings(*pair)
            self.by = ways[(ways.index(self._by(pair)) + 1) % len(ways)]
            self.refresh_view()
            self.query_one("#rows", LineTable).go_to(None)

    def action_diff_sort(self) -> None:
        """The next order of the rows."""
        sorts = differences.SORTS
        self.sort = sorts[(sorts.index(self.sort) + 1) % len(sorts)]
        self.refresh_view()

    def action_diff_filter(self) -> None:
        """Open the line for the filter."""
        self.query_one("#filter").add_class("-open").focus()

    def action_close(self) -> None:
        """Clear the filter, or go back to the screen before."""
        if self.query_one("#filter").has_class("-open") or self.filter:
            self.query_one("#filter", Input).value = ""
            self._close_filter()
        else:
            self.dismiss(None)

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self.filter = event.value.strip()
        self.refresh_view()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        self.query_one("#filter").remove_class("-open")
        self.query_one("#rows").focus()

    @on(LineTable.Chosen, "#snapshots")
    def _chosen(self) -> None:
        self.action_diff_to()

    @on(LineTable.Chosen, "#rows")
    def _open_row(self, event: LineTable.Chosen) -> None:
        """A holder's object, where the objects of a type hang, or every frame of a traceback."""
        from memtui.tui.screens.detail import TextScreen
        from memtui.tui.screens.heap import HeapScreen

        pair = self._pair()
        row = next((one.source for one in self._shown if one.label == event.key), None)
        if pair is None or row is None or pair[1].picture is None:
            return
        if self.by in ("line", "traceback"):
            self.app.push_screen(TextScreen("allocated at, newest frame first", differences.frames_of(row.label)))
        elif self.by == "holder" and row.node is not None:
            self.app.push_screen(HeapScreen(ObjectPage(facts=pair[1].picture, node=row.node)))
        elif not pair[1].picture.quick:
            self.app.push_screen(HeapScreen(paths_page(pair[1].picture, row.type or row.label)))

    def _under_cursor(self) -> int | None:
        key = self.query_one("#snapshots", LineTable).cursor_key
        return key if isinstance(key, int) else None

    def _mark_missing(self, taken: tuple[Snapshot, ...]) -> None:
        numbers = [one.number for one in taken]
        if self._first not in numbers or self._second not in numbers:
            self._first, self._second = (numbers[-2], numbers[-1]) if len(numbers) >= 2 else (None, None)

    def _mark(self, number: int) -> str:
        return "from" if number == self._first else "to" if number == self._second else ""

    def _file_of(self, snapshot: Snapshot) -> str:
        return self.name_of(snapshot) if self.memtui.files else ""

    def _pair(self) -> _Pair | None:
        taken = {one.number: one for one in self.state.snapshots}
        first, second = taken.get(self._first or 0), taken.get(self._second or 0)
        if first is None or second is None:
            return None
        return self.memtui.comparable(first), self.memtui.comparable(second)

    def _by(self, pair: _Pair) -> differences.By:
        """The grouping asked for, where these two snapshots know it; else the one that tells most."""
        ways = differences.groupings(*pair)
        return self.by if self.by in ways else ways[0]

    def _show_difference(self, pair: _Pair | None) -> None:
        note, table = self.query_one("#note", Lines), self.query_one("#rows", LineTable)
        if pair is None:
            note.show(snapshots.too_few(len(self.state.snapshots)) if self.state.snapshots else [])
            table.show_rows((), ())
            return
        self.by = self._by(pair)
        width = table.size.width - 1
        header, text, rows = self._difference(pair, width)
        self._shown = differences.arrange(rows or [], self.sort, self.filter)
        note.show([self._heading(note.size.width), *snapshots.note_lines(text, note.size.width)])
        empty = () if rows is not None else paragraph("…", width)
        table.show_rows(header if self._shown else (), [Row(one.label, one.line) for one in self._shown], empty)

    def _heading(self, width: int) -> Line:
        words: list[str | Span] = [Span("by ", "dim"), Span(str(self.by), "title"), Span("  sort ", "dim"), self.sort]
        if self.filter:
            words += [Span("  filter ", "dim"), Span(f"“{self.filter}”", "warn")]
        return line(*words)

    def _difference(self, pair: _Pair, width: int) -> tuple[Line, str, list[DiffLine] | None]:
        """Header, note and rows; None while they are asked for."""
        by = self._by(pair)
        asked = differences.asks_pictures(*pair, by)
        if asked is None:
            plain = cast("Literal['line', 'file', 'type']", by)
            diff = snapshots.with_sources(diff_snapshots(*pair, plain), self.state.allocations)
            return snapshots.diff_header(plain, width), diff.note, differences.snapshot_lines(diff, width)
        answer = self._answers.get((pair[0].number, pair[1].number, asked))
        if answer is None:
            self._ask_pictures(pair, asked)
            return (), "The two pictures are being compared…", None
        if isinstance(answer, str):
            return (), answer, []
        return differences.heap_header(asked, width), answer.note, differences.heap_lines(answer, width)

    def _ask_pictures(self, pair: _Pair, by: HeapDiffBy) -> None:
        key = (pair[0].number, pair[1].number, by)
        slot = f"diff {key}"
        before, after = pair[0].picture, pair[1].picture
        if self.waits(slot) or before is None or after is None:
            return

        def question(book: Book) -> HeapDiff:
            return book.diff(before.path, by, _ROWS)

        self.ask(slot, after.path, question, partial(self._answer, key), partial(self._answer, key))

    def _answer(self, key: tuple[int, int, HeapDiffBy], answer: HeapDiff | str) -> None:
        self._answers[key] = answer
        self.refresh_view()
