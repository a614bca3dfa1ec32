"""Pass or fail, by the figures of the rounds and what the examination found. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from memtui.testing.gauges import Gauges
from memtui.testing.grown import Holder
from memtui.testing.rounds import Course, Examination
from memtui.testing.rule import climbs, goes_on, rises, speed

LEAST_NATIVE_BYTES = 64_000
"""Over all iterations: less is what allocators keep for themselves."""
LEAST_RESIDENT_BYTES = 2_000_000
"""The same where only RSS tells, which fragmentation moves too."""

Kind = Literal["bytes", "objects", "native"]


@dataclass(frozen=True, slots=True)
class Judgement:
    """``failure``: what the body did wrong; None when it passes. Growth is that of an average iteration."""

    failure: Kind | None
    python_bytes: float
    native_bytes: float
    objects: float

    @property
    def size_bytes(self) -> float:
        """Python's and native memory together."""
        return self.python_bytes + self.native_bytes


def judge(course: Course) -> Judgement:
    """The judgement of a test whose rounds are over.

    It fails when what stays exceeds ``max_growth`` over all iterations, in Python's memory or in that of C code; or
    when a named holder gained an object in each iteration, unless that is allowed. What is bounded, and what the test
    runner keeps, is no growth.
    """
    gauges, examination, limits = course.gauges, course.examination, course.limits
    if gauges is None or examination is None:
        return Judgement(None, 0.0, 0.0, 0.0)
    guilty = [one for one in examination.holders if not one.excused]
    is_excused = bool(examination.holders) and not guilty
    python = 0.0 if is_excused else _python_bytes(gauges, examination)
    native = _native_bytes(gauges, examination)
    objects = _objects(guilty, examination)
    result = Judgement(None, python, native, objects)
    if native * limits.iterations > max(limits.max_growth_bytes, LEAST_NATIVE_BYTES):
        return Judgement("native" if native > python else "bytes", python, native, objects)
    if (python + native) * limits.iterations > limits.max_growth_bytes and python > 0:
        return Judgement("bytes", python, native, objects)
    if not limits.allow_objects and any(one.chain is not None and one.gains(examination.stretch) for one in guilty):
        return Judgement("objects", python, native, objects)
    return result


def _python_bytes(gauges: Gauges, examination: Examination) -> float:
    """What tracemalloc saw; without it, what the figures tell, when something of Python's was found to grow."""
    if examination.traced is not None:
        return max(0.0, examination.traced.size_bytes)
    heap = gauges.heap_bytes
    return max(0.0, speed(heap)) if heap is not None and examination.holders else 0.0


def _native_bytes(gauges: Gauges, examination: Examination) -> float:
    """What malloc gave beyond what is Python's; what else became resident, where that is a lot."""
    if examination.traced is None and examination.holders:
        return 0.0
    heap, rss, traced = gauges.heap_bytes, gauges.rss_bytes, examination.traced
    of_python = traced.size_bytes if traced is not None else 0.0
    of_malloc = traced.large_bytes if traced is not None else 0.0
    unseen = 0.0
    if heap is not None and _persists(heap):
        unseen = max(0.0, speed(heap) - max(0.0, of_malloc))
    if rss is not None and climbs(rss):
        beyond = speed(rss) - max(0.0, of_python) - unseen
        if beyond * len(rss) > LEAST_RESIDENT_BYTES:
            unseen += beyond
    return unseen


def _persists(values: Sequence[int]) -> bool:
    return rises(values) or goes_on(values)


def _objects(guilty: list[Holder], examination: Examination) -> float:
    """Objects that stay each round: those of types the collector tracks, or the elements of the fastest container."""
    of_holders = [sum(one.steps) for one in guilty if not one.is_buffer]
    of_types = sum(sum(one.steps) for one in examination.types) if guilty else 0
    return max([of_types, *of_holders]) / examination.rounds
