"""Whether a checked collection is asked about first: it holds the whole process while it goes through the heap."""

from __future__ import annotations

from memtui.model.command import CheckCycles, Command
from memtui.model.state import State
from memtui.model.units import format_seconds
from memtui.session.messages import Asked

STOP_SECONDS = 0.05
"""The same as for a heap picture: longer stops are for the user to accept."""
SECONDS_PER_YOUNG_OBJECT, SECONDS_PER_OLD_OBJECT = 500e-9, 250e-9
"""For each object that the collector tracks; an old one survived a full collection. On a quiet machine CPython 3.8 to
3.13 take 60 ns for a list that lives on, and 130 to 500 ns for an instance that has become garbage."""
_OLDEST = 2


def cycle_check_seconds(state: State) -> float | None:
    """How long the longest collection of a check will stop the target, about; None when nothing is known of it.

    By the agent's time for the last full collection, if it saw one, else by the number of objects.
    """
    gc, pauses = state.gc, state.pauses
    if gc is None or not gc.generations:
        return None
    young = max(0, gc.generations[0].count) * SECONDS_PER_YOUNG_OBJECT
    if pauses is not None and pauses.last_generation == _OLDEST and pauses.last_seconds is not None:
        return pauses.last_seconds + young
    # Without a full collection so far, the counts say after how many young objects one comes.
    old = _before_a_full_collection(state) if gc.objects is None else gc.objects
    return old * SECONDS_PER_OLD_OBJECT + young


def _before_a_full_collection(state: State) -> int:
    assert state.gc is not None
    young, *older = state.gc.generations
    most = young.threshold if state.gc.enabled else 0
    for one in older:
        most *= max(1, one.count + 1)
    return most


def cycle_check_question(state: State, command: Command) -> Asked | None:
    """What to ask before ``command``; None when it need not be asked, or is another one."""
    if not isinstance(command, CheckCycles) or command.accept_stop:
        return None
    seconds = cycle_check_seconds(state)
    if seconds is not None and seconds <= STOP_SECONDS:
        return None
    return Asked(f"{_why(seconds)} Check all the same?", CheckCycles(accept_stop=True))


def _why(seconds: float | None) -> str:
    if seconds is None:
        return (
            "A check for cycles stops the process while the collector goes through its heap, and it is not known how "
            "large that is."
        )
    return (
        f"A check for cycles is a full collection: it would stop the process for about {format_seconds(seconds)}, "
        f"which is more than {format_seconds(STOP_SECONDS)}."
    )
