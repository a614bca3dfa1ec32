"""A leaking shop service, second by second: what the dashboard shows in tests and on screenshots."""

from __future__ import annotations

import math
from dataclasses import replace

from memtui.model.allocation import Allocation, Allocations, Frame, GroupBy, Snapshot, Tracing, TypeCount
from memtui.model.gc import GcPauses, GcState, Generation
from memtui.model.sample import Cost, Sample
from memtui.model.state import Event, EventKind, Output, State
from memtui.model.target import Rung, Target

MIB = 1024**2
STARTED_AT = 1_790_000_000.0
TRACE_AT = 30
SNAPSHOTS_AT = (60, 120, 180)
COMMAND = ("/srv/venv/bin/python", "-m", "uvicorn", "shop.main:app", "--host", "0.0.0.0", "--port", "8000")

# place, line, source, bytes at the start of tracing, bytes a second, bytes a block
LINES = (
    ("/srv/shop/shop/orders.py", 42, "ORDERS.append(Order(customer, basket))", 96_000, 14_200, 184),
    ("/srv/shop/shop/cache.py", 17, "_RENDERED[key] = template.render(**context)", 64_000, 9_100, 2_210),
    ("/srv/venv/lib/python3.11/site-packages/jinja2/runtime.py", 303, "self.blocks = {n: [b]}", 812_000, 40, 96),
    ("/srv/shop/shop/events.py", 88, "self._listeners.append(callback)", 20_000, 1_850, 72),
    ("/srv/venv/lib/python3.11/site-packages/sqlalchemy/engine/row.py", 118, "return tuple(values)", 655_000, 0, 80),
    ("/usr/lib/python3.11/json/decoder.py", 353, "obj, end = self.scan_once(s, idx)", 540_000, 310, 121),
    ("/usr/lib/python3.11/linecache.py", 137, "lines = fp.readlines()", 402_000, 0, 89),
    ("/srv/shop/shop/models.py", 210, "self.lines = [Line(item) for item in basket]", 130_000, 2_600, 104),
    ("/usr/lib/python3.11/asyncio/base_events.py", 782, "handle = events.Handle(callback, args)", 61_000, 0, 136),
    ("/usr/lib/python3.11/ssl.py", 1134, "return self._sslobj.read(len)", 340_000, -90, 16_500),
    ("/srv/shop/shop/metrics.py", 31, 'self.samples[name] = deque(maxlen=600)', 48_000, 120, 640),
    ("/usr/lib/python3.11/logging/__init__.py", 1618, "record = self.makeRecord(name, level)", 22_000, 15, 412),
    ("/srv/venv/lib/python3.11/site-packages/starlette/datastructures.py", 562, "super().__init__()", 91_000, 4, 232),
    ("/usr/lib/python3.11/email/message.py", 139, "self._headers = []", 30_000, 0, 56),
    ("/usr/lib/python3.11/functools.py", 58, "setattr(wrapper, attr, value)", 18_500, 0, 72),
    ("/srv/shop/shop/routes/basket.py", 64, "session['basket'] = basket", 16_000, 210, 232),
    ("/usr/lib/python3.11/re/_compiler.py", 759, "return _sre.compile(", 210_000, 0, 1_800),
    ("/usr/lib/python3.11/threading.py", 899, "self._started = Event()", 4_200, 0, 48),
)  # fmt: skip
TYPES = (("builtins.dict", 41_200, 9.0), ("shop.orders.Order", 1_950, 77.0), ("shop.models.Line", 5_400, 231.0),
         ("builtins.list", 22_100, 80.0), ("builtins.function", 18_042, 0.0), ("builtins.tuple", 30_911, 3.0),
         ("shop.events.Listener", 120, 25.5), ("weakref.ReferenceType", 9_202, 0.0))  # fmt: skip


def shop_states(seconds: int = 200) -> tuple[State, ...]:
    """One State a second: observed from outside, traced from second 30, three snapshots and one collection."""
    state = State(
        target=Target(4242, COMMAND, "3.11.7", STARTED_AT - 7_860.0, "shop"),
        started_at=STARTED_AT,
        rung=Rung.OBSERVE,
        memory_limit_bytes=512 * MIB,
        threads=9,
        events=(Event(0.0, EventKind.INFO, "observing pid 4242 from outside; nothing runs in it"),),
    )
    states = []
    for second in range(seconds):
        state = shop_second(state, second)
        states.append(state)
    return tuple(states)


