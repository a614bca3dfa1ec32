from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len
from shop_heap import facts
from shop_session import COMMAND, MIB, with_output

from memtui.analysis.diagnosis.diagnose import diagnose
from memtui.analysis.diff import Diff, DiffRow
from memtui.model.allocation import Frame, GroupBy, Tracing
from memtui.model.command import ClimbToAgent, CollectGarbage, StartTracing, TakeSnapshot
from memtui.model.gc import GcPauses
from memtui.model.sample import Cost, Sample, Series
from memtui.model.state import Event, EventKind, Output, State
from memtui.model.target import Ending, Rung, Target
from memtui.tui.presenters import (
    allocations,
    collector,
    detail,
    growth,
    help,
    keys,
    log,
    memory,
    process,
    requests,
    small,
    snapshots,
)
from memtui.tui.presenters.line import Line, plain

WIDTHS = (20, 40, 60, 80, 100, 120, 200)


def text(*lines: Line) -> str:
    return "\n".join(plain(one) for one in lines)


@pytest.fixture
def last(states: tuple[State, ...]) -> State:
    return states[-1]


@pytest.fixture
def bare() -> State:
    """A State in which nothing is known."""
    return State(target=Target(7, ()), started_at=0.0)


@pytest.mark.parametrize("width", range(14))
def test_a_sparkline_of_hardly_any_width(last: State, width: int) -> None:
    one = replace(last, series=Series(last.series.samples[:1]))
    for state in (last, one):
        assert bool(memory.sparkline(state, width)) == (width > 2)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_line_fits(last: State, bare: State, width: int) -> None:
    view = allocations.TableView(filter="a rather long filter text that somebody typed")
    for state in (last, bare, replace(last, ending=Ending(3.0, "killed by SIGKILL " * 9), busy=("x",) * 30)):
        lines = [
            process.identity(state, width),
            process.status(state, width, paused=True),
            memory.figures(state, width),
            memory.sparkline(state, width),
            collector.gc_line(state, width),
            growth.growth_line(state, diagnose(state), width),
            allocations.title(state, view, width, (1, 9, 9)),
            keys.footer("dashboard", {}, width),
            *growth.growth_lines(state, diagnose(state), width, 8),
            *log.event_lines(state.events, width, 5),
            *small.summary(state, width, 6, "q"),
        ]
        assert {plain(one): cell_len(plain(one)) for one in lines if cell_len(plain(one)) > width} == {}


def test_identity_says_who(last: State) -> None:
    shown = text(process.identity(last, 120))
    assert "pid 4242" in shown
    assert " ".join(COMMAND) in shown
    assert "Python 3.11.7" in shown
    assert "up 2 h 14 m" in shown


def test_a_long_command_loses_whole_words_of_its_middle(last: State) -> None:
    assert "python -m uvicorn … 8000 " in text(process.identity(last, 80))
    one_word = replace(
        last, target=replace(last.target, command=("/usr/bin/python3", "/srv/" + "x" * 90 + "/main.py"))
    )
    shown = text(process.identity(one_word, 80))
    assert "python3 /srv/x" in shown
    assert "main.py" in shown


def test_identity_of_a_process_of_which_nothing_is_known(bare: State) -> None:
    shown = text(process.identity(bare, 120))
    assert "(command not readable)" in shown
    assert "Python –" in shown
    assert "up –" in shown


def test_a_hostile_command_draws_nothing(last: State) -> None:
    target = replace(last.target, command=("python", "\x1b[2J\x1b]0;owned\x07x", "[red]y"))
    shown = text(process.identity(replace(last, target=target), 120))
    assert "\x1b" not in shown
    assert "[red]y" in shown


@pytest.mark.parametrize(
    ("rung", "words"),
    [(Rung.PROCESS, "/proc"), (Rung.OBSERVE, "outside"), (Rung.AGENT, "agent"), (Rung.TRACER, "tracer")],
)
def test_status_names_the_rung_in_words(last: State, rung: Rung, words: str) -> None:
    assert words in text(process.status(replace(last, rung=rung), 120))


