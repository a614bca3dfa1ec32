"""Suspects out of evidence: holders that grow, objects that nobody refers to, cycles, memory that is no object."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from memtui.analysis.diagnosis.categories import ADVICE, categorise, is_bounded, telling_type
from memtui.analysis.diagnosis.growth import MIN_LOOKS, Course, course
from memtui.analysis.diagnosis.split import native_growth, stack_growth
from memtui.model.allocation import Allocation, Frame
from memtui.model.evidence import Evidence, GrownHolder, Look
from memtui.model.suspect import Category, Suspect, SuspectKind
from memtui.model.units import format_bytes, format_count, format_seconds

MIN_HOLDER_BYTES = 64 * 1024
"""Smaller growth of a holder is everyday life of a running program."""
MIN_SHARE = 0.05
"""Of all growth of objects: what is less does not explain it."""
MIN_NATIVE_BYTES = 1536 * 1024
NATIVE_SHARE = 0.4
"""Of the growth of anonymous memory that is not objects, from here on it is native memory that grows."""
_MOST_SUSPECTS = 20
_THREADS = frozenset(("Thread", "ThreadPoolExecutor", "ThreadPool", "_DummyThread", "Timer"))
_MOST_TYPES_TOLD = 4
_MOST_SITES, _SITE_SHARE = 3, 0.2


def find_suspects(evidence: Evidence) -> tuple[Suspect, ...]:
    """Suspects, the most likely first: what grew at every look and is not bounded, by its share of the growth."""
    times = [look.at_seconds for look in evidence.looks]
    found = [one for holder in evidence.holders if (one := _holder(holder, evidence, times)) is not None]
    others = (_cycles(evidence, times), _native(evidence, times), _fragmentation(evidence, times))
    found += [one for one in others if one is not None]
    found.sort(key=lambda one: (one.bounded, not one.lasting, -one.share))
    return _with_sites(found[:_MOST_SUSPECTS], evidence)


def _with_sites(found: list[Suspect], evidence: Evidence) -> tuple[Suspect, ...]:
    """The likeliest suspect that is Python's, with the lines that allocated most of what grew, if they are known."""
    sites = tuple(
        Allocation((Frame(one.file, one.line),), one.size_bytes, one.count)
        for one in evidence.lines[:_MOST_SITES]
        if one.size_bytes >= _SITE_SHARE * evidence.lines[0].size_bytes
    )
    first = next((one for one in found if one.kind == "python" and one.category != "cycle"), None)
    return tuple(replace(one, allocated_at=sites) if one is first else one for one in found)


def _growth_of_all(evidence: Evidence) -> int:
    """Bytes that objects or anonymous memory without stacks gained, whichever is more: what a share is a share of."""
    first, last = evidence.looks[0], evidence.looks[-1]
    objects = last.objects_bytes - first.objects_bytes
    if first.anonymous_bytes is None or last.anonymous_bytes is None:
        return max(objects, 1)
    return max(objects, last.anonymous_bytes - first.anonymous_bytes - stack_growth(first, last), 1)


def _holder(holder: GrownHolder, evidence: Evidence, times: Sequence[float]) -> Suspect | None:
    sizes = course(holder.sizes_bytes, times)
    objects = course(holder.objects, times)
    share = min(1.0, sizes.total / _growth_of_all(evidence))
    if holder.imported or sizes.total < MIN_HOLDER_BYTES or share < MIN_SHARE:
        return None
    elements = course(holder.elements, times) if holder.elements is not None else None
    counted = elements if elements is not None and elements.total > 0 else objects
    lost = holder.group == "unknown"
    category = categorise(holder)
    bounded = is_bounded(holder)
    path = None if lost else holder.path
    return Suspect(
        kind="python",
        category="bounded-cache" if bounded else category,
        type=telling_type(holder) or holder.type,
        growth_objects_per_second=round(objects.per_second, 3),
        growth_bytes_per_second=round(sizes.per_second, 1),
        retained_bytes=holder.retained_bytes,
        holder=path,
        chain=() if lost else (holder.root, *(f"{step.label}: {step.type}" for step in holder.chain)),
        evidence=(*_told(holder, sizes, counted, len(times)), *_threads_told(holder, evidence)),
        advice=ADVICE["bounded-cache" if bounded else category],
        signature=signature_of("python", path or "nobody", telling_type(holder) or holder.type),
        lasting=sizes.steady and counted.rises,
        bounded=bounded,
        share=round(share, 3),
        looks=len(times),
        seconds=sizes.seconds,
        seconds_until_full=_until_full(holder, elements) if bounded else None,
    )


def _told(holder: GrownHolder, sizes: Course, counted: Course, looks: int) -> tuple[str, ...]:
    gained = ", ".join(
        f"{format_count(one.objects, sign=True)} {one.type} ({format_bytes(one.size_bytes, sign=True)})"
        for one in holder.types[:_MOST_TYPES_TOLD]
    )
    when = f"at each of {looks} looks" if sizes.rises else f"over {looks} looks, not at each"
    if holder.group == "unknown":
        first = f"More objects are alive {when} to which nothing refers that was found: C code holds them."
    elif holder.elements is not None and counted.total > 0:
        numbers = " → ".join(format_count(one) for one in holder.elements)
        first = f"{holder.path} held more {when}: {numbers} elements in {format_seconds(sizes.seconds)}."
    else:
        first = f"{holder.path} held more {when}, {format_seconds(sizes.seconds)} apart in all."
    told = [first, f"It gained {format_bytes(sizes.total)}: {gained}." if gained else "It gained bytes, no objects."]
    if sizes.rises and not sizes.steady:
        told.append("It grows more and more slowly.")
    if holder.bound is not None and holder.elements is not None:
        told.append(f"It allows itself {format_count(holder.bound)} elements.")
    return tuple(told)


