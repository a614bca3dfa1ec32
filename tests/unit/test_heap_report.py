"""Heap pictures and their differences as text and as JSON."""

from __future__ import annotations

import json

from memtui.model.heap import HeapDiff, HeapDiffRow, HeapLink, HeapObject, HeapType, PictureFacts
from memtui.report.pictures import (
    BORN,
    diff_as_json,
    diff_as_text,
    picture_as_json,
    picture_as_text,
    retained_change,
)

FACTS = PictureFacts(
    "/tmp/a.memtui", 4242, ("python", "app.py"), "3.11.7", "2026-11-21T12:00:00Z", "frozen copy", 182_004, 260_113,
    25_270_681, 41 << 20, 0.0042, 0.9987, False, ("12 MiB in which nothing looks like a reference were not kept.",),
)  # fmt: skip
TYPES = (HeapType("app.\x1b[31mOrder", 5, 240, None), HeapType("dict", 1_000, 64_000, 90_000))
CACHE = HeapLink("app.CACHE", HeapObject(7, "dict", 0x7F00, 73_824, 11_800_000, 2, 1_950))
GREW = HeapDiffRow("app.CACHE", 1_404, 1_950, 67_392, 93_600, 8_500_000, 11_800_000, 1_404, 1_950, False, 2, "dict")
NEW = HeapDiffRow("app.BUS[*]", 0, 120, 0, 7_680, None, 19_000, None, 120, True, None, "method")


def test_a_picture_as_text() -> None:
    text = "\n".join(picture_as_text(FACTS, 3_000_000, TYPES, (CACHE,)))
    assert "Heap picture of process 4242: python app.py" in text
    assert "182,004 objects, 24.1 MiB; the process was stopped for 4.2 ms" in text
    assert "99.9 % of the objects" in text
    assert "Note: 12 MiB in which" in text
    assert "           –       240 B           5  app.\\x1b[31mOrder" in text
    assert "    11.3 MiB    72.1 KiB       1,950  app.CACHE (dict)" in text
    assert text.endswith("Written to /tmp/a.memtui (2.9 MiB)")


def test_a_picture_as_json() -> None:
    document = json.loads(json.dumps(picture_as_json(FACTS, 3_000_000, TYPES, (CACHE,))))
    assert document["schema"] == "memtui.heap-picture/1"
    assert (document["file"], document["file_bytes"], document["stop_seconds"]) == (
        "/tmp/a.memtui",
        3_000_000,
        0.0042,
    )
    assert document["types"][0]["retained_bytes"] is None
    assert document["retainers"][0]["path"] == "app.CACHE"
    assert document["retainers"][0]["retained_bytes"] == 11_800_000


def test_a_difference_as_text() -> None:
    diff = HeapDiff("holder", (GREW, NEW), 61.0, "Holders that keep more than before.")
    lines = list(diff_as_text(diff, "holder", [FACTS, FACTS]))
    assert lines[0] == "182,004 → 182,004 objects, 24.1 MiB → 24.1 MiB, 1 m 01 s apart"
    assert lines[4] == "    +3.1 MiB        +546        +546  app.CACHE (dict)"
    assert lines[5] == "   +18.6 KiB        +120        +120  app.BUS[*] (method), new"
    by_type = HeapDiff("type", (GREW,), None, "Objects of each type.")
    assert list(diff_as_text(by_type, "type", [FACTS]))[-1] == "   +25.6 KiB        +546       1,950  app.CACHE"


def test_nothing_changed_is_said_unless_nothing_is_known() -> None:
    nothing = HeapDiff("holder", (), None, "Holders.")
    assert list(diff_as_text(nothing, BORN, []))[-1] == "Nothing changed."
    untraced = HeapDiff("line", (), None, "No lines: tracemalloc was not on.")
    assert "Nothing changed." not in list(diff_as_text(untraced, "line", []))


def test_a_difference_as_json() -> None:
    diff = HeapDiff("holder", (GREW, NEW), 61.0, "Holders that keep more than before.")
    document = json.loads(json.dumps(diff_as_json(diff, BORN, [FACTS])))
    assert (document["schema"], document["by"]) == ("memtui.heap-diff/1", "born")
    assert document["pictures"] == [
        {"file": "/tmp/a.memtui", "pid": 4242, "taken_at": "2026-11-21T12:00:00Z", "objects": 182_004,
         "size_bytes": 25_270_681, "rss_bytes": 41 << 20}
    ]  # fmt: skip
    first, second = document["rows"]
    assert (first["label"], first["elements_after"], first["count_change"]) == ("app.CACHE", 1_950, 546)
    assert (first["retained_change_bytes"], first["size_change_bytes"]) == (3_300_000, 26_208)
    assert (second["retained_change_bytes"], second["node"]) == (19_000, None)


def test_an_unknown_retained_size_stays_unknown() -> None:
    assert retained_change(HeapDiffRow("a", 1, 2, 3, 4, None, 9)) is None
    assert retained_change(HeapDiffRow("a", 1, 2, 3, 4, 5, None)) is None
