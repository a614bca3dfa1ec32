from __future__ import annotations

from dataclasses import replace

from states import row, traced

from memtui.analysis.compare import Change, changes
from memtui.model.allocation import Frame, GroupBy

OLD, NEW = (Frame("a.py", 1),), (Frame("b.py", 2),)


def test_each_group_against_the_baseline() -> None:
    now, before = traced([row("a.py", 1, 30, 3), row("b.py", 2, 9, 1)]), traced([row("a.py", 1, 50, 4)])
    assert changes(now, before) == {OLD: Change(-20, -1), NEW: Change(9, 1)}


def test_nothing_to_compare_with() -> None:
    now = traced([row("a.py", 1, 30, 3)])
    assert changes(None, now) == changes(now, None) == {}
    assert changes(now, replace(now, by=GroupBy.FILE)) == {}


def test_a_group_too_small_to_be_listed_before_is_unknown() -> None:
    before = traced([row("a.py", 1, 50, 4)], groups=2)
    assert changes(traced([row("b.py", 2, 50, 1)]), before) == {NEW: Change(None, None)}
    assert changes(traced([row("b.py", 2, 200, 8)]), before) == {NEW: Change(150, 6)}
