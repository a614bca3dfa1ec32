"""The file of a heap picture: what comes back, and what a damaged or hostile one does."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import Heap

from memtui import atomic
from memtui.errors import MemtuiError, UsageError, WriteError
from memtui.heap.file import read_facts, read_picture, write_picture
from memtui.heap.graph.analysis import analyse
from memtui.heap.picture import Duplicates, Edges, Group, Limits, Link, Picture


def shop(objects: int = 50) -> Picture:
    """Some of everything."""
    heap = Heap()
    namespace = heap.module("shop")
    heap.cls(namespace, "shop", "Order")
    orders = heap.value(namespace, "ORDERS", heap.add("list"))
    for number in range(objects):
        order = heap.item(orders, heap.instance("shop.Order"))
        heap.attribute(order, "number", heap.number(number * 10**12 - 5))
        heap.attribute(order, "title", heap.text(f"größe {number}", "str"))
    heap.root(heap.add("dict"), "thread 1 main() local 'rows'", Group.FRAMES)
    heap.add("set")
    block = heap.add("memory")
    heap.link(orders, Link.MEMORY, block, 72)
    return replace(
        heap.picture(),
        duplicates=Duplicates(np.array([orders], np.int32), np.array([3]), np.array([2**40])),
        limits=Limits(np.array([orders], np.int32), np.array([128])),
        extra={"tracebacks": [{"frames": [["shop.py", 7]], "size_bytes": 9, "count": 1}]},
    )


def assert_same(one: Any, other: Any) -> None:
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        if isinstance(left, np.ndarray):
            assert left.dtype == right.dtype, field.name
            assert np.array_equal(left, right), field.name
        elif hasattr(left, "__dataclass_fields__"):
            assert_same(left, right)
        else:
            assert left == right, field.name


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file."""
    return write_picture(tmp_path / "shop.memtui", shop(), analyse(shop()))


def test_what_was_written_comes_back(path: Path) -> None:
    picture, analysis = read_picture(path)
    assert_same(shop(), picture)
    assert analysis is not None
    assert_same(analyse(shop()), analysis)


def test_without_analysis(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "shop.memtui", shop(), None)
    assert read_picture(path)[1] is None


def test_a_quick_picture_has_no_edges(tmp_path: Path) -> None:
    whole = shop()
    none = np.zeros(0, np.int32)
    edges = Edges(np.zeros(1, np.int64), none, none.astype(np.uint8), none)
    roots = replace(whole.roots, nodes=none, names=(), groups=none.astype(np.uint8))
    quick = replace(whole, facts={**whole.facts, "quick": True}, edges=edges, roots=roots)
    picture, analysis = read_picture(write_picture(tmp_path / "quick.memtui", quick, None))
    assert picture.is_quick
    assert analysis is None
    assert len(picture.edges) == 0
    assert len(picture.edges.starts) == len(picture.nodes) + 1


def test_the_head_alone(path: Path) -> None:
    facts = read_facts(path)
    assert (facts.path, facts.pid, facts.command) == (str(path), 4242, ("python", "app.py"))
    assert (facts.python, facts.objects, facts.quick, facts.rss_bytes) == ("3.11.7", shop().object_count, False, None)


def test_an_older_file_is_replaced(path: Path) -> None:
    write_picture(path, shop(3), None)
    assert read_facts(path).objects == shop(3).object_count
    assert [one.name for one in path.parent.iterdir()] == [path.name]


class FullDisk(io.FileIO):
    """The device has room for so many bytes."""

    room = 3000

    def write(self, content: Any) -> int:
        if self.tell() + len(content) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()
    monkeypatch.setattr(atomic, "open", lambda descriptor, mode: FullDisk(descriptor, mode), raising=False)
    with pytest.raises(WriteError, match="No space left on device"):
        write_picture(path, shop(2000), None)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("where", ["no/such/directory.memtui", ""])
