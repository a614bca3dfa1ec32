"""A recording as text, CSV or Markdown. As JSON it is report.json of its last State."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from memtui.analysis.diagnosis.diagnose import Diagnosis
from memtui.model.sample import Sample, Summary
from memtui.model.state import State
from memtui.model.units import format_bytes, format_seconds
from memtui.report.diagnosis import diagnosis_as_text
from memtui.report.markdown import as_code, as_text, suspects_table, table, verdict_lines
from memtui.report.pictures import printable
from memtui.report.times import iso

_MOST_EVENTS = 20
_COLUMNS = (
    "at_seconds", "time", "rss_bytes", "uss_bytes", "pss_bytes", "swap_bytes", "traced_bytes", "gc_objects",
    "gc_count_0", "gc_count_1", "gc_count_2",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """A recording from outside. ``state``: its last one, or that of the moment that is reported on.

    ``gaps``: stretches of session time that are lost to damage; ``is_whole``: it was closed, and not cut off.
    """

    path: str
    size_bytes: int
    memtui: str
    begin_seconds: float
    end_seconds: float
    gaps: tuple[tuple[float, float], ...]
    is_whole: bool
    state: State


def condition(facts: RecordingFacts) -> str:
    """What is wrong with the file, in a sentence; empty when nothing is."""
    told = [f"{format_seconds(end - begin)} from {format_seconds(begin)} on" for begin, end in facts.gaps]
    damaged = f"The file is damaged, and lost: {', '.join(told)}." if told else ""
    cut = "" if facts.is_whole else "The file was cut off at its end: memtui was killed, or is still writing it."
    return " ".join(filter(None, (damaged, cut)))


def recording_as_text(facts: RecordingFacts, diagnosis: Diagnosis) -> Iterator[str]:
    """The lines for people."""
    yield f"Recording {printable(facts.path)}: {_extent(facts)}"
    if wrong := condition(facts):
        yield wrong
    yield ""
    yield from diagnosis_as_text(facts.state, diagnosis, _obstacle(facts.state))
    events = facts.state.events[-_MOST_EVENTS:]
    if events:
        yield ""
        yield "Events:" if len(facts.state.events) <= _MOST_EVENTS else f"The last {_MOST_EVENTS} events:"
    yield from (f"  {_clock(one.at_seconds):>9}  {printable(one.text)}" for one in events)


def recording_as_markdown(facts: RecordingFacts, diagnosis: Diagnosis) -> Iterator[str]:
    """The document for an issue or a pull request."""
    state = facts.state
    yield f"## memtui recording of process {state.target.pid}"
    yield ""
    python = as_text(state.target.python or "–")
    yield f"{as_code(shlex.join(state.target.command))}, Python {python}, {_extent(facts)}"
    if wrong := condition(facts):
        yield ""
        yield f"**{as_text(wrong)}**"
    yield ""
    yield from verdict_lines(diagnosis)
    yield ""
    series = state.series
    summaries = {"RSS": series.rss, "USS": series.uss, "PSS": series.pss, "Swap": series.swap}
    rows = [_row(name, one) for name, one in summaries.items() if one is not None]
    yield from table(("Memory", "First", "Last", "Least", "Most", "Change"), rows)
    yield from suspects_table(diagnosis)
    if state.events:
        yield ""
        yield "### Events"
        yield ""
        events = state.events[-_MOST_EVENTS:]
        yield from table(("At", "What"), ((_clock(one.at_seconds), as_text(one.text)) for one in events))


def samples_as_csv(started_at: float, samples: Iterable[Sample]) -> Iterator[str]:
    """A line for each look, after one with the names. Empty: not known."""
    yield ",".join(_COLUMNS) + "\n"
    for one in samples:
        line = io.StringIO()
        counts = (*(one.gc_counts or ()), None, None, None)[:3]
        row = (
            round(one.at_seconds, 3), iso(started_at + one.at_seconds), one.rss_bytes, one.uss_bytes, one.pss_bytes,
            one.swap_bytes, one.traced_bytes, one.gc_objects, *counts,
        )  # fmt: skip
        csv.writer(line, lineterminator="\n").writerow(row)
        yield line.getvalue()


def _extent(facts: RecordingFacts) -> str:
    seconds = format_seconds(facts.end_seconds - facts.begin_seconds)
    since = iso(facts.state.started_at + facts.begin_seconds)
    return f"{seconds} from {since} on, {format_bytes(facts.size_bytes)}, by memtui {printable(facts.memtui)}"


def _obstacle(state: State) -> str:
    return "" if state.evidence is not None else "There are less than two heap pictures in the recording."


def _row(name: str, one: Summary) -> tuple[str, ...]:
    change = format_bytes(one.last - one.first, sign=True)
    return name, *(format_bytes(value) for value in (one.first, one.last, one.min, one.max)), change


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
