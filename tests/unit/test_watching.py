"""A watch without a screen, on a session that answers at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from states import PICTURE, empty_state
from test_native import report as native_report

from memtui.model.allocation import Snapshot, Tracing
from memtui.model.command import CollectGarbage, Command, StartNative, StartTracing, TakeSnapshot
from memtui.model.native import NativeResult
from memtui.model.state import EVENT_BOUND, Event, EventKind, State
from memtui.model.target import Ending
from memtui.session import watching
from memtui.session.native_watch import record_native
from memtui.session.scripted import ScriptedSession
from memtui.session.silence import SILENCE
from memtui.session.watching import HeadlessWatch, WatchPlan

SECONDS = 0.8


@pytest.fixture(autouse=True)
def no_margins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of a short watch is for pictures."""
    monkeypatch.setattr(watching, "_SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(watching, "_LAST_LOOK_SECONDS", 0.0)


def pictured(state: State, command: Command) -> State:
    """Each picture that is asked for is there at once."""
    if not isinstance(command, TakeSnapshot):
        return state
    number = len(state.snapshots) + 1
    picture = replace(PICTURE, path=f"/private/{number}.memtui")
    snapshot = Snapshot(number, 0.0, 0.0, 0, None, (), 0, None, None, 0.0, picture=picture)
    # No evidence ever comes: this ends the wait for it.
    event = Event(0.0, EventKind.INFO, "No diagnosis: a test")
    return replace(state, snapshots=(*state.snapshots, snapshot), events=(*state.events, event))


def refused(state: State, command: Command) -> State:
    event = Event(0.0, EventKind.WARNING, "No heap picture: it is a bad day.")
    return replace(state, events=(*state.events, event)) if isinstance(command, TakeSnapshot) else state


def watched(plan: WatchPlan, session: ScriptedSession) -> HeadlessWatch:
    watch = HeadlessWatch(session, plan, lambda _what, _fraction: None)
    watch.run()
    return watch


def pictures(session: ScriptedSession) -> list[TakeSnapshot]:
    return [one for one in session.requests if isinstance(one, TakeSnapshot)]


def test_four_pictures_compared_from_the_second_on() -> None:
    session = ScriptedSession([empty_state()], answer=pictured)
    watch = watched(WatchPlan(SECONDS), session)
    assert [one.compare for one in pictures(session)] == [False, True, True, True]
    assert (watch.watched.looks, watch.watched.obstacle) == (4, "")


def test_none_where_none_are_to_be() -> None:
    session = ScriptedSession([empty_state()], answer=pictured)
    watched(WatchPlan(SECONDS, pictures=False), session)
    assert session.requests == []


def test_only_those_that_are_wanted() -> None:
    session = ScriptedSession([empty_state()], answer=pictured)
    watched(WatchPlan(SECONDS, wanted=lambda: False), session)
    assert pictures(session) == []
    watched(WatchPlan(SECONDS, wanted=lambda: True), session)
    assert 2 <= len(pictures(session)) <= 9, "as many as if all were taken, and one at the end"


def test_an_obstacle_ends_it_unless_it_is_patient() -> None:
    tried = []
    for patient in (False, True):
        session = ScriptedSession([empty_state()], answer=refused)
        watch = watched(WatchPlan(SECONDS, patient=patient), session)
        assert watch.watched.obstacle == "No heap picture: it is a bad day."
        tried.append(len(pictures(session)))
    assert tried == [1, 4]


def test_an_obstacle_is_seen_in_a_full_log() -> None:
    def full_and_refused(state: State, command: Command) -> State:
        state = refused(state, command)
        return replace(state, events=state.events[-EVENT_BOUND:])

    old = tuple(Event(0.0, EventKind.WARNING, f"old {number}") for number in range(EVENT_BOUND))
    session = ScriptedSession([empty_state(events=old)], answer=full_and_refused)
    assert watched(WatchPlan(SECONDS), session).watched.obstacle == "No heap picture: it is a bad day."


def test_collections_are_forced_on_the_way() -> None:
    session = ScriptedSession([empty_state()])
    watched(WatchPlan(SECONDS, pictures=False, collect_seconds=0.15), session)
    assert 3 <= len(session.requests) <= 6
    assert all(isinstance(one, CollectGarbage) for one in session.requests)


def test_the_last_picture_is_taken_although_it_was_stopped() -> None:
    session = ScriptedSession([empty_state()], answer=pictured)
    watch = HeadlessWatch(session, WatchPlan(60.0), lambda _what, _fraction: None)
    watch.stop()
    watch.run()
    assert session.requests == []
    assert watch.last_picture(5.0) == "/private/1.memtui"
    assert pictures(session)[0].accept_stop, "it is now or never"


def test_no_last_picture_of_what_has_ended() -> None:
    session = ScriptedSession([empty_state(ending=Ending(1.0, "gone"))], answer=pictured)
    watch = watched(WatchPlan(60.0), session)
    assert watch.last_picture(5.0) is None


def test_tracing_is_on_before_the_first_picture() -> None:
    def answer(state: State, command: Command) -> State:
        if isinstance(command, StartTracing):
            return replace(state, tracing=Tracing(on=True, frames=command.frames))
        return pictured(state, command)

    session = ScriptedSession([empty_state()], answer=answer)
    watched(WatchPlan(SECONDS, trace_frames=3), session)
    assert session.requests[0] == StartTracing(3)
    assert len(pictures(session)) == 4


def test_a_late_answer_is_no_obstacle() -> None:
    def answer(state: State, command: Command) -> State:
        late = Event(0.0, EventKind.WARNING, f"{SILENCE} 8 s: code written in C keeps the GIL.")
        state = pictured(state, command)
        return replace(state, events=(*state.events, late))

    watch = watched(WatchPlan(SECONDS), ScriptedSession([empty_state()], answer=answer))
    assert (watch.watched.looks, watch.watched.obstacle) == (4, "")


def test_a_native_recording_is_waited_for() -> None:
    def answer(state: State, command: Command) -> State:
        assert command == StartNative(5.0, accepted=True, keep=False)
        return replace(state, native=NativeResult(native_report(), None, "time", 0.1, 5.0))

    assert record_native(ScriptedSession([empty_state()], answer=answer), 5.0, lambda _what, _fraction: None) == ""


def test_a_native_recording_can_be_interrupted() -> None:
    session = ScriptedSession([empty_state()])
    assert "interrupted" in record_native(session, 5.0, lambda _what, _fraction: None, lambda: True)


def test_why_there_is_no_native_recording() -> None:
    def answer(state: State, command: Command) -> State:
        error = Event(state.now_seconds + 1.0, EventKind.ERROR, "No native recording: memray is not installed.")
        return replace(state, events=(*state.events, error))

    why = record_native(ScriptedSession([empty_state()], answer=answer), 5.0, lambda _what, _fraction: None)
    assert why == "No native recording: memray is not installed."
