"""States made by hand, for the tests of the pure floors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from memtui.model.allocation import Allocation, Allocations, Frame, GroupBy, Snapshot, Tracing, TypeCount
from memtui.model.gc import GcPauses, GcState, Generation
from memtui.model.heap import PictureFacts
from memtui.model.sample import Cost, Sample, Series
from memtui.model.state import Event, EventKind, State
from memtui.model.target import Ending, Rung, Target

MIB = 1024 * 1024
STARTED_AT = 1_700_000_000.25
PICTURE = PictureFacts(
    "/private/1.memtui",
    4242,
    ("python",),
    "3.11.7",
    "",
    "frozen copy",
    90_000,
    5,
    25_270_681,
    None,
    0.0042,
    0.99,
    False,
)
TARGET = Target(4242, ("python", "shop.py"), "3.11.7", STARTED_AT - 3600, "alice")


def empty_state(**changes: Any) -> State:
    """Attached, nothing seen yet."""
    return replace(State(TARGET, STARTED_AT), **changes)


def watched_state(rss: Callable[[float], float], looks: int, every_seconds: float = 1.0, **changes: Any) -> State:
    """Looks at regular times; ``rss`` gives the bytes at a session time."""
    series = Series()
    for index in range(looks):
        at_seconds = index * every_seconds
        series = series.append(Sample(at_seconds, round(rss(at_seconds))))
    return empty_state(series=series, now_seconds=(looks - 1) * every_seconds, **changes)


def row(file: str, line: int, size_bytes: int, count: int, source: str | None = None) -> Allocation:
    return Allocation((Frame(file, line),), size_bytes, count, source)


def traced(rows: Sequence[Allocation], at_seconds: float = 0.0, **changes: Any) -> Allocations:
    """A complete list by line, unless ``changes`` say otherwise."""
    total = sum(one.size_bytes for one in rows)
    count = sum(one.count for one in rows)
    made = Allocations(GroupBy.LINE, tuple(rows), at_seconds, total, count, len(rows), 0.01)
    return replace(made, **changes)


def snapshot(
    number: int,
    at_seconds: float,
    types: dict[str, int] | None = None,
    allocations: Allocations | None = None,
    **changes: Any,
) -> Snapshot:
    """A snapshot whose type list is complete, unless ``changes`` say otherwise."""
    counts = tuple(TypeCount(name, count) for name, count in (types or {}).items())
    made = Snapshot(
        number=number,
        at_seconds=at_seconds,
        taken_at=STARTED_AT + at_seconds,
        rss_bytes=50 * MIB,
        traced_bytes=allocations.total_bytes if allocations else None,
        types=counts,
        objects=sum(one.count for one in counts),
        allocations=allocations,
        tracebacks=None,
        took_seconds=0.05,
    )
    return replace(made, **changes)


def gc_state(objects: int | None = 1_000_000, new: int = 0) -> GcState:
    return GcState(
        True, (Generation(new, 700, 90, 5, 0), Generation(3, 10, 8, 1, 0), Generation(1, 10, 2, 0, 0)), objects
    )


def observed_state() -> State:
    """Seen from outside only."""
    return watched_state(lambda _: 50 * MIB, 30, rung=Rung.OBSERVE, gc=gc_state(), threads=3)


def full_state() -> State:
    """Everything known: a leak, an agent, tracing, snapshots, a limit, events."""
    before = traced([row("shop.py", 10, MIB, 100, "cache[key] = page"), row("shop.py", 20, 4096, 4)], 5.0)
    after = traced([row("shop.py", 10, 5 * MIB, 500, "cache[key] = page"), row("shop.py", 20, 2048, 2)], 45.0)
    deep = Allocation((Frame("shop.py", 10), Frame("shop.py", 90)), 5 * MIB, 500)
    return watched_state(
        lambda at: 50 * MIB + at * MIB / 10,
        60,
        rung=Rung.AGENT,
        gc=gc_state(),
        pauses=GcPauses(4, 0.2, 0.1, 0.05, 2),
        tracing=Tracing(True, 1, 5.0, False, 6 * MIB, 7 * MIB, 590_000, 12.5),
        allocations=after,
        baseline=before,
        snapshots=(
            snapshot(1, 5.0, {"shop.Order": 10, "dict": 500}, before),
            snapshot(
                2, 45.0, {"shop.Order": 1010, "dict": 490}, after, tracebacks=traced([deep], by=GroupBy.TRACEBACK)
            ),
        ),
        events=(Event(1.0, EventKind.INFO, "attached"), Event(45.0, EventKind.SNAPSHOT, "snapshot 2")),
        cost=Cost(0.01, 0.004, 180_000, 1.5),
        memory_limit_bytes=512 * MIB,
        threads=4,
    )


def ended_state() -> State:
    """A launched workload that was killed."""
    target = replace(TARGET, launched=True, started_at=STARTED_AT)
    return replace(full_state(), target=target, ending=Ending(60.0, "killed by SIGKILL", None, 9))