def test_status_says_what_blocks_what_runs_and_how_it_ended(last: State) -> None:
    assert "ptrace is refused" in text(process.status(replace(last, note="ptrace is refused"), 80))
    assert "taking a snapshot…" in text(process.status(replace(last, busy=("taking a snapshot",)), 80))
    assert "PAUSED" in text(process.status(last, 80, paused=True))
    ended = replace(last, ending=Ending(9.0, "killed by signal 9 (SIGKILL)", signal=9))
    assert "ENDED  killed by signal 9 (SIGKILL)" in text(process.status(ended, 80))


def test_cost_is_what_was_measured() -> None:
    shown = text(process.cost(Cost(0.05, 0.0021, 312_000), 100.0))
    assert shown == "cost 0.05 % CPU, longest pause 2.1 ms, 304.7 KiB "
    assert "none so far" in text(process.cost(Cost(), 100.0))
    assert "–" in text(process.cost(Cost(target_bytes=5), 100.0))


def test_memory_figures(last: State) -> None:
    shown = text(memory.figures(last, 120))
    for part in ("RSS 177.8 MiB", "/min", "USS 168.8 MiB", "PSS 171.8 MiB", "swap 0 B", "limit 512.0 MiB"):
        assert part in shown
    unknown = replace(last, series=Series().append(Sample(0.0, 5 * MIB)), memory_limit_bytes=None)
    shown = text(memory.figures(unknown, 120))
    assert "USS –" in shown
    assert "too early" in shown
    assert "limit" not in shown


def test_blocks_scale_between_the_extremes() -> None:
    assert memory.blocks([0, 7, 14]) == "▁▅█"
    assert memory.blocks([5, 5]) == "▁▁"


def test_gc_panel(last: State, bare: State) -> None:
    shown = text(*collector.gc_lines(last, 60))
    assert "enabled" in shown
    assert "363/700" in shown
    assert "227,967" in shown
    assert "longest 61.4 ms" in shown
    assert last.gc is not None
    off = replace(last, gc=replace(last.gc, enabled=False), pauses=None)
    assert "disabled" in text(*collector.gc_lines(off, 60))
    assert "– needs the agent (a)" in text(*collector.gc_lines(off, 60))
    assert "none since the agent came in" in text(*collector.gc_lines(replace(last, pauses=GcPauses()), 60))
    assert "not readable from outside" in text(*collector.gc_lines(bare, 60))


def test_growth_panel(last: State, bare: State) -> None:
    shown = text(*growth.growth_lines(last, diagnose(last), 56, 8))
    assert shown.startswith("growing  +")
    assert "orders.py:42" in shown
    assert "shop.models.Line" in shown
    assert "too early" in text(*growth.growth_lines(bare, diagnose(bare), 56, 8))
    assert "tracing on (t)" in text(*growth.growth_lines(bare, diagnose(bare), 56, 8))


def test_allocations_sorted(last: State) -> None:
    def places(sort: allocations.Sort) -> list[str]:
        rows = allocations.rows(last, allocations.TableView(sort), 120)
        return [f"{row.frames[0].file}:{row.frames[0].line}" for row in rows]

    assert places("size")[0] == "/srv/shop/shop/orders.py:42"
    assert places("change")[0] == "/srv/shop/shop/orders.py:42"
    assert places("count")[1] == "/srv/venv/lib/python3.11/site-packages/jinja2/runtime.py:303"
    assert places("place") == sorted(
        places("place"), key=lambda place: (place.rsplit(":", 1)[0], int(place.rsplit(":", 1)[1]))
    )
    orders = [allocations.TableView()]
    for _ in range(4):
        orders.append(orders[-1].next_sort())
    assert [view.sort for view in orders] == ["size", "change", "count", "place", "size"]


