from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from memtui.tui.presenters.changes import changed_runs
from memtui.tui.presenters.line import ROLES, Line, Span, fit, join, join_fitting, line, plain, spread, width_of
from memtui.tui.presenters.text import clean, cut_end, cut_middle, cut_start, pad, short_path, to_ascii, wrap
from memtui.tui.widgets.lines import merge

texts = st.text(max_size=60).map(clean)
widths = st.integers(0, 70)
lines = st.lists(st.builds(Span, texts, st.sampled_from(("", *ROLES))), max_size=5).map(tuple)


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9b31mred", "red"),
        ("a\tb", "a    b"),
        ("bell\x07", "bell?"),
        ("evil\u202egnp", "evil?gnp"),
        ("zero\u200bwidth", "zero?width"),
        ("\udcff", "?"),
        ("naïve 中文", "naïve 中文"),
        ("[bold]not markup[/bold]", "[bold]not markup[/bold]"),
    ],
)
def test_clean(raw: str, safe: str) -> None:
    assert clean(raw) == safe


@given(st.text())
def test_clean_leaves_nothing_invisible(text: str) -> None:
    assert not [char for char in clean(text) if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@given(texts)
def test_ascii_keeps_the_width(text: str) -> None:
    drawn = to_ascii(text)
    assert drawn.isascii()
    assert cell_len(drawn) == cell_len(text)


@given(texts, widths)
def test_cuts_fit(text: str, width: int) -> None:
    for cut in (cut_end, cut_start, cut_middle, short_path):
        assert cell_len(cut(text, width)) <= width


@given(texts, st.integers(1, 70))
def test_pad_never_is_wider(text: str, width: int) -> None:
    assert cell_len(pad(text, width)) <= width
    if cell_len(text) <= width:
        assert cell_len(pad(text, width, "right")) == width


def test_cuts_keep_what_matters() -> None:
    assert cut_middle("python -m shop.server --port 8000", 20) == "python -m …port 8000"
    assert short_path("/srv/venv/lib/python3.11/site-packages/jinja2/runtime.py:303", 26) == "…/jinja2/runtime.py:303"
    assert cut_start("/usr/lib/x.py", 6) == "…/x.py"
    assert pad("7", 4, "right") == "   7"


@given(texts, st.integers(2, 40))
def test_wrap_keeps_every_word_and_fits(text: str, width: int) -> None:
    wrapped = wrap(text, width)
    assert "".join("".join(wrapped).split()) == "".join(text.split())
    assert all(cell_len(part) <= width for part in wrapped)


@given(lines, widths)
def test_fit_and_spread_fit(spans: Line, width: int) -> None:
    assert width_of(fit(spans, width)) <= width
    assert width_of(spread(spans, line("right end"), width)) <= width


def test_join_leaves_out_whole_parts() -> None:
    parts = [line("RSS 1"), line("a much longer part"), line("USS 2")]
    assert plain(join(parts)) == "RSS 1  a much longer part  USS 2"
    assert plain(join_fitting(parts, 14)) == "RSS 1  USS 2"


@given(lines)
def test_merged_spans_say_the_same(spans: Line) -> None:
    merged = merge(spans)
    assert plain(tuple(merged)) == plain(spans)
    assert all(a[1:] != b[1:] for a, b in pairwise(merged))


@given(lines, lines, st.integers(1, 70))
def test_cells_outside_the_changed_runs_are_equal(old: Line, new: Line, width: int) -> None:
    before, after = _cells(old, width), _cells(new, width)
    for start, length in changed_runs(old, new, width):
        assert start >= 0
        assert start + length <= width
        before[start : start + length] = after[start : start + length]
    assert before == after


def test_a_changed_number_redraws_only_itself() -> None:
    old = line("up 12 s", " " * 60, "limit 512 MiB")
    new = line("up 13 s", " " * 60, "limit 512 MiB")
    assert changed_runs(old, new, 120) == [(4, 1)]
    assert changed_runs(new, new, 120) == []


def _cells(spans: Line, width: int) -> list[tuple[str, str]]:
    cells = [(char, span.role) for span in spans for char in span.text for _ in range(cell_len(char))]
    return (cells + [(" ", "")] * width)[:width]