def _threads_told(holder: GrownHolder, evidence: Evidence) -> tuple[str, ...]:
    more = (evidence.looks[-1].threads or 0) - (evidence.looks[0].threads or 0)
    if more <= 0 or not any(one.type.rpartition(".")[2] in _THREADS for one in holder.types):
        return ()
    stacks = format_bytes(stack_growth(evidence.looks[0], evidence.looks[-1]))
    return (f"{format_count(more, sign=True)} threads run now: their stacks (at most {stacks}) come on top.",)


def _until_full(holder: GrownHolder, elements: Course | None) -> float | None:
    if holder.bound is None or holder.elements is None or elements is None or elements.per_second <= 0:
        return None
    return round(max(0.0, (holder.bound - holder.elements[-1]) / elements.per_second), 1)


def _cycles(evidence: Evidence, times: Sequence[float]) -> Suspect | None:
    """Unreachable objects that no collection frees."""
    garbage = course([look.garbage_bytes for look in evidence.looks], times)
    share = min(1.0, garbage.total / _growth_of_all(evidence))
    if garbage.total < MIN_HOLDER_BYTES or share < MIN_SHARE:
        return None
    counted = course([look.garbage_objects for look in evidence.looks], times)
    types = ", ".join(f"{format_count(one.objects, sign=True)} {one.type}" for one in evidence.garbage[:4])
    told = (
        f"{format_count(counted.total)} more objects ({format_bytes(garbage.total)}) are unreachable and wait for "
        f"the collector: {types}.",
        "A forced collection would free them." if garbage.rises else "They come and go between collections.",
    )
    names = [one.type for one in evidence.garbage]
    kind = next((name for name in names if "." in name), names[0] if names else None)
    return _plain("python", "cycle", kind, garbage, told, share, len(times), counted.per_second)


def _native(evidence: Evidence, times: Sequence[float]) -> Suspect | None:
    """Anonymous memory that is no object and that the allocators did not merely keep."""
    first = evidence.looks[0]
    values = [native_growth(first, look) for look in evidence.looks]
    known = [value for value in values if value is not None]
    if len(known) < len(values) or first.anonymous_bytes is None:
        return None
    stacks = [stack_growth(first, look) for look in evidence.looks]
    grown = course([max(0, value - stack) for value, stack in zip(known, stacks, strict=True)], times)
    share = min(1.0, grown.total / _growth_of_all(evidence))
    if grown.total < MIN_NATIVE_BYTES or share < NATIVE_SHARE:
        return None
    told = (
        f"Anonymous memory grew by {format_bytes(_anonymous_growth(evidence.looks))}, of which objects explain "
        f"{format_bytes(max(0, evidence.looks[-1].objects_bytes - first.objects_bytes))}.",
        f"{format_bytes(grown.total)} are neither objects nor free blocks of the allocators"
        + (f", nor stacks of new threads (at most {format_bytes(stacks[-1])})." if stacks[-1] else "."),
    )
    return _plain("native", "native", None, grown, told, share, len(times), None)


def _fragmentation(evidence: Evidence, times: Sequence[float]) -> Suspect | None:
    """Memory that the allocators keep for later. It is no leak, so it is never lasting."""
    values = [look.free_bytes for look in evidence.looks]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    grown = course(known, times)
    share = min(1.0, grown.total / _growth_of_all(evidence))
    if grown.total < MIN_NATIVE_BYTES or share < NATIVE_SHARE:
        return None
    told = (
        f"The allocators keep {format_bytes(grown.total)} more that is free: fragmentation, or a peak that is over.",
    )
    return _plain("fragmentation", "unknown", None, grown, told, share, len(times), None, lasting=False)


def _plain(
    kind: SuspectKind,
    category: Category,
    type_name: str | None,
    grown: Course,
    told: tuple[str, ...],
    share: float,
    looks: int,
    objects_per_second: float | None,
    lasting: bool | None = None,
) -> Suspect:
    """A suspect that no holder is known of."""
    return Suspect(
        kind=kind,
        category=category,
        type=type_name,
        growth_objects_per_second=None if objects_per_second is None else round(objects_per_second, 3),
        growth_bytes_per_second=round(grown.per_second, 1),
        retained_bytes=None,
        holder=None,
        chain=(),
        evidence=told,
        advice=ADVICE[category],
        signature=signature_of(kind, category, type_name or ""),
        lasting=(grown.steady and looks >= MIN_LOOKS) if lasting is None else lasting,
        bounded=False,
        share=round(share, 3),
        looks=looks,
        seconds=grown.seconds,
    )


def _anonymous_growth(looks: Sequence[Look]) -> int:
    first, last = looks[0].anonymous_bytes, looks[-1].anonymous_bytes
    return 0 if first is None or last is None else last - first


def signature_of(*parts: str) -> str:
    """The same for the same suspect in every run."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
