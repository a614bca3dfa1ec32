from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from memtui.observe.permission import Standing, explain, ptrace_scope, user_name

ME, OTHER = 4_000_001, 4_000_002
OWN = Standing(7, [ME] * 4, ME, ME, 0, False)


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (OWN, "more privileges than you"),
        (replace(OWN, ptrace_scope=1), "sysctl kernel.yama.ptrace_scope=0"),
        (replace(OWN, ptrace_scope=1), "sudo memtui attach 7"),
        (replace(OWN, ptrace_scope=2), "Only root may trace"),
        (replace(OWN, ptrace_scope=3), "switched off until the next boot"),
        (replace(OWN, ptrace_scope=3, viewer=0, may_trace_all=True), "switched off until the next boot"),
        (replace(OWN, owners=[OTHER] * 4, memory_owner=OTHER, ptrace_scope=1), f"belongs to user {OTHER}"),
        (replace(OWN, owners=[ME, OTHER, OTHER, OTHER], memory_owner=0), f"belongs to user {OTHER}"),
        (replace(OWN, memory_owner=0, ptrace_scope=1), "non-dumpable"),
        (replace(OWN, viewer=0), "--cap-add=SYS_PTRACE"),
        (replace(OWN, viewer=0, may_trace_all=True), "security policy forbids"),
    ],
)
def test_each_reason_has_its_words(standing: Standing, words: str) -> None:
    text = str(explain(standing))
    assert text.startswith("The memory of process 7 may not be read.")
    assert words in text


def test_the_level_of_yama(tmp_path: Path) -> None:
    assert ptrace_scope(tmp_path / "absent") == 0
    (tmp_path / "scope").write_text("2\n")
    assert ptrace_scope(tmp_path / "scope") == 2


def test_a_user_without_a_name_is_a_number() -> None:
    assert user_name(ME) == str(ME)
    assert user_name(0) == "root"
