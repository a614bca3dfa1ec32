"""What is said before something is done to the process."""

from __future__ import annotations

from memtui.analysis.predict import collection_pause_seconds
from memtui.model.command import CheckForLeaks, Command, StartNative, StopNative, TakeSnapshot
from memtui.model.state import State
from memtui.model.target import Rung
from memtui.model.units import format_seconds

ASK_ABOVE_SECONDS = 0.25
LARGE_RSS_BYTES = 512 * 1024**2
"""With nothing known about its objects, a process above this size is asked about."""
AGENT_NOTICE = "The agent goes in: one thread inside the process, stopped for a few ms; all is removed when you quit."
PICTURE_NOTICE = "A heap picture: the process is stopped for some ms and copied; nothing is put into it."


def needs_agent(state: State) -> bool:
    """Whether the agent must go in before anything else can be done."""
    return state.rung in (Rung.PROCESS, Rung.OBSERVE)


def notice(state: State, command: Command) -> str:
    """One line that says what a command does to a process that memtui did not start; empty when it need not be said.

    It is not said either when the State knows that the agent cannot go in: the answer of the session says why.
    """
    if state.target.launched or isinstance(command, (StartNative, StopNative)):
        return ""  # before a native recording the session asks
    if isinstance(command, (TakeSnapshot, CheckForLeaks)) and state.rung is not Rung.PROCESS:
        return PICTURE_NOTICE
    return "" if state.note or not needs_agent(state) else state.entry_cost or AGENT_NOTICE


def collection_question(state: State) -> str:
    """What to ask before a full collection; empty when its pause is short enough to just do it."""
    return _question("A full collection", "Collect", collection_pause_seconds(state), state)


def _question(what: str, verb: str, seconds: float | None, state: State) -> str:
    if seconds is not None:
        if seconds <= ASK_ABOVE_SECONDS:
            return ""
        return f"{what} will stop the process for about {format_seconds(seconds)}. {verb} now?"
    sample = state.series.last
    if sample is None or sample.rss_bytes < LARGE_RSS_BYTES:
        return ""
    return f"{what} stops the process, and it is not known for how long: it is large. {verb} now?"
