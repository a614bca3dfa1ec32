"""The workload's output: the same lines however its bytes are cut, in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from states import empty_state

from memtui.model.state import LINE_BOUND, OUTPUT_BOUND, Output, State
from memtui.session.output import OutputLines
from memtui.session.reducer import reduce

texts = st.text(alphabet="ab\r\n é€\U0001f40d", max_size=60)
raw = st.one_of(texts.map(str.encode), st.binary(max_size=60))


def shown(data: bytes, cuts: list[int], looks: list[bool]) -> Output:
    """What the State shows of ``data`` when it arrives in pieces, with a tick after some of them."""
    lines, now = OutputLines(), empty_state()
    ends = sorted({cut % (len(data) + 1) for cut in cuts} | {len(data)})
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        lines.feed(data[start:end])
        if number < len(looks) and looks[number]:
            now = ticked(lines, now)
    return ticked(lines, now).output or Output()


def ticked(lines: OutputLines, now: State) -> State:
    arrived = lines.take()
    return now if arrived is None else reduce(now, arrived, 0.0)


@given(raw, st.lists(st.integers(0, 100), max_size=8), st.lists(st.booleans(), max_size=8))
def test_any_cut_gives_the_same_lines(data: bytes, cuts: list[int], looks: list[bool]) -> None:
    assert shown(data, cuts, looks) == shown(data, [], [])


@given(st.lists(st.text(alphabet="abc é", max_size=10), max_size=20))
def test_lines_are_what_was_written(lines: list[str]) -> None:
    output = shown("".join(f"{line}\r\n" for line in lines).encode(), [], [])
    assert output.lines == tuple(lines)
    assert output.total_lines == len(lines)


def test_a_line_without_an_end_is_shown_and_goes_on() -> None:
    lines, now = OutputLines(), empty_state()
    lines.feed(b"one\ntw")
    now = ticked(lines, now)
    assert now.output == Output(("one", "tw"), 2)
    lines.feed(b"o")
    lines.feed(b"\nthree")
    now = ticked(lines, now)
    assert now.output == Output(("one", "two", "three"), 3)
    assert lines.take() is None


def test_letters_that_arrive_in_halves_are_one() -> None:
    assert shown("é".encode(), [1], [True]).lines == ("é",)
    assert shown(b"\xff!", [1], []).lines == ("\N{REPLACEMENT CHARACTER}!",)


def test_a_flood_between_two_ticks_is_counted_and_not_kept() -> None:
    lines, now = OutputLines(), empty_state()
    lines.feed(b"open")
    now = ticked(lines, now)
    written = 5 * OUTPUT_BOUND
    for number in range(written):
        lines.feed(b"%d\n" % number)
    output = ticked(lines, now).output
    assert output is not None
    assert len(output.lines) == OUTPUT_BOUND
    assert output.lines[-1] == str(written - 1)
    assert output.lines[0] == str(written - OUTPUT_BOUND)
    assert output.total_lines == written


def test_one_endless_line_stays_bounded() -> None:
    lines, now = OutputLines(), empty_state()
    for _ in range(50):
        lines.feed(b"x" * LINE_BOUND)
        now = ticked(lines, now)
    assert now.output == Output(("x" * LINE_BOUND,), 1)