def shop_second(state: State, second: int) -> State:
    """The State one second later."""
    state = replace(state, now_seconds=float(second), series=state.series.append(_sample(second)), gc=_gc(second))
    if second >= TRACE_AT:
        state = _traced(state, second)
    if second in SNAPSHOTS_AT:
        state = _snapshot(state, second)
    if second == 90:
        text = "full collection: 8,120 objects freed, 3.1 MiB given back, 61 ms"
        state = _event(state, second, EventKind.GC, text)
    return state


def with_output(state: State, lines: tuple[str, ...], **changes: object) -> State:
    """The state of a launched workload that wrote ``lines``."""
    target = replace(state.target, launched=True)
    return replace(state, target=target, output=Output(lines, len(lines)), **changes)


def _sample(second: int) -> Sample:
    wave = 2.1 * math.sin(second / 7) + 0.9 * math.sin(second / 2.3)
    fallen = 3.1 if second >= 90 else 0.0
    rss = int((171.4 + second * 0.054 + wave - fallen) * MIB)
    return Sample(
        float(second), rss, rss - 9 * MIB, rss - 6 * MIB, 0, _total(second)[0] if second >= TRACE_AT else None,
        (second * 37 % 700, second % 10, second // 10 % 10), 182_000 + 110 * second,
    )  # fmt: skip


def _gc(second: int) -> GcState:
    counts = (second * 37 % 700, second % 10, second // 10 % 10)
    ran = (9_412 + 3 * second, 855 + second // 4, 9 + (second >= 90) + second // 80)
    collected = (210_455 + 88 * second, 31_220 + 9 * second, 4_108 + (8_120 if second >= 90 else 0))
    thresholds = (700, 10, 10)
    generations = (Generation(*figures, 0) for figures in zip(counts, thresholds, ran, collected, strict=True))
    return GcState(True, tuple(generations), 182_000 + 110 * second)


def _traced(state: State, second: int) -> State:
    looked = _allocations(second, state.group_by)
    size, _ = _total(second)
    if second == TRACE_AT:
        state = _event(state, second, EventKind.TRACE_ON, "tracing started, 1 frame a trace")
        state = replace(state, baseline=looked)
    since = second - TRACE_AT
    return replace(
        state,
        rung=Rung.AGENT,
        allocations=looked,
        tracing=Tracing(
            True, 1, float(TRACE_AT), False, size, size + 90_000, int(size * 0.31), 38.0 if since > 4 else None
        ),
        pauses=GcPauses(3 * since, 0.0021 * since, 0.0614 if second >= 90 else 0.0042, 0.0011, 0),
        cost=Cost(0.0011 * since, 0.0023, 318_000, 0.03 * second),
    )


def _allocations(second: int, by: GroupBy) -> Allocations:
    rows = []
    for file, number, source, start, rate, block in LINES:
        size = _size(start, rate, second, number)
        rows.append(Allocation((Frame(file, number),), size, max(1, size // block), source))
    rows.sort(key=lambda row: -row.size_bytes)
    total, count = _total(second)
    return Allocations(by, tuple(rows), float(second), total, count, len(rows), 0.004)


def _size(start: int, rate: int, second: int, number: int) -> int:
    jitter = 1 + 0.004 * math.sin(second * number) if rate else 1.0
    return max(0, int((start + rate * (second - TRACE_AT)) * jitter))


def _total(second: int) -> tuple[int, int]:
    sizes = [(_size(start, rate, second, number), block) for _, number, _, start, rate, block in LINES]
    return sum(size for size, _ in sizes), sum(size // block for size, block in sizes)


def _snapshot(state: State, second: int) -> State:
    number = len(state.snapshots) + 1
    types = tuple(TypeCount(name, int(count + rate * second)) for name, count, rate in TYPES)
    sample = state.series.last
    assert sample is not None
    taken = Snapshot(
        number, float(second), STARTED_AT + second, sample.rss_bytes, sample.traced_bytes, types,
        sum(one.count for one in types), state.allocations, None, 0.031,
    )  # fmt: skip
    state = replace(state, snapshots=(*state.snapshots, taken), baseline=state.allocations)
    return _event(state, second, EventKind.SNAPSHOT, f"snapshot {number}: {taken.objects:,} objects, 31 ms")


def _event(state: State, second: int, kind: EventKind, text: str) -> State:
    return replace(state, events=(*state.events, Event(float(second), kind, text)))