def test_allocations_filtered_by_place_and_source(last: State) -> None:
    by_place = allocations.rows(last, allocations.TableView(filter="ORDERS.py"), 120)
    assert [row.frames for row in by_place] == [(Frame("/srv/shop/shop/orders.py", 42),)]
    by_source = allocations.rows(last, allocations.TableView(filter="template.render"), 120)
    assert [row.frames[0].line for row in by_source] == [17]
    nothing = allocations.TableView(filter="nowhere")
    assert allocations.rows(last, nothing, 120) == ()
    assert "No allocation matches “nowhere”" in text(*allocations.empty(last, nothing, 120))


def test_change_has_a_sign_and_unknown_is_a_dash(last: State) -> None:
    rows = text(*(row.line for row in allocations.rows(last, allocations.TableView(), 120)))
    assert "+264.6 KiB" in rows
    assert "-1.4 KiB" in rows
    without = replace(last, baseline=None)
    first = allocations.rows(without, allocations.TableView(), 120)[0]
    assert "–" in plain(first.line)


def test_allocations_title_says_what_it_covers(last: State) -> None:
    shown = text(allocations.title(last, allocations.TableView(filter="shop"), 140, (1, 9, 18)))
    for part in ("by line", "alive", "traced since 2 m 49 s ago", "1 frame", "+38 % CPU", "“shop”", "1–9 of 18"):
        assert part in shown


def test_tracing_off_says_what_t_does_and_costs(bare: State, last: State) -> None:
    off = replace(bare, rung=Rung.AGENT, tracing=Tracing())
    shown = " ".join(text(*allocations.empty(off, allocations.TableView(), 200)).split())
    assert "t starts tracemalloc" in shown
    assert "Cost:" in shown
    assert "agent" not in shown
    assert "puts the agent into the process" in text(*allocations.empty(bare, allocations.TableView(), 200))


def test_detail_shows_every_frame(last: State) -> None:
    assert last.allocations is not None
    frames = tuple(Frame(f"/srv/shop/deep/level{number}.py", number) for number in range(1, 8))
    row = replace(last.allocations.rows[0], frames=frames)
    state = replace(last, allocations=replace(last.allocations, by=GroupBy.TRACEBACK, rows=(row,)))
    assert detail.find(state, frames) == row
    shown = text(*detail.detail_lines(state, row, 80))
    assert all(f"level{number}.py:{number}" in shown for number in range(1, 8))
    assert "ORDERS.append" in shown
    assert detail.find(last, frames) is None


def test_events_carry_their_letters_and_words() -> None:
    events = [
        Event(5.0, EventKind.INFO, "old"),
        Event(61.0, EventKind.GC, "freed 5"),
        Event(3700.0, EventKind.ERROR, "no"),
    ]
    shown = text(*log.event_lines(events, 60, 2))
    assert shown == " 01:01  g  freed 5\n 1:01:40  !  error: no"


def test_a_long_event_goes_on_in_the_next_row() -> None:
    events = [Event(1.0, EventKind.INFO, "short"), Event(5.0, EventKind.ERROR, "a rather long sentence about a file")]
    shown = text(*log.event_lines(events, 40, 3))
    assert shown == " 00:01     short\n 00:05  !  error: a rather long sentence\n           about a file"


def test_no_change_while_the_table_is_older_than_the_baseline(last: State) -> None:
    assert last.allocations is not None
    newer = replace(last, baseline=replace(last.allocations, at_seconds=last.allocations.at_seconds + 1))
    assert "–" in plain(allocations.rows(newer, allocations.TableView(), 120)[0].line)


def test_a_diff_takes_source_lines_from_the_live_table(last: State) -> None:
    diff = Diff("line", (DiffRow("/srv/shop/shop/orders.py:42", 1, 1, 1, 1, None),), "")
    assert snapshots.with_sources(diff, last.allocations).rows[0].source == "ORDERS.append(Order(customer, basket))"
    assert snapshots.with_sources(diff, None).rows[0].source is None


def test_output_is_broken_and_cleaned() -> None:
    output = Output(("\x1b[31mabcdef\x1b[0m", "中文中"), 2)
    assert text(*log.output_lines(output, 4, last=1)) == "中文\n中"
    assert text(*log.output_lines(output, 4)) == "abcd\nef\n中文\n中"
    assert "did not start this process" in text(*log.output_lines(None, 80))
    assert "Nothing written" in text(*log.output_lines(Output(), 80))


