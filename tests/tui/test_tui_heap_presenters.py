"""How heap pictures and their differences read: every row fits, and nothing a target says moves the cursor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop_heap import CACHE, CHAINS, DIFF, MODULE, PAGE, TYPES, ShopBook, facts

from memtui.model.allocation import Snapshot
from memtui.model.heap import DuplicateText, HeapDiff, HeapDiffRow, HeapFound, HeapLink, HolderPath
from memtui.tui.heap_pages import ObjectPage, page_line
from memtui.tui.heap_views import instances_page, paths_page, types_page
from memtui.tui.presenters import differences, heap
from memtui.tui.presenters.heap_tree import PAGE as LINKS
from memtui.tui.presenters.heap_tree import HeapTree
from memtui.tui.presenters.line import Line, plain, width_of
from memtui.tui.presenters.text import clean

WHOLE = 33 << 20
HOSTILE = "\x1b[31mevil\x1b]0;title\x07" + "中文" * 30
texts = st.one_of(st.text(max_size=150), st.just(HOSTILE))


@given(texts, texts, st.integers(60, 200))
def test_every_row_fits(label: str, kind: str, width: int) -> None:
    one = replace(PAGE, type=kind, text=label, held_from_c=True)
    link = HeapLink(label, one)
    row = HeapDiffRow(label, 1, 2, 3, 4, 5, 6, None, 7, True, None, kind)
    tree = HeapTree(one)
    for wanted in tree.begin():
        tree.add(wanted, (link,))
    lines: list[Line] = [
        heap.type_row(replace(TYPES[0], type=kind), WHOLE, width),
        heap.object_row(one, WHOLE, width),
        heap.link_row(link, WHOLE, width),
        heap.big_row(link, WHOLE, width),
        heap.path_row(HolderPath(label, kind, 1, 2, None), WHOLE, width),
        heap.duplicate_row(DuplicateText(label, "str", 3, 4, 5), WHOLE, width),
        heap.found_row(HeapFound("text", label, kind, 3), WHOLE, width),
        heap.facts_line(facts(1), "snapshot 1", width),
        *heap.chain_lines(replace(CHAINS[PAGE.node], path=label), one, width, 6),
        *(shown for _, shown in tree.rows(width)),
        *(differences.heap_lines(HeapDiff(by, (row,), None, ""), width)[0].line for by in differences._COLUMNS),
    ]
    for shown in lines:
        assert width_of(shown) <= width
        assert plain(shown) == clean(plain(shown))


def test_a_chain_never_takes_more_rows_than_there_are() -> None:
    long = replace(CHAINS[PAGE.node], path="__main__.HEAD" + ".next" * 400)
    lines = heap.chain_lines(long, PAGE, 80, 6)
    assert len(lines) == 6
    assert "…" in plain(lines[3])
    short = heap.chain_lines(CHAINS[CACHE.node], CACHE, 80, 6)
    assert plain(short[0]) == " shop.cache._RENDERED"
    unknown = replace(CHAINS[CACHE.node], group="unknown", steps=())
    assert "C code most likely" in plain(heap.chain_lines(unknown, CACHE, 80, 6)[1])


@pytest.mark.parametrize(
    ("part", "shown"), [(0, "        "), (WHOLE, "████████"), (WHOLE // 2, "████    "), (None, "        ")]
)
def test_bars(part: int | None, shown: str) -> None:
    assert heap.bar(part, WHOLE) == shown
    assert heap.bar(part, 0) == " " * heap.BAR_WIDTH


def test_a_tree_takes_answers_only_where_they_belong() -> None:
    tree = HeapTree(CACHE)
    holders, references = tree.begin()
    links = tuple(HeapLink(f"[{number}]", PAGE) for number in range(LINKS))
    tree.add(references, links)
    tree.add(references, links)
    assert len(tree.rows(80)) == 1 + 1 + 1 + LINKS + 1, "an answer that comes twice is taken once"
    (more,) = tree.open((1, LINKS))
    assert (more.node, more.offset) == (CACHE.node, LINKS)
    tree.add(more, links[:3])
    assert len(tree.rows(80)) == 1 + 1 + 1 + LINKS + 3
    tree.add(holders, (HeapLink("._RENDERED", MODULE),))
    assert tree.open((0, 0))[0].direction == "holders"
    assert tree.find((0, 7)) is None
    assert tree.open((0, 0, 9)) == tree.open((0, 0))
    assert tree.close((0, 0)) == (0, 0)
    assert tree.close((0, 0)) == (0,)
    assert tree.close((0,)) is None


def test_a_quick_picture_is_not_asked_for_what_it_does_not_know() -> None:
    quick = replace(facts(1), quick=True)
    page = types_page(quick)
    assert page.sorts == ("size", "count", "name")
    book = ShopBook("1.memtui")
    page.fetch(page, book, 0)
    assert book.asked == ["types size"]
    assert instances_page(quick, "dict").order == "size"
    one, other = taken(quick), taken(facts(2))
    assert differences.groupings(one, other) == ("type", "line", "traceback")


def test_what_pages_are_called() -> None:
    assert plain(page_line(None, (0, 0, 0), 80)) == " enter opens a picture, s takes one"
    page = instances_page(facts(1), "shop.\x1b[31mPage")
    page.search = "x" * 40
    shown = plain(page_line(page, (1, 20, 200), 80))
    assert shown.startswith(" objects of type shop.Page")
    assert shown.endswith("sort retained  “xxxxxxxxxxxxxxx…”  1–20 of 200 ")
    assert ObjectPage(facts=facts(1), node=3).name == "object"


def test_paths_lead_to_containers_or_types() -> None:
    page = paths_page(facts(1))
    page.add((HolderPath("a[*]", "A", 3, 4, 5, 2), HolderPath("b", "B", 3, 4, 5, None)), 0)
    container, kind = page.open(0), page.open(1)
    assert isinstance(container, ObjectPage)
    assert container.node == 2
    assert kind is not None
    assert kind.name == "objects of type B"
    assert page.open(7) is None


def test_rows_of_a_difference() -> None:
    rows = differences.heap_lines(HeapDiff("holder", DIFF["holder"], None, ""), 100)
    assert [row.count for row in rows] == [546, 4_620, 120]
    assert [row.count for row in differences.arrange(rows, "objects", "")] == [4_620, 546, 120]
    assert [row.label for row in differences.arrange(rows, "name", "SHOP.e")] == ["shop.events.BUS._listeners[*]"]
    assert differences.frames_of("b.py:1 ← a.py:2") == ["b.py:1", "a.py:2"]


def taken(picture: object) -> Snapshot:
    return Snapshot(1, 0.0, 0.0, 1, None, (), 5, None, None, 0.1, picture=picture)  # type: ignore[arg-type]
