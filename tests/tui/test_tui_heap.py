"""The heap screen and the difference of pictures, by their keys."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from screen_text import text_of, until
from shop_heap import Library, with_pictures
from test_tui_sizes import drawn

from memtui.errors import MemtuiError
from memtui.model.state import Picturing, State
from memtui.session.scripted import ScriptedSession
from memtui.tui.app import FilesApp, MemtuiApp
from memtui.tui.books import OPEN_BOUND, Shelf
from memtui.tui.screens.dashboard import DashboardScreen
from memtui.tui.screens.detail import TextScreen
from memtui.tui.screens.diff import DiffScreen
from memtui.tui.screens.heap import HeapScreen
from memtui.tui.settings import Settings

Make = Callable[..., MemtuiApp]
SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)])


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def pictured(states: tuple[State, ...]) -> State:
    """The last state of the shop, with three heap pictures."""
    return with_pictures(states[-1])


@pytest.fixture
def make(settings: Settings, library: Library, exports: Callable[[State], Path]) -> Make:
    def made(*states: State, files: bool = False) -> MemtuiApp:
        kind = FilesApp if files else MemtuiApp
        return kind(ScriptedSession(states), exporter=exports, settings=settings, shelf=Shelf(library))

    return made


def rows(app: MemtuiApp) -> str:
    return text_of(app, "#rows")


@SIZES
async def test_from_types_to_an_object_and_back(
    make: Make, pictured: State, library: Library, size: tuple[int, int]
) -> None:
    app = make(pictured)
    async with app.run_test(size=size) as pilot:
        await pilot.press("h")
        await until(pilot, lambda: "shop.cache.Page" in rows(app))
        assert isinstance(app.screen, HeapScreen)
        assert "snapshot 3  209,004 objects  33.0 MiB  process stopped for 4.2 ms" in text_of(app, "#picture")
        assert "█" in rows(app)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "at 0x7f0000004000" in rows(app))
        assert "objects of type shop.cache.Page" in text_of(app, "#page")
        await pilot.press("enter")
        await until(pilot, lambda: ".body" in rows(app) and "['/basket/17']" in rows(app))
        chain = text_of(app, "#chain")
        assert chain.splitlines()[0] == " shop.cache._RENDERED['/basket/17']"
        assert "held by a module, 4 steps: dict > module > dict > shop.cache.Page" in chain
        assert "keeps 5.7 KiB alive" in chain
        assert "b'<html>" in rows(app)
        await pilot.press("escape")
        await until(pilot, lambda: "at 0x7f0000004000" in rows(app))
        await pilot.press("escape")
        await until(pilot, lambda: "shop.orders.Order" in rows(app))
        assert any("▸" in row and "shop.cache.Page" in row for row in rows(app).splitlines()), "the cursor is kept"
        await pilot.press("escape")
        await until(pilot, lambda: rows(app).count("MiB") == 3)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))
        assert all(book.path == "/private/3.memtui" for book in library.books)


async def test_another_picture_is_chosen_from_the_list(make: Make, pictured: State, library: Library) -> None:
    app = make(pictured)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h", "escape")
        await until(pilot, lambda: "stop 4.2 ms" in rows(app))
        await pilot.press("enter")
        await until(pilot, lambda: "snapshot 1" in text_of(app, "#picture") and "bytes" in rows(app))
        assert library.books[-1].path == "/private/1.memtui"


async def test_a_tree_opens_and_closes_by_the_arrows(make: Make, pictured: State, library: Library) -> None:
    app = make(pictured)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("h", "v")
        await until(pilot, lambda: "shop.orders.ORDERS" in rows(app))
        await pilot.press("enter")
        await until(pilot, lambda: "['/basket/0']" in rows(app) and "._RENDERED" in rows(app))
        assert "more…" not in rows(app), "it is below the screen"
        await pilot.press("end")
        await until(pilot, lambda: "more…" in rows(app))
        await pilot.press("enter")
        await until(pilot, lambda: "['/basket/50']" in rows(app))
        assert [one for one in library.asked if one.startswith("references 2 ")] == [
            "references 2 0",
            "references 2 50",
        ]
        await pilot.press("right")
        await until(pilot, lambda: ".body" in rows(app))
        await pilot.press("left")
        await until(pilot, lambda: ".body" not in rows(app))
        await pilot.press("left")
        await until(pilot, lambda: "['/basket/0']" not in rows(app))
        await pilot.press("right")
        await until(pilot, lambda: "['/basket/0']" in rows(app))
        assert len([one for one in library.asked if one == "references 2 0"]) == 1, "what is known is not asked again"
        await pilot.press("down", "f")
        await until(pilot, lambda: "shop.cache._RENDERED['/basket/17']" in text_of(app, "#chain"))


async def test_the_end_of_a_branch_says_so(make: Make, pictured: State) -> None:
    app = make(pictured)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h", "down", "enter")
        await until(pilot, lambda: "at 0x7f0000004000" in rows(app))
        await pilot.press("enter")
        await until(pilot, lambda: ".body" in rows(app))
        await pilot.press("end", "up", "enter")
        await until(pilot, lambda: "nothing" in rows(app))


@SIZES
async def test_all_views(make: Make, pictured: State, size: tuple[int, int]) -> None:
    app = make(pictured)
    expected = [
        "shop.cache._RENDERED dict", "thread 4243", "shop.orders.ORDERS list", "<nav class='top'>",
        "(held from C) tuple", "/ searches names", "shop.cache.Page",
    ]  # fmt: skip
    async with app.run_test(size=size) as pilot:
        await pilot.press("h")
        for text in expected:
            await pilot.press("v")
            await until(pilot, lambda text=text: text in rows(app))  # type: ignore[misc]
        assert "types" in text_of(app, "#page")


async def test_where_the_objects_of_a_type_hang(make: Make, pictured: State, library: Library) -> None:
    app = make(pictured)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h", "down", "enter", "v")
        await until(pilot, lambda: "shop.cache._RENDERED[*]" in rows(app))
        assert library.asked[-1] == "paths shop.cache.Page"
        await pilot.press("enter")
        await until(pilot, lambda: " shop.cache._RENDERED\n" in text_of(app, "#chain"))
        await pilot.press("escape", "v")
        await until(pilot, lambda: "objects of type" in text_of(app, "#page"))


async def test_types_are_sorted_and_searched_by_the_picture(make: Make, pictured: State, library: Library) -> None:
    app = make(pictured)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h", "o", "o")
        await until(pilot, lambda: "sort count" in text_of(app, "#page") and "88,001" in rows(app).splitlines()[1])
        await pilot.press("slash", *"shop", "enter")
        await until(pilot, lambda: "“shop”" in text_of(app, "#page") and "bytes" not in rows(app))
        assert library.asked[-1] == "types count shop"
        await pilot.press("escape")
        await until(pilot, lambda: "bytes" in rows(app) and "“shop”" not in text_of(app))


async def test_more_rows_come_when_they_are_asked_for(make: Make, pictured: State, library: Library) -> None:
    app = make(pictured)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h", "down", "enter")
        await until(pilot, lambda: "of 201" in text_of(app, "#page"))
        await pilot.press("end", "enter")
        await until(pilot, lambda: "of 401" in text_of(app, "#page"))
        await pilot.press("end", "enter")
        await until(pilot, lambda: "of 451" in text_of(app, "#page"))
        assert library.asked[-3:] == [f"instances shop.cache.Page {offset}" for offset in (0, 200, 400)]
        await pilot.press("slash", *"7f0000004040", "enter")
        await until(pilot, lambda: rows(app).count("0x7f") == 1)


async def test_search_everywhere(make: Make, pictured: State) -> None:
    app = make(pictured)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h", *"vvvvvv")
        await until(pilot, lambda: "/ searches names" in rows(app))
        await pilot.press("slash", *"bask", "enter")
        await until(pilot, lambda: "text   /basket/17 str" in rows(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "bytes: keeps" in text_of(app, "#chain"))


async def test_without_a_picture_it_says_what_to_do(make: Make, states: tuple[State, ...]) -> None:
    app = make(states[-1])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h")
        await until(pilot, lambda: "s takes one" in rows(app))
        app.session.play(replace(states[-1], picturing=Picturing("references", 0.4)))  # type: ignore[attr-defined]
        await until(pilot, lambda: "being taken: references" in rows(app) and "40 %" in text_of(app, "#identity"))
        app.session.play(with_pictures(states[-1]))  # type: ignore[attr-defined]
        await until(pilot, lambda: "shop.cache.Page" in rows(app))
        await pilot.press("escape")
        await until(pilot, lambda: rows(app).count("stop 4.2 ms") == 3)


async def test_the_screen_goes_on_while_the_picture_thinks(make: Make, pictured: State, library: Library) -> None:
    app = make(pictured)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h")
        await until(pilot, lambda: "shop.cache.Page" in rows(app))
        library.books[0].gate.clear()
        await pilot.press("down", "enter")
        await until(pilot, lambda: "…" in rows(app) and "instances" in library.asked[-1])
        await pilot.press("escape")
        await until(pilot, lambda: "shop.orders.Order" in rows(app))
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
    assert library.books[0].closed


async def test_an_error_is_shown_and_the_picture_opened_anew(make: Make, pictured: State, library: Library) -> None:
    app = make(pictured)
    library.error = MemtuiError("The process that reads the picture ended.", why="It was killed.")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("h")
        await until(pilot, lambda: "ended. It was killed." in rows(app))
        library.error = None
        await pilot.press("v")
        await until(pilot, lambda: "shop.orders.ORDERS" in rows(app))
        assert [book.closed for book in library.books] == [True, False]


async def test_a_picture_is_written_to_a_file(
    make: Make, pictured: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    private = tmp_path / "private"
    private.mkdir()
    (private / "3.memtui").write_bytes(b"a picture")
    last = pictured.snapshots[-1]
    assert last.picture is not None
    moved = replace(last, picture=replace(last.picture, path=str(private / "3.memtui")))
    app = make(replace(pictured, snapshots=(moved,)))
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("h", "w")
        await until(pilot, lambda: any("Picture written to" in one.text for one in app.local_events))
        (written,) = [name for name in os.listdir(tmp_path) if name.endswith(".memtui")]
        assert written.startswith("4242-20")
        assert (tmp_path / written).read_bytes() == b"a picture"
        (private / "3.memtui").unlink()
        await pilot.press("w")
        await until(pilot, lambda: any("No such file" in one.text for one in app.local_events))
        assert [name for name in os.listdir(tmp_path) if name.startswith(".memtui")] == []


@SIZES
async def test_the_difference_of_pictures_begins_with_the_holders(
    make: Make, pictured: State, library: Library, size: tuple[int, int]
) -> None:
    app = make(pictured)
    async with app.run_test(size=size) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: "shop.cache._RENDERED[*]" in rows(app))
        first, second, third = rows(app).splitlines()[1:]
        assert "+3.1 MiB      +546      +546  shop.cache._RENDERED[*]" in first
        assert "+18.6 KiB      +120      +120  shop.events" in third
        assert "shop.orders.ORDERS[*]" in second
        assert "new" in third
        assert "Pictures 2 and 3, 60 s apart." in text_of(app, "#note")
        assert library.asked == ["diff 2 holder"]
        await pilot.press("enter")
        await until(pilot, lambda: " shop.cache._RENDERED\n" in text_of(app, "#chain"))
        await until(pilot, lambda: "['/basket/0']" in rows(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DiffScreen))
        await pilot.press("b")
        await until(pilot, lambda: "–   -5.9 KiB        -9        31  frame" in rows(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: library.asked[-1] == "paths shop.orders.Order")
        await pilot.press("escape", "b")
        await until(pilot, lambda: "orders.py:42" in rows(app))
        await pilot.press("b", "enter")
        await until(pilot, lambda: isinstance(app.screen, TextScreen))
        assert text_of(app, "#text").splitlines() == ["/srv/shop/shop/orders.py:42", "/srv/shop/shop/main.py:9"]
        await pilot.press("escape", "b")
        await until(pilot, lambda: "shop.cache._RENDERED[*]" in rows(app))
        assert library.asked.count("diff 2 holder") == 1, "an answer is remembered"


async def test_a_difference_is_sorted_and_filtered(make: Make, pictured: State) -> None:
    app = make(pictured)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: "ORDERS" in rows(app))
        await pilot.press("o")
        await until(pilot, lambda: "ORDERS" in rows(app).splitlines()[1] and "sort objects" in text_of(app, "#note"))
        await pilot.press("slash", *"bus", "enter")
        await until(pilot, lambda: "_listeners" in rows(app) and "ORDERS" not in rows(app))
        await pilot.press("escape")
        await until(pilot, lambda: "ORDERS" in rows(app))
        assert isinstance(app.screen, DiffScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, DashboardScreen))


async def test_traced_pictures_know_lines_with_their_source_and_files(make: Make, states: tuple[State, ...]) -> None:
    app = make(with_pictures(states[-1], traced=True))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("d", "b", "b")
        await until(pilot, lambda: "ORDERS.append(Order(customer" in rows(app))
        await pilot.press("b", "b")
        await until(pilot, lambda: "orders.py " in rows(app) and "by file" in text_of(app, "#note"))


async def test_a_picture_and_type_counts_are_not_compared_by_type(make: Make, pictured: State) -> None:
    first, *others = pictured.snapshots
    app = make(replace(pictured, snapshots=(replace(first, picture=None), others[0])))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("d")
        await until(pilot, lambda: "counts all objects" in " ".join(text_of(app, "#note").split()))


async def test_files_are_opened_without_a_process(make: Make, pictured: State) -> None:
    app = make(replace(pictured, snapshots=pictured.snapshots[:1]), files=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "shop.cache.Page" in rows(app))
        assert "1.memtui" in text_of(app, "#picture")
        assert "Snapshot" not in text_of(app, "#keys")
        await pilot.press("s", "e", "t", "escape", "escape", "escape")
        await until(pilot, lambda: "1.memtui" in rows(app))
        assert app.session.requests == []  # type: ignore[attr-defined]
        assert isinstance(app.screen, HeapScreen)


async def test_two_files_open_with_their_difference(make: Make, pictured: State) -> None:
    app = make(replace(pictured, snapshots=pictured.snapshots[:2]), files=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "shop.cache._RENDERED[*]" in rows(app))
        assert "2.memtui" in text_of(app, "#snapshots")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, HeapScreen))


@pytest.mark.parametrize("size", [(1, 1), (20, 6), (40, 10), (60, 15), (200, 60)])
async def test_no_screen_crashes_at_any_size(make: Make, pictured: State, size: tuple[int, int]) -> None:
    app = make(pictured)
    async with app.run_test(size=size) as pilot:
        for keys in (
            ["h"],
            ["down", "enter"],
            ["enter"],
            ["right", "right", "left"],
            ["escape", "v"],
            ["slash", "x"],
        ):
            await pilot.press(*keys)
            await pilot.pause(0.05)
            assert app.is_running
        await pilot.press("escape", "escape", "escape", "escape", "escape", "d")
        await until(pilot, lambda: isinstance(app.screen, DiffScreen))
        await pilot.press("o", "b", "enter")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert app.is_running


async def test_ascii_draws_ascii_only(make: Make, pictured: State, settings: Settings) -> None:
    app = make(pictured)
    app.settings = replace(settings, ascii=True)
    app.add_class("-ascii")
    async with app.run_test(size=(80, 24)) as pilot:
        for keys, shown in ((["h"], "shop.cache.Page"), (["v", "enter"], "._RENDERED")):
            await pilot.press(*keys)
            await until(pilot, lambda shown=shown: shown in rows(app))  # type: ignore[misc]
            assert drawn(app).isascii()


def test_a_shelf_keeps_few_pictures_open(library: Library) -> None:
    shelf = Shelf(library)
    first = shelf.book("1")
    assert shelf.book("1") is first
    for number in range(2, OPEN_BOUND + 2):
        shelf.book(str(number))
    assert library.books[0].closed
    assert [book.closed for book in library.books[1:]] == [False] * OPEN_BOUND
    shelf.close()
    assert all(book.closed for book in library.books)
    with pytest.raises(MemtuiError, match="leaving"):
        shelf.book("1")
