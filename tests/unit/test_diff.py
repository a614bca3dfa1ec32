from __future__ import annotations

from states import row, snapshot, traced

from memtui.analysis.diff import DiffRow, diff_snapshots
from memtui.model.allocation import Allocation, Frame, GroupBy

BEFORE = snapshot(
    1,
    10.0,
    {"A": 10, "B": 5, "gone": 100, "same": 7},
    traced(
        [
            row("a.py", 1, 1000, 10, "x = 1"),
            row("a.py", 2, 500, 5),
            row("b.py", 9, 70, 7, "gone"),
            row("c.py", 1, 8, 1),
        ]
    ),
)
AFTER = snapshot(
    2,
    22.0,
    {"A": 60, "B": 4, "new": 1, "same": 7},
    traced(
        [
            row("a.py", 1, 5000, 50, "x = 1"),
            row("a.py", 2, 100, 1),
            row("d.py", 3, 71, 1, "y = 2"),
            row("c.py", 1, 8, 1),
        ]
    ),
)


def test_by_line_sorted_by_absolute_change() -> None:
    diff = diff_snapshots(BEFORE, AFTER, "line")
    assert diff.by == "line"
    assert diff.rows == (
        DiffRow("a.py:1", 4000, 40, 5000, 50, "x = 1"),
        DiffRow("a.py:2", -400, -4, 100, 1, None),
        DiffRow("d.py:3", 71, 1, 71, 1, "y = 2"),
        DiffRow("b.py:9", -70, -7, 0, 0, "gone"),
    )
    assert diff.note.startswith("Snapshots 1 and 2, 12 s apart.")


def test_by_file_is_made_of_lines() -> None:
    diff = diff_snapshots(BEFORE, AFTER, "file")
    assert diff.rows[0] == DiffRow("a.py", 3600, 36, 5100, 51, None)
    assert [one.label for one in diff.rows] == ["a.py", "d.py", "b.py"]
    assert {one.source for one in diff.rows} == {None}, "a file has no source line"


def test_by_type_has_counts_and_no_sizes() -> None:
    diff = diff_snapshots(BEFORE, AFTER, "type")
    assert [(one.label, one.count_diff, one.count) for one in diff.rows] == [
        ("gone", -100, 0),
        ("A", 50, 60),
        ("B", -1, 4),
        ("new", 1, 1),
    ]
    assert {one.size_diff_bytes for one in diff.rows} == {None}
    assert "collector tracks" in diff.note


def test_the_other_way_round_every_sign_turns() -> None:
    there, back = diff_snapshots(BEFORE, AFTER, "line"), diff_snapshots(AFTER, BEFORE, "line")
    assert [(one.label, one.size_diff_bytes) for one in back.rows] == [
        (one.label, -(one.size_diff_bytes or 0)) for one in there.rows
    ]


def test_nothing_changed_is_said() -> None:
    for by in ("line", "file", "type"):
        diff = diff_snapshots(AFTER, AFTER, by)  # type: ignore[arg-type]
        assert diff.rows == ()
        assert diff.note.startswith("Nothing changed")


def test_without_tracing_the_note_says_what_to_do() -> None:
    untraced = snapshot(7, 3.0, {"A": 1})
    diff = diff_snapshots(untraced, AFTER, "line")
    assert diff.rows == ()
    assert diff.note == "Tracing was off in snapshot 7: press t, then take two snapshots."
    both = diff_snapshots(untraced, snapshot(8, 4.0, {"A": 1}), "file")
    assert "snapshots 7 and 8" in both.note
    refused = diff_snapshots(snapshot(9, 5.0, {"A": 1}, traced_bytes=10**9), AFTER, "line")
    assert "Tracing was off" not in refused.note
    assert "snapshot 9" in refused.note


def test_tracebacks_tell_lines_and_files_only_tell_files() -> None:
    deep = traced(
        [
            Allocation((Frame("a.py", 1), Frame("m.py", 5)), 30, 3),
            Allocation((Frame("a.py", 1), Frame("n.py", 5)), 12, 1),
        ],
        by=GroupBy.TRACEBACK,
    )
    files = traced([row("a.py", 0, 100, 2)], by=GroupBy.FILE)
    first, second = snapshot(1, 0.0, {}, files), snapshot(2, 1.0, {}, None, tracebacks=deep)
    assert diff_snapshots(first, second, "line").note == (
        "One of the snapshots is grouped by file only, so there is no diff by line."
    )
    assert diff_snapshots(first, second, "file").rows == (DiffRow("a.py", -58, 2, 42, 4, None),)
    empty = snapshot(3, 0.0, {}, traced([]))
    assert diff_snapshots(empty, second, "line").rows == (DiffRow("a.py:1", 42, 4, 42, 4, None),)


def test_lists_that_were_cut_say_so() -> None:
    cut = snapshot(1, 0.0, {"A": 9, "B": 3}, traced([row("a.py", 1, 2048, 1)], groups=50), objects=99)
    assert "below 2.0 KiB" in diff_snapshots(cut, AFTER, "line").note
    assert "fewer than 3 instances" in diff_snapshots(cut, AFTER, "type").note
    assert "listed" not in diff_snapshots(BEFORE, AFTER, "line").note


def test_no_type_counts() -> None:
    diff = diff_snapshots(snapshot(4, 0.0), AFTER, "type")
    assert (diff.rows, diff.note) == ((), "Snapshot 4 holds no type counts.")
