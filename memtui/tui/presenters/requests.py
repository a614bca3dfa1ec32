"""What is said before something is done to the process."""

from __future__ import annotations

from memtui.analysis.predict import collection_pause_seconds, snapshot_pause_seconds
from memtui.model.command import Command, TakeSnapshot
from memtui.model.state import State
from memtui.model.target import Rung
from memtui.model.units import format_seconds

ASK_ABOVE_SECONDS = 0.25
LARGE_RSS_BYTES = 512 * 1024**2
"""With nothing known about its objects, a process above this size is asked about."""


def needs_agent(state: State) -> bool:
    """Whether the agent must go in before anything else can be done."""
    return state.rung in (Rung.PROCESS, Rung.OBSERVE)


def scans(state: State) -> bool:
    """Whether a snapshot now is a scan from outside: then the agent is not put in, and the process not stopped."""
    return state.rung is Rung.OBSERVE


def agent_notice(state: State, command: Command) -> str:
    """One line that says what the agent does to a process that memtui did not start; empty when it need not be said.

    It is not said either when the State knows that the agent cannot go in: the answer of the session says why.
    """
    if state.target.launched or state.note or not needs_agent(state):
        return ""
    if isinstance(command, TakeSnapshot) and scans(state):
        return ""
    return "The agent goes in: one thread inside the process, stopped for a few ms; all is removed when you quit."


def collection_question(state: State) -> str:
    """What to ask before a full collection; empty when its pause is short enough to just do it."""
    return _question("A full collection", "Collect", collection_pause_seconds(state), state)


def snapshot_question(state: State) -> str:
    """What to ask before a snapshot; empty when its pause is short enough to just do it."""
    if scans(state):
        return ""
    return _question("Counting the objects", "Take the snapshot", snapshot_pause_seconds(state), state)


def _question(what: str, verb: str, seconds: float | None, state: State) -> str:
    if seconds is not None:
        if seconds <= ASK_ABOVE_SECONDS:
            return ""
        return f"{what} will stop the process for about {format_seconds(seconds)}. {verb} now?"
    sample = state.series.last
    if sample is None or sample.rss_bytes < LARGE_RSS_BYTES:
        return ""
    return f"{what} stops the process, and it is not known for how long: it is large. {verb} now?"
