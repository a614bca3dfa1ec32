"""The failure of a test, in words: how much stays in each iteration, who holds it, where it came from, what to do."""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterator

from memtui.model.units import format_bytes
from memtui.testing.grown import Holder
from memtui.testing.judgement import Judgement
from memtui.testing.rounds import Course, Examination
from memtui.testing.tracing import Line

_NATIVE = (
    "It is not Python's: tracemalloc does not see it. An extension or a library does not free it. "
    "`memtui native run` on a script with this body names whose code that is."
)


def failure(course: Course, judgement: Judgement) -> str:
    """The message for a test that failed."""
    assert course.examination is not None
    lines = [_headline(course, judgement)]
    if judgement.failure == "native":
        lines.append(_NATIVE)
    else:
        traced = course.examination.traced
        lines += [*_holders(course.examination), *map(_allocated, traced.lines if traced is not None else ())]
    lines.append(_next_step(course, judgement))
    return "\n".join(lines)


def figures(course: Course) -> str:
    """One line with what was measured, for a test that passed too."""
    gauges = course.gauges
    if gauges is None:
        return "the rounds were not finished"
    heap, rss = gauges.heap_bytes, gauges.rss_bytes
    return (
        f"{course.limits.iterations} iterations: {gauges.blocks[-1] - gauges.blocks[0]:+,} blocks, "
        f"{format_bytes(heap[-1] - heap[0] if heap is not None else None, sign=True)} of malloc, "
        f"{format_bytes(rss[-1] - rss[0] if rss is not None else None, sign=True)} of RSS"
    )


def _headline(course: Course, judgement: Judgement) -> str:
    limits = course.limits
    allowed = f"allowed are {format_bytes(limits.max_growth_bytes)}"
    if judgement.failure == "objects":
        allowed += ", and no objects that stay in every iteration"
    is_native = judgement.failure == "native"
    what = "native leak" if is_native else _leak(course.examination)
    objects = "" if is_native else f" and {_objects(judgement.objects)}"
    return (
        f"memtui: {what}: each iteration leaves {format_bytes(judgement.size_bytes)}{objects} behind, "
        f"{format_bytes(judgement.size_bytes * limits.iterations)} in {limits.iterations} iterations; {allowed}."
    )


def _leak(examination: Examination | None) -> str:
    """The first holder comes first: a summary of the session has room for little more."""
    found = (one.text for one in (examination.holders if examination else ()) if not one.excused and one.chain)
    return f"leak in {next(found, 'Python memory')}"


def _objects(count: float) -> str:
    return "1 object" if count == 1 else f"{count:.3g} objects"


def _holders(examination: Examination) -> Iterator[str]:
    for one in examination.holders:
        if not one.excused:
            yield from holder_lines(one, examination.rounds)
    types = [f"{one.name} {sum(one.steps) / examination.rounds:+.3g}" for one in examination.types]
    if types and any(not one.excused for one in examination.holders):
        yield f"more of each iteration: {', '.join(types)}"


def holder_lines(holder: Holder, rounds: int) -> Iterator[str]:
    """One holder, its growth over so many rounds, and the chain to it."""
    grown = sum(holder.steps)
    each = f"{grown / rounds:+.3g} an iteration" if rounds > 1 else f"{grown:+,}"
    if not holder.is_container:
        yield f"held by {holder.text}: {each} of {holder.type}"
    else:
        unit = "bytes" if holder.is_buffer else "elements"
        what = f", the newest: {', '.join(holder.holds)}" if holder.holds else ""
        span = f"{holder.elements[0]:,} → {holder.elements[1]:,} {unit}"
        yield f"held by {holder.text}: {holder.type}, {span}, {each}{what}"
    if holder.chain is not None:
        yield from (f"    {line}" for line in holder.chain.lines())


def _allocated(line: Line) -> str:
    source = linecache.getline(line.file, line.line).strip()
    each = f"{format_bytes(line.size_bytes)} in {line.blocks:.3g} blocks an iteration"
    return f"allocated at {os.path.relpath(line.file)}:{line.line}: {each}\n    {source}"


def _next_step(course: Course, judgement: Judgement) -> str:
    if judgement.failure == "objects":
        return "If these objects are meant to stay, say allow_objects=True in the marker; their bytes still count."
    if judgement.failure == "bytes":
        return "If a cache fills itself here, give the marker a longer warmup, or a larger max_growth."
    return "The figures: " + figures(course) + "."