def test_snapshot_rows(last: State) -> None:
    shown = text(snapshots.list_row(last.snapshots[1], "from"))
    assert " ".join(shown.split()) == "from 2 02:00 173.5 MiB 5.8 MiB 179,985 31.0 ms types only"
    taken = replace(last.snapshots[1], picture=facts(2))
    assert text(snapshots.list_row(taken, "to")).endswith("179,985   31.0 ms, stop 4.2 ms")
    assert text(snapshots.list_row(taken, "", "a.memtui")).endswith("179,985   a.memtui")
    untraced = replace(last.snapshots[0], traced_bytes=None)
    assert "–" in text(snapshots.list_row(untraced, ""))


def test_footer_never_hides_quit(last: State) -> None:
    for width in range(10, 200, 5):
        assert "q Quit" in text(keys.footer("dashboard", {}, width))
    assert "x Quit" in text(keys.footer("diff", {"quit": "x"}, 30))


def test_tiny_summary_never_hides_quit(last: State) -> None:
    for height in range(1, 9):
        assert plain(small.summary(last, 20, height, "q")[-1]) == "q Quit"
    assert "20x6, needs 40x10" in text(*small.summary(last, 20, 6, "q"))


def test_help_lists_every_key() -> None:
    shown = text(*help.help_lines({"snapshot": "f2"}, 100))
    assert "f2" in shown
    assert "Palette" in shown
    assert "too early" in shown


def test_questions_and_notice(last: State, bare: State) -> None:
    assert requests.collection_question(last) == ""
    assert last.gc is not None
    large = replace(last, pauses=None, gc=replace(last.gc, objects=4_000_000))
    assert "about 2 s" in requests.collection_question(large)
    unknown = replace(last, gc=None, pauses=None, snapshots=(), series=Series().append(Sample(0.0, 900 * MIB)))
    assert "not known for how long" in requests.collection_question(unknown)
    assert requests.collection_question(bare) == ""
    for command in (StartTracing(), CollectGarbage(), ClimbToAgent()):
        assert "one thread" in requests.notice(bare, command)
    assert requests.notice(replace(bare, note="observing only"), StartTracing()) == ""
    assert requests.notice(replace(bare, entry_cost="gdb stops it."), StartTracing()) == "gdb stops it."
    assert requests.notice(last, StartTracing()) == ""
    assert requests.notice(with_output(bare, ("x",)), StartTracing()) == ""


def test_a_snapshot_needs_no_agent_where_a_picture_can_be_taken(bare: State) -> None:
    for rung in (Rung.OBSERVE, Rung.AGENT):
        assert "nothing is put into it" in requests.notice(replace(bare, rung=rung), TakeSnapshot())
    assert "one thread" in requests.notice(replace(bare, rung=Rung.PROCESS), TakeSnapshot())
    assert requests.notice(with_output(replace(bare, rung=Rung.OBSERVE), ("x",)), TakeSnapshot()) == ""


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_status_says_what_the_next_rung_adds_and_costs(last: State, bare: State, width: int) -> None:
    outside = replace(bare, rung=Rung.OBSERVE)
    shown = text(process.status(outside, width))
    assert "next: " in shown
    assert "agent adds" in shown
    assert "1 ms" in shown
    by_gdb = text(process.status(replace(outside, entry_cost="gdb stops it."), width))
    assert "gdb" in by_gdb
    assert "0.1 to 1 s" in by_gdb
    assert "1 ms" not in by_gdb
    tracing_off = text(process.status(replace(bare, rung=Rung.AGENT), width))
    assert "tracing adds" in tracing_off
    assert "times slower" in tracing_off
    for quiet in (bare, last, replace(outside, note="ptrace is refused"), replace(outside, busy=("attaching",))):
        assert "next:" not in text(process.status(quiet, width))