def test_a_place_that_cannot_be_written_to(tmp_path: Path, where: str) -> None:
    with pytest.raises(WriteError, match="was not written"):
        write_picture(tmp_path / where, shop(), None)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_not_there_or_foreign(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_picture(tmp_path / "none.memtui")
    with pytest.raises(UsageError, match="cannot be read"):
        read_facts(tmp_path)
    for content in (b"", b"PK", b"{}", b"PK\x03\x04" + bytes(40), random.Random(1).randbytes(5000)):
        (tmp_path / "foreign").write_bytes(content)
        with pytest.raises(UsageError, match=r"is no file of memtui|is damaged"):
            read_picture(tmp_path / "foreign")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("word/document.xml", "<xml/>")
    with pytest.raises(UsageError, match="is no file of memtui"):
        read_picture(tmp_path / "other.zip")


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The file with its members changed: JSON by its value, columns as arrays."""
    with zipfile.ZipFile(path) as archive:
        members: dict[str, Any] = {}
        for name in archive.namelist():
            content = archive.read(name)
            members[name] = json.loads(content) if name.endswith(".json") else np.load(io.BytesIO(content))
    change(members)
    other = path.with_name("changed.memtui")
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            if name.endswith(".json"):
                archive.writestr(name, json.dumps(value))
            elif isinstance(value, bytes):
                archive.writestr(name, value)
            else:
                np.save(buffer := io.BytesIO(), value)
                archive.writestr(name, buffer.getvalue())
    return other


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        ({"version": 2}, "was written by a newer memtui. Its version is 2"),
        ({"kind": "recording"}, "is no heap picture. It is a recording."),
        ({"format": "tar"}, "is no file of memtui"),
        ({"facts": None}, "is damaged"),
        ({"facts": {}}, "is damaged"),
    ],
)
def test_other_heads(path: Path, head: dict[str, Any], sentence: str) -> None:
    other = changed(path, lambda members: members["head.json"].update(head))
    with pytest.raises(UsageError, match=sentence.replace(".", r"\.")):
        read_facts(other)


COLUMNS = [
    *("type_nodes", "type_bases", "type_kinds", "types", "sizes", "reference_counts", "flags", "edge_counts"),
    *("targets", "links", "root_nodes", "root_groups", "text_nodes", "text_lengths", "int_nodes", "duplicate_nodes"),
    *("limit_nodes", "holder_edges", "holder_roots", "holder_depths", "dominators"),
]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("value", [-7, 10**16])
def test_numbers_that_point_nowhere_are_refused(path: Path, column: str, value: int) -> None:
    def change(members: dict[str, Any]) -> None:
        wide = members[f"{column}.npy"].astype(np.int64)
        wide[len(wide) // 2] = value
        members[f"{column}.npy"] = wide

    with pytest.raises(UsageError, match="is damaged"):
        read_picture(changed(path, change))


@pytest.mark.parametrize("column", [*COLUMNS, "addresses", "lengths", "numbers", "int_values", "text_data", "limits"])
def test_columns_of_another_length_or_kind_are_refused(path: Path, column: str) -> None:
    name = f"{column}.npy"
    changes: list[Callable[[dict[str, Any]], Any]] = [
        lambda members: members.update({name: np.append(members[name], members[name][:1])}),
        lambda members: members.update({name: members[name].astype(np.float64)}),
        lambda members: members.update({name: members[name].reshape(1, -1)}),
        lambda members: members.pop(name),
        lambda members: members.update({name: b"\x93NUMPY nonsense"}),
        lambda members: members.update({name: pickled(len(members[name]))}),
    ]
    for number, change in enumerate(changes):
        if number == 3 and column == "holder_edges":
            continue  # without it the file is one without analysis
        with pytest.raises(UsageError, match="is damaged"):
            read_picture(changed(path, change))


class Harm:
    """What must never be unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("it was unpickled",)


def pickled(count: int) -> bytes:
    """A .npy file of objects, which numpy unpickles when it is allowed to."""
    content = io.BytesIO()
    np.save(content, np.array([Harm()] * count), allow_pickle=True)
    return content.getvalue()


def test_chains_that_never_end_are_refused(path: Path) -> None:
    def in_a_circle(members: dict[str, Any]) -> None:
        members["dominators.npy"] = np.zeros(len(members["dominators.npy"]), np.int8)
        depths = members["holder_depths.npy"].astype(np.int64)
        depths[depths > 0] = 5
        members["holder_depths.npy"] = depths

    with pytest.raises(UsageError, match="Its chains of holders lead nowhere"):
        read_picture(changed(path, in_a_circle))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.memtui")
    with pytest.raises(UsageError, match="is no file of memtui"):
        read_picture(tmp_path / "pipe.memtui")


def test_a_file_that_claims_to_be_enormous_is_not_read(path: Path) -> None:
    def enormous(members: dict[str, Any]) -> None:
        members["text_data.npy"] = np.zeros(400_000_000, np.uint8)

    with pytest.raises(UsageError, match="It claims to be larger than any picture"):
        read_picture(changed(path, enormous))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damage_is_one_sentence(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    directory = tmp_path_factory.getbasetemp() / "damage"
    directory.mkdir(exist_ok=True)
    good = directory / "good.memtui"
    if not good.exists():
        write_picture(good, shop(), analyse(shop()))
    content = bytearray(good.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(1, 4)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    bad = directory / "bad.memtui"
    bad.write_bytes(content)
    try:
        picture, _ = read_picture(bad)
    except MemtuiError:
        return
    # Only what does not matter was changed: dates, permissions, names of members that are not read.
    assert_same(shop(), replace(picture, facts=shop().facts))
