"""A diagnosis as a part of report.json, and as text that a person pastes into a bug report."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from memtui.analysis.diagnosis.diagnose import Diagnosis
from memtui.analysis.native import function_name, site_name
from memtui.model.native import NativeSite
from memtui.model.state import State
from memtui.model.suspect import Suspect
from memtui.model.units import format_bytes, format_seconds
from memtui.report.alerts import alerts_in_words
from memtui.report.cycles import cycles_as_text
from memtui.report.pictures import printable
from memtui.report.traced import traced_suspects

_WIDTH = 100
_MOST_TOLD = 5
_MOST_OFFERS = 1


def verdict_of(diagnosis: Diagnosis) -> dict[str, Any]:
    """``verdict`` of the report."""
    verdict = diagnosis.verdict
    return {
        "state": verdict.state,
        "confidence": round(verdict.confidence, 3),
        "reasons": list(verdict.reasons),
        "seconds_to_limit": None if verdict.seconds_to_limit is None else round(verdict.seconds_to_limit, 1),
        "growth_bytes_per_minute": verdict.growth_bytes_per_minute,
        "rule": verdict.rule,
        "pressure": None if verdict.pressure is None else asdict(verdict.pressure),
    }


def growth_of(diagnosis: Diagnosis) -> dict[str, Any] | None:
    """``growth`` of the report: where it went; None before there are two heap pictures."""
    return None if diagnosis.split is None else asdict(diagnosis.split)


def suspects(state: State, diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """Suspects out of the heap, then what tracemalloc and type counts tell; each the likeliest first."""
    found = [_suspect(one) for one in diagnosis.suspects] + traced_suspects(state)
    return [{"rank": rank, **suspect} for rank, suspect in enumerate(found, start=1)]


def _suspect(one: Suspect) -> dict[str, Any]:
    holder = None if one.holder is None else {"path": one.holder, "chain": list(one.chain)}
    return {
        "kind": one.kind,
        "type": one.type,
        "category": one.category,
        "growth_objects_per_second": one.growth_objects_per_second,
        "growth_bytes_per_second": one.growth_bytes_per_second,
        "retained_bytes": one.retained_bytes,
        "allocated_at": [
            {
                "file": place.place.file,
                "line": place.place.line or None,
                "function": None,
                "size_bytes": place.size_bytes,
                "count": place.count,
            }
            for place in one.allocated_at
        ]
        + [_native_place(site) for site in one.native_sites],
        "holder": holder,
        "evidence": list(one.evidence),
        "advice": one.advice,
        "signature": one.signature,
        "share": one.share,
        "lasting": one.lasting,
        "bounded": one.bounded,
        "seconds_until_full": one.seconds_until_full,
        "expected": one.expected,
        "offer": None if one.offer is None else asdict(one.offer),
    }


def _native_place(site: NativeSite) -> dict[str, Any]:
    """The file is the library: where its sources were when it was built helps nobody."""
    return {
        "file": site.library or site.frame.file or "?",
        "line": None,
        "function": function_name(site.frame),
        "size_bytes": site.size_bytes,
        "count": site.count,
    }


def diagnosis_as_text(state: State, diagnosis: Diagnosis, obstacle: str = "", unchecked: str = "") -> Iterator[str]:
    """The lines of a report for people. ``obstacle``: why the heap was not looked into, ``unchecked``: nor cycles."""
    target, verdict = state.target, diagnosis.verdict
    yield f"Process {target.pid}: {printable(shlex.join(target.command))}"
    python = f"Python {target.python}, " if target.python else ""
    yield f"{python}watched for {format_seconds(state.now_seconds)}"
    yield ""
    yield f"Verdict: {verdict.state} (confidence {verdict.confidence:.0%})"
    for reason in verdict.reasons:
        yield from wrapped(printable(reason), "  ")
    if obstacle:
        yield from wrapped(f"The heap was not looked into: {printable(obstacle)}", "  ")
    yield from _numbers(state, diagnosis)
    for level, text in alerts_in_words(state):
        yield from wrapped(f"{level.capitalize()}: {printable(text)}", "")
    yield from suspect_lines(diagnosis)
    if not diagnosis.suspects and not obstacle:
        yield ""
        if state.evidence is None:
            yield "No suspects: there are no two pictures of the heap to compare."
        else:
            yield "No suspects: nothing in the heap grew that matters."
    if state.cycles is not None:
        yield from ("", "Checked collection:")
        for told in cycles_as_text(state.cycles):
            yield from wrapped(printable(told), "  ")
    elif unchecked:
        yield from ("", *wrapped(f"Cycles were not checked: {printable(unchecked)}", ""))


def suspect_lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The likeliest suspects, an empty line before each, then the names of those that are expected."""
    unexpected = [one for one in diagnosis.suspects if not one.expected]
    for rank, suspect in enumerate(unexpected[:_MOST_TOLD], start=1):
        yield ""
        yield from _one(rank, suspect)
    expected = diagnosis.suspects[len(unexpected) :]
    if expected:
        yield from ("", "Expected (key x on the leak screen takes that back):")
        yield from (f"  {_name(one)}" for one in expected)


