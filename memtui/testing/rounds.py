"""A test body in iteration-aligned rounds: measured from outside the body, examined only when something grows.

First come cheap figures at the end of each round (:mod:`memtui.testing.gauges`). Only when one of them goes on
rising, or a container gained an element a round, the body runs some more rounds, between which all containers are
looked at, and then some under tracemalloc. A clean body runs untraced, and ``warmup + iterations`` times.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

from memtui.testing.gauges import Gauges
from memtui.testing.grown import MOST_HOLDERS, GrownType, Holder, Looks
from memtui.testing.marker import Limits
from memtui.testing.rule import climbs, goes_on, rises, speed
from memtui.testing.tracing import LARGE_BYTES, Traced, trace

STRETCHES = 3
STRETCH_ROUNDS = 5
FULL_EVERY = 5
"""So often a full collection ends a round; others collect what is young, which has nearly all that a round made."""
_MOST_TYPES = 5


@dataclass(frozen=True, slots=True)
class Examination:
    """What the additional rounds showed: holders that grew in every stretch, types likewise, and traced memory."""

    stretch: int
    """Rounds of a stretch."""
    holders: tuple[Holder, ...]
    types: tuple[GrownType, ...]
    traced: Traced | None

    @property
    def rounds(self) -> int:
        """Rounds between the first and the last look."""
        return STRETCHES * self.stretch

    @property
    def explains(self) -> bool:
        """Whether something was found that grows, be it excused."""
        return any(one.excused or not one.is_weak for one in self.holders)


@dataclass(slots=True)
class Course:
    """How one test went: its figures, once the rounds are over, and the examination when there was cause for one."""

    limits: Limits
    named: Mapping[int, str]
    forget: Callable[[], None]
    gauges: Gauges | None = None
    examination: Examination | None = field(default=None)


def rounds(course: Course) -> Generator[None, None, None]:
    """Yields each time the body is to be run; fills in ``course``."""
    limits = course.limits
    practice = Gauges(limits.warmup)
    for _ in range(limits.warmup):
        yield
        course.forget()
        practice.take(fully=False)
    # The first look comes before the first figure, so that what it remembers is in all figures.
    looks = Looks({id(practice)})
    looks.take()
    gauges = Gauges(limits.iterations + 1)
    gauges.take()
    for done in range(1, limits.iterations + 1):
        yield
        course.forget()
        gauges.take(fully=done % FULL_EVERY == 0 or done == limits.iterations)
    looks.take()
    course.gauges = gauges
    if _is_suspicious(gauges, limits) or _gained(looks, limits.iterations):
        del looks
        course.examination = yield from _examine(course, STRETCH_ROUNDS)
        if not course.examination.explains and _is_large(gauges, limits):
            # What leaks only now and then needs longer stretches to show itself in each.
            course.examination = yield from _examine(course, limits.iterations // STRETCHES)


def _is_suspicious(gauges: Gauges, limits: Limits) -> bool:
    heap, rss = gauges.heap_bytes, gauges.rss_bytes
    if rises(gauges.blocks) or goes_on(gauges.blocks):
        return True
    if heap is not None and (rises(heap) or goes_on(heap)):
        return True
    return rss is not None and climbs(rss) and rss[-1] - rss[0] > limits.max_growth_bytes


def _is_large(gauges: Gauges, limits: Limits) -> bool:
    """Whether the figures may exceed what is allowed; of small blocks only the number is known."""
    heap, rss = gauges.heap_bytes, gauges.rss_bytes
    most = max(0.0, speed(gauges.blocks)) * LARGE_BYTES + max(0.0, speed(heap) if heap is not None else 0.0)
    resident = rss[-1] - rss[0] if rss is not None and climbs(rss) else 0
    return max(most * limits.iterations, resident) > limits.max_growth_bytes


def _gained(looks: Looks, iterations: int) -> bool:
    """Whether a container has an element more for each round."""
    return any(sizes[-1] - sizes[0] >= iterations for sizes in looks.containers().values())


def _examine(course: Course, stretch: int) -> Generator[None, None, Examination]:
    """Look at containers and types between stretches of so many rounds; then trace as many."""
    looks = Looks()
    looks.take()
    for _ in range(STRETCHES):
        for _ in range(stretch):
            yield
            course.forget()
        looks.take()
    holders = looks.holders(course.named)
    types = [one for one in looks.types() if min(one.steps) >= stretch]
    if not any(one.gains(stretch) for one in holders):
        excused = {one.identity for one in holders if one.excused}
        holders += [looks.holder_of(one, course.named, excused) for one in types[:_MOST_TYPES]]
    traced = yield from trace(stretch, course.forget)
    return Examination(stretch, tuple(holders[:MOST_HOLDERS]), tuple(types[:_MOST_TYPES]), traced)
