"""What attaching to a process would do to it and cost it, predicted from what is seen from outside."""

from __future__ import annotations

from collections.abc import Iterator

from memtui.analysis.predict import collection_pause_seconds, snapshot_pause_seconds
from memtui.attach.survey import Entry
from memtui.model.state import State
from memtui.model.units import format_seconds
from memtui.observe.diagnosis import Facts


def forecast(facts: Facts, entry: Entry) -> Iterator[str]:
    """Sentences about a process into which the agent could go."""
    yield "As long as no key needs more, memtui only reads: the process is not stopped and runs no code of memtui."
    yield f"For the agent {_borrowing(entry)}; it would be stopped for about a millisecond."
    yield from _filter(entry)
    yield (
        "The agent is one thread, some file descriptors and 2 to 4 MiB of RSS. Thread and descriptors go when memtui "
        "leaves, and its memory goes to Python's allocator, which may keep it for the program to use."
    )
    yield f"It would speak to memtui over {_channel(entry)}."
    if facts.target is not None and facts.gc is not None:
        state = State(facts.target, 0.0, gc=facts.gc)
        yield from _pause("a forced collection (g)", collection_pause_seconds(state))
        yield from _pause("a snapshot (s)", snapshot_pause_seconds(state))
    yield "Tracing (t) is off until asked for; programs ran 2 to 13 times slower while it was on."


def _borrowing(entry: Entry) -> str:
    if entry.thread is None:
        return "no thread is at a harmless point just now: memtui would wait for one, up to 8 s"
    if entry.sleeps:
        return f"thread {entry.thread}, which sleeps where that does no harm, would be borrowed"
    return f"the running main thread ({entry.thread}) would be borrowed between two instructions of Python"


def _filter(entry: Entry) -> Iterator[str]:
    if entry.filtered and entry.filter_readable:
        yield "A filter (seccomp) is over its system calls: memtui reads it first, and stays out if it would end it."
    elif entry.filtered:
        yield (
            "A filter (seccomp) is over its system calls, which only root may read, from outside of containers: one "
            "that ends the process for a call such as memfd_create would do so when the agent comes."
        )


def _channel(entry: Entry) -> str:
    if entry.fetched:
        return "a private socket: no port, no file"
    return "a socket in a directory of its /tmp that only its user may enter, removed once they are connected"


def _pause(what: str, seconds: float | None) -> Iterator[str]:
    if seconds is None:
        yield f"How long {what} would hold it is not known yet: it has had no full collection."
    else:
        yield f"There {what} would hold it for about {format_seconds(seconds)}."
