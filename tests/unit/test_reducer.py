"""Folding messages into the State: each changes what it is about and nothing else, and all stays bounded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from states import MIB, PICTURE, TARGET, empty_state, full_state, gc_state, row, snapshot, traced

from memtui.model.alert import Alert
from memtui.model.allocation import GroupBy, Tracing
from memtui.model.command import TakeSnapshot
from memtui.model.gc import GcPauses
from memtui.model.sample import Sample
from memtui.model.state import ALERT_BOUND, EVENT_BOUND, SNAPSHOT_BOUND, EventKind, Output, Picturing, Question, State
from memtui.model.target import Ending, Rung
from memtui.session import messages as m
from memtui.session.reducer import reduce


def changed(before: State, after: State) -> dict[str, Any]:
    """The fields that differ."""
    return {name: getattr(after, name) for name in before.__slots__ if getattr(before, name) != getattr(after, name)}


def test_a_look() -> None:
    state = empty_state()
    sample = Sample(3.0, 50 * MIB, traced_bytes=7)
    after = reduce(state, m.Looked(sample, gc_state(), 4, 1.5), 3.0)
    assert set(changed(state, after)) == {"now_seconds", "series", "gc", "first_gc", "threads", "cost"}
    assert after.series.last == replace(sample, traced_bytes=None), "without tracing nothing is known of it"
    assert (after.gc, after.threads, after.cost.tool_cpu_seconds, after.now_seconds) == (gc_state(), 4, 1.5, 3.0)


def test_a_look_without_the_collector_keeps_the_last_one_seen() -> None:
    state = empty_state(gc=gc_state())
    assert reduce(state, m.Looked(Sample(1.0, 5), None, 1, 0.0), 1.0).gc == gc_state()


def test_a_look_while_tracing_carries_the_traced_memory() -> None:
    state = empty_state(tracing=Tracing(True, traced_bytes=1234))
    assert reduce(state, m.Looked(Sample(1.0, 5), None, 1, 0.0), 1.0).series.last == Sample(1.0, 5, traced_bytes=1234)


def test_the_agent_reports() -> None:
    state = empty_state()
    report = m.AgentReported(GcPauses(3, 0.2, 0.1, 0.05, 2), Tracing(True, 1, 0.0), 0.25, 0.004, 5000)
    after = reduce(reduce(state, m.Paused(0.002), 1.0), report, 1.0)
    assert set(changed(state, after)) == {"now_seconds", "pauses", "tracing", "cost"}
    cost = after.cost
    assert (cost.target_cpu_seconds, cost.target_longest_pause_seconds, cost.target_bytes) == (0.25, 0.004, 5000)
    assert reduce(after, m.Paused(0.009), 2.0).cost.target_longest_pause_seconds == 0.009
    assert reduce(after, m.Paused(0.001), 2.0).cost.target_longest_pause_seconds == 0.004


@pytest.mark.parametrize("rung", [Rung.PROCESS, Rung.OBSERVE])
def test_without_the_agent_nothing_is_said_of_what_only_it_knows(rung: Rung) -> None:
    after = reduce(full_state(), m.Climbed(rung, "because"), 60.0)
    assert (after.rung, after.note) == (rung, "because")
    assert after.pauses is after.tracing is after.allocations is after.baseline is None
    assert after.snapshots == full_state().snapshots
    assert after.series == full_state().series


def test_climbing_up_keeps_everything() -> None:
    assert set(changed(full_state(), reduce(full_state(), m.Climbed(Rung.TRACER), 59.0))) == {"rung"}


def test_another_program_starts_at_the_bottom() -> None:
    other = replace(TARGET, command=("other",), python=None)
    after = reduce(full_state(), m.TargetChanged(other, None), 60.0)
    assert (after.target, after.rung, after.gc, after.memory_limit_bytes) == (other, Rung.PROCESS, None, None)


def test_allocations_and_their_grouping() -> None:
    seen = traced([row("a.py", 1, 100, 1)])
    state = empty_state()
    with_rows = reduce(state, m.AllocationsSeen(seen), 0.0)
    assert changed(state, with_rows) == {"allocations": seen}
    with_both = reduce(with_rows, m.BaselineSet(seen), 0.0)
    assert changed(with_rows, with_both) == {"baseline": seen}
    grouped = reduce(with_both, m.Grouped(GroupBy.FILE), 0.0)
    assert changed(with_both, grouped) == {"group_by": GroupBy.FILE, "allocations": None, "baseline": None}


def test_snapshots_are_numbered_on_and_bounded() -> None:
    state = empty_state()
    for _ in range(SNAPSHOT_BOUND + 5):
        state = reduce(state, m.SnapshotTaken(snapshot(0, 1.0, {"dict": 1500})), 2.0)
    assert [one.number for one in state.snapshots] == list(range(6, SNAPSHOT_BOUND + 6))
    assert state.events[0].kind is EventKind.SNAPSHOT
    assert "1,500" in state.events[0].text
    assert "Snapshot 1:" in state.events[0].text


def test_events_are_bounded_and_timed() -> None:
    state = empty_state()
    for number in range(EVENT_BOUND + 5):
        state = reduce(state, m.Noted(EventKind.INFO, str(number)), float(number))
    assert len(state.events) == EVENT_BOUND
    assert (state.events[-1].text, state.events[-1].at_seconds) == (str(EVENT_BOUND + 4), EVENT_BOUND + 4.0)


def test_output_of_a_target_that_memtui_did_not_start_is_shown_too() -> None:
    after = reduce(empty_state(), m.OutputArrived(("a", "b"), False, 3), 0.0)
    assert after.output == Output(("a", "b"), 5)


def test_the_end() -> None:
    ending = Ending(60.0, "The workload exited with code 3", 3)
    after = reduce(replace(full_state(), busy=("taking a snapshot",)), m.Ended(ending), 60.0)
    assert (after.ending, after.busy) == (ending, ())
    assert (after.events[-1].kind, after.events[-1].text) == (EventKind.ENDED, ending.text)
    assert after.allocations == full_state().allocations, "what was gathered can still be exported"


def test_busy() -> None:
    assert changed(empty_state(), reduce(empty_state(), m.Busy(("attaching",)), 0.0)) == {"busy": ("attaching",)}


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(TypeError, match="unknown message"):
        reduce(empty_state(), "hello", 0.0)  # type: ignore[arg-type]


def test_a_picture_says_what_it_cost_the_process() -> None:
    taken = replace(snapshot(0, 1.0, {"dict": 1500}, objects=90_000), picture=PICTURE)
    after = reduce(empty_state(), m.SnapshotTaken(taken), 2.0)
    assert after.events[-1].text == "Snapshot 1: 90,000 objects, 24.1 MiB; the process was stopped for 4.2 ms"
    of_a_core = replace(taken, picture=replace(PICTURE, stop_seconds=None))
    assert "stopped" not in reduce(empty_state(), m.SnapshotTaken(of_a_core), 2.0).events[-1].text


def test_a_dropped_snapshot_is_no_more_and_numbers_go_on() -> None:
    state = empty_state()
    for _ in range(3):
        state = reduce(state, m.SnapshotTaken(snapshot(0, 1.0, {"dict": 1500})), 2.0)
    state = reduce(state, m.SnapshotDropped(1), 3.0)
    assert [one.number for one in state.snapshots] == [2, 3]
    state = reduce(state, m.SnapshotTaken(snapshot(0, 1.0, {"dict": 1500})), 4.0)
    assert [one.number for one in state.snapshots] == [2, 3, 4]


def test_progress_and_questions() -> None:
    progress = Picturing("references", 0.4)
    state = reduce(empty_state(), m.PictureProgressed(progress), 1.0)
    assert state.picturing == progress
    ended = reduce(state, m.Ended(Ending(2.0, "gone")), 2.0)
    assert ended.picturing is None
    assert reduce(state, m.PictureProgressed(None), 2.0).picturing is None
    command = TakeSnapshot(accept_stop=True)
    state = reduce(reduce(state, m.Asked("Now?", command), 3.0), m.Asked("And now?", command), 4.0)
    assert state.question == Question(2, "And now?", command)


def test_an_alert_stands_until_it_is_over() -> None:
    alert = Alert(3.0, "critical", "rss>512MB", 600e6)
    other = Alert(3.0, "warning", "rss>256MB", 600e6)
    state = reduce(reduce(empty_state(), m.AlertRaised(alert), 3.0), m.AlertRaised(other), 3.0)
    assert state.alerts == (alert, other)
    assert state.events[0].kind is EventKind.CRITICAL
    assert state.events[0].text == "critical: RSS is 600.0 MB (rss>512MB)"
    state = reduce(state, m.AlertOver(replace(alert, until_seconds=70.0)), 70.0)
    assert state.alerts == (replace(alert, until_seconds=70.0), other)
    assert state.events[-1].kind is EventKind.ALERT
    assert state.events[-1].text == "rss>512MB is over after 1 m 07 s (critical)"


def test_alerts_are_bounded() -> None:
    state = empty_state()
    for second in range(ALERT_BOUND + 5):
        state = reduce(state, m.AlertRaised(Alert(second, "warning", "rss>1B", 2)), second)
    assert len(state.alerts) == ALERT_BOUND
    assert state.alerts[-1].at_seconds == ALERT_BOUND + 4