def _numbers(state: State, diagnosis: Diagnosis) -> Iterator[str]:
    rss = state.series.rss
    if rss is not None:
        change = format_bytes(rss.last - rss.first, sign=True)
        yield f"  RSS {format_bytes(rss.first)} → {format_bytes(rss.last)} ({change})"
    if diagnosis.verdict.seconds_to_limit is not None:
        yield f"  The memory limit is reached in {format_seconds(diagnosis.verdict.seconds_to_limit)} at this rate."
    yield from _cost(state)
    split = diagnosis.split
    if split is None:
        return
    parts = {
        "Python objects": split.objects_bytes,
        "free in the allocators": split.free_bytes,
        "native": split.native_bytes,
        "files and shared": split.file_bytes,
        "unexplained": split.unexplained_bytes,
    }
    told = [f"{name} {format_bytes(size, sign=True)}" for name, size in parts.items() if size]
    if told:
        yield from wrapped(f"Between the first and the last picture: {', '.join(told)}.", "  ")
    yield from _tracing(state)
    pauses = [one.stop_seconds for one in state.evidence.looks if one.stop_seconds] if state.evidence else []
    if pauses:
        yield f"  {len(pauses)} pictures stopped the process for {max(pauses) * 1000:.1f} ms at most."


def _tracing(state: State) -> Iterator[str]:
    """What tracing cost, as measured."""
    tracing = state.tracing
    if tracing is None or not tracing.on:
        return
    percent = tracing.slowdown_percent
    cpu = "not measurable in CPU time" if percent is None else f"{percent:+.0f} % of CPU time"
    yield f"  Tracing cost the process {cpu}, and {format_bytes(tracing.overhead_bytes)} for traces."


def _cost(state: State) -> Iterator[str]:
    """What the pictures cost the process, and memtui the machine."""
    paid = state.cost
    if paid.pictures_cpu_seconds is None or paid.target_cpu_seconds is None or not state.now_seconds:
        return
    share = paid.target_cpu_seconds / state.now_seconds
    yield (
        f"  It cost the process {format_seconds(paid.target_cpu_seconds)} of CPU time, {share:.2%} of a core "
        f"(page faults estimated); memtui itself took {format_seconds(paid.tool_cpu_seconds)}."
    )


def _one(rank: int, suspect: Suspect) -> Iterator[str]:
    rate = f", {format_bytes(round(suspect.growth_bytes_per_second))}/s" if suspect.growth_bytes_per_second else ""
    yield f"{rank}. {_what(suspect)}  [{suspect.category}]{rate}, {suspect.share:.0%} of the growth"
    if suspect.holder is not None:
        yield f"   held by: {printable(suspect.holder)}"
    for place in suspect.allocated_at:
        yield f"   allocated at: {printable(place.place.file)}:{place.place.line}"
    for site in suspect.native_sites:
        yield f"   allocated at: {printable(site_name(site))} ({format_bytes(site.size_bytes)} not freed)"
    for told in suspect.evidence:
        yield from wrapped(printable(told), "   ")
    if suspect.seconds_until_full is not None:
        yield f"   It is full in {format_seconds(suspect.seconds_until_full)}."
    yield from wrapped(f"→ {suspect.advice}", "   ")
    if suspect.offer is not None and rank <= _MOST_OFFERS:
        offer = suspect.offer
        yield from wrapped(f"+ To see {offer.gives}: {offer.command} ({printable(offer.cost)}).", "   ")


def _what(suspect: Suspect) -> str:
    what = suspect.type or {"native": "memory outside of Python's objects"}.get(suspect.kind, suspect.kind)
    return printable(what)


def _name(suspect: Suspect) -> str:
    held = f" held by {printable(suspect.holder)}" if suspect.holder is not None else ""
    return f"{_what(suspect)}{held}, {suspect.share:.0%} of the growth"


def wrapped(text: str, indent: str) -> list[str]:
    """The lines of a paragraph, those after the first indented a little more."""
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False)
