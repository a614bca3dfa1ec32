"""Folds what happens into the State: pure, one small function for each kind of message."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch

from memtui.model.allocation import Snapshot
from memtui.model.state import (
    ALERT_BOUND,
    CLEANUP_BOUND,
    EVENT_BOUND,
    LINE_BOUND,
    OUTPUT_BOUND,
    SNAPSHOT_BOUND,
    Event,
    EventKind,
    Output,
    Question,
    State,
)
from memtui.model.target import Rung
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.session import messages as m
from memtui.session.cleaning import cleanup_in_words


def reduce(state: State, message: m.Message, now_seconds: float) -> State:
    """The State after ``message``, at session time ``now_seconds``."""
    return _fold(message, replace(state, now_seconds=now_seconds))


@singledispatch
def _fold(message: object, state: State) -> State:
    raise TypeError(f"unknown message {message!r}")


@_fold.register
def _looked(message: m.Looked, state: State) -> State:
    traced = state.tracing.traced_bytes if state.tracing and state.tracing.on else None
    return replace(
        state,
        series=state.series.append(replace(message.sample, traced_bytes=traced)),
        gc=message.gc or state.gc,
        first_gc=state.first_gc or message.gc,
        threads=message.threads,
        cpu_share=message.cpu_share,
        cost=replace(state.cost, tool_cpu_seconds=message.tool_cpu_seconds),
    )


@_fold.register
def _target_changed(message: m.TargetChanged, state: State) -> State:
    return replace(
        state,
        target=message.target,
        memory_limit_bytes=message.memory_limit_bytes,
        rung=Rung.PROCESS,
        gc=None,
        first_gc=None,
        evidence=None,
        native=None,
        cycles=None,
    )


@_fold.register
def _family_seen(message: m.FamilySeen, state: State) -> State:
    return replace(state, processes=message.processes)


@_fold.register
def _climbed(message: m.Climbed, state: State) -> State:
    state = replace(state, rung=message.rung, note=message.note)
    if message.rung in (Rung.PROCESS, Rung.OBSERVE):
        state = replace(state, pauses=None, tracing=None, allocations=None, baseline=None)
    return state


@_fold.register
def _agent_reported(message: m.AgentReported, state: State) -> State:
    longest = max(message.longest_pause_seconds, state.cost.target_longest_pause_seconds or 0.0)
    cost = replace(
        state.cost,
        target_cpu_seconds=message.cpu_seconds + (state.cost.pictures_cpu_seconds or 0.0),
        target_longest_pause_seconds=longest,
        target_bytes=message.held_bytes,
    )
    return replace(state, pauses=message.pauses, tracing=message.tracing, cost=cost)


@_fold.register
def _paused(message: m.Paused, state: State) -> State:
    longest = max(message.seconds, state.cost.target_longest_pause_seconds or 0.0)
    return replace(state, cost=replace(state.cost, target_longest_pause_seconds=longest))


@_fold.register
def _picture_paid(message: m.PicturePaid, state: State) -> State:
    toll, cost = message.toll, state.cost
    cost = replace(
        cost,
        target_cpu_seconds=(cost.target_cpu_seconds or 0.0) + toll.cpu_seconds,
        target_longest_pause_seconds=max(toll.longest_stop_seconds, cost.target_longest_pause_seconds or 0.0),
        pictures_cpu_seconds=(cost.pictures_cpu_seconds or 0.0) + toll.cpu_seconds,
        pictures_stop_seconds=(cost.pictures_stop_seconds or 0.0) + toll.stopped_seconds,
        pictures_page_faults=(cost.pictures_page_faults or 0) + (toll.page_faults or 0),
    )
    return replace(state, cost=cost)


@_fold.register
def _tool_paid(message: m.ToolPaid, state: State) -> State:
    return replace(state, cost=replace(state.cost, tool_cpu_seconds=message.cpu_seconds))


@_fold.register
def _allocations_seen(message: m.AllocationsSeen, state: State) -> State:
    return replace(state, allocations=message.allocations)


@_fold.register
def _baseline_set(message: m.BaselineSet, state: State) -> State:
    return replace(state, baseline=message.baseline)


@_fold.register
def _grouped(message: m.Grouped, state: State) -> State:
    return replace(state, group_by=message.by, allocations=None, baseline=None)


@_fold.register
def _snapshot_taken(message: m.SnapshotTaken, state: State) -> State:
    number = state.snapshots[-1].number + 1 if state.snapshots else 1
    snapshot = replace(message.snapshot, number=number)
    state = replace(state, snapshots=(*state.snapshots, snapshot)[-SNAPSHOT_BOUND:])
    return _log(state, EventKind.SNAPSHOT, _in_words(snapshot))


def _in_words(snapshot: Snapshot) -> str:
    """One line on what a snapshot holds, and what it cost the process."""
    name, objects = f"Snapshot {snapshot.number}", format_count(snapshot.objects)
    if snapshot.picture is not None:
        stop = snapshot.picture.stop_seconds
        stopped = "" if stop is None else f"; the process was stopped for {format_seconds(stop)}"
        return f"{name}: {objects} objects, {format_bytes(snapshot.picture.size_bytes)}{stopped}"
    if snapshot.scanned:
        return f"{name} by scanning from outside: {objects} gc-tracked objects, counts only"
    covers = f"{format_bytes(snapshot.traced_bytes)} traced" if snapshot.allocations else "tracing off: no lines"
    return f"{name}: {objects} gc-tracked objects, {covers}"


@_fold.register
def _snapshot_dropped(message: m.SnapshotDropped, state: State) -> State:
    return replace(state, snapshots=tuple(one for one in state.snapshots if one.number != message.number))


@_fold.register
def _evidence_found(message: m.EvidenceFound, state: State) -> State:
    return replace(state, evidence=message.evidence)


@_fold.register
def _cycles_checked(message: m.CyclesChecked, state: State) -> State:
    check = message.check
    took = format_seconds(check.took_seconds)
    found = f"{format_count(check.objects)} objects ({format_bytes(check.size_bytes)}) were garbage"
    left = "" if check.was_freed else "; they stay, because the program has gc.DEBUG_SAVEALL set"
    state = replace(state, cycles=check)
    return _log(state, EventKind.GC, f"Checked collection in {took}: {found}{left}")


@_fold.register
def _picture_progressed(message: m.PictureProgressed, state: State) -> State:
    return replace(state, picturing=message.progress)


@_fold.register
def _native_progressed(message: m.NativeProgressed, state: State) -> State:
    return replace(state, native_progress=message.progress)


@_fold.register
def _native_recorded(message: m.NativeRecorded, state: State) -> State:
    return replace(state, native=message.result)


@_fold.register
def _asked(message: m.Asked, state: State) -> State:
    number = state.question.number + 1 if state.question else 1
    return replace(state, question=Question(number, message.text, message.command))


@_fold.register
def _output_arrived(message: m.OutputArrived, state: State) -> State:
    before = state.output or Output()
    lines, new = before.lines, message.lines
    if message.continues and lines and new:
        lines, new = (*lines[:-1], (lines[-1] + new[0])[:LINE_BOUND]), new[1:]
    return replace(
        state, output=Output((*lines, *new)[-OUTPUT_BOUND:], before.total_lines + len(new) + message.dropped)
    )


@_fold.register
def _busy(message: m.Busy, state: State) -> State:
    return replace(state, busy=message.what)


@_fold.register
def _noted(message: m.Noted, state: State) -> State:
    return _log(state, message.kind, message.text)


@_fold.register
def _cleaned_up(message: m.CleanedUp, state: State) -> State:
    number = state.cleanups[-1].number + 1 if state.cleanups else 1
    outcome = replace(message.outcome, number=number)
    state = replace(state, cleanups=(*state.cleanups, outcome)[-CLEANUP_BOUND:])
    return _log(state, EventKind.WARNING if outcome.failed else EventKind.GC, cleanup_in_words(outcome))


@_fold.register
def _alert_raised(message: m.AlertRaised, state: State) -> State:
    alert = message.alert
    state = replace(state, alerts=(*state.alerts, alert)[-ALERT_BOUND:])
    kind = EventKind.CRITICAL if alert.level == "critical" else EventKind.ALERT
    return _log(state, kind, f"{alert.level}: {alert.text}")


@_fold.register
def _alert_over(message: m.AlertOver, state: State) -> State:
    over = message.alert
    raised = replace(over, until_seconds=None)
    state = replace(state, alerts=tuple(over if one == raised else one for one in state.alerts))
    lasted = format_seconds(state.now_seconds - over.at_seconds)
    return _log(state, EventKind.ALERT, f"{over.rule} is over after {lasted} ({over.level})")


@_fold.register
def _recording_changed(message: m.RecordingChanged, state: State) -> State:
    return replace(state, recording=message.recording)


@_fold.register
def _ended(message: m.Ended, state: State) -> State:
    state = replace(state, ending=message.ending, busy=(), picturing=None)
    return _log(state, EventKind.ENDED, message.ending.text)


def _log(state: State, kind: EventKind, text: str) -> State:
    event = Event(state.now_seconds, kind, text)
    return replace(state, events=(*state.events, event)[-EVENT_BOUND:])
