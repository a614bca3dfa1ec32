"""Sessions made by hand, to be recorded: what a LiveSession would fold, without a process."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from states import STARTED_AT, TARGET, row, snapshot, traced

from memtui.model.allocation import Allocation, Allocations, Tracing
from memtui.model.evidence import Evidence, GrownHolder, GrownType, Look
from memtui.model.gc import GcPauses, GcState, Generation
from memtui.model.heap import HolderStep
from memtui.model.sample import Sample
from memtui.model.state import EventKind, Output, State
from memtui.model.target import Ending, ProcessFacts, Rung
from memtui.session import messages as m
from memtui.session.recording.reader import RecordingFile
from memtui.session.recording.recorder import FLUSH_SECONDS, Recorder
from memtui.session.reducer import reduce

MIB = 1024 * 1024
Timed = tuple[float, m.Message]


def first_state() -> State:
    return State(TARGET, STARTED_AT, rung=Rung.OBSERVE, output=Output(), memory_limit_bytes=512 * MIB)


def busy_recording(path: Path) -> RecordingFile:
    """A recording of seven and a half busy minutes, made here."""
    record(path, first_state(), Busy(450, lines=10).messages())
    return RecordingFile(path)


def record(path: Path, first: State, messages: Iterable[Timed], flush_seconds: float = FLUSH_SECONDS) -> State:
    """Fold ``messages``, recording them as if they took their time; returns the last State."""
    recorder = Recorder(path)
    state = first
    recorder.begin(state)
    flush_at = flush_seconds
    for now, message in messages:
        if now >= flush_at:
            recorder.flush()
            flush_at = now + flush_seconds
        state = reduce(state, message, now)
        recorder.add(message, state)
    recorder.close()
    assert recorder.error is None, recorder.error
    return state


class Busy:
    """A web service with an agent in it and tracing on, second by second: nothing stands still, much of it leaks."""

    def __init__(self, seconds: int, lines: int = 300, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._seconds = seconds
        self._lines = [
            [f"/srv/venv/lib/python3.11/site-packages/shop/module_{n % 40}.py", 10 + n, self._int(1 << 18), 50, n % 3]
            for n in range(lines)
        ]
        self._collections = [0, 0, 0]
        self._cpu = 0.5

    def messages(self) -> Iterator[Timed]:
        yield 0.2, m.Climbed(Rung.AGENT)
        yield 0.25, m.Paused(0.00123)
        for second in range(self._seconds):
            yield from self._second(second + self._random.uniform(0.0001, 0.01))
        yield self._seconds + 1.0, m.Ended(Ending(self._seconds + 1.0, "The workload ended.", exit_code=0))

    def _second(self, now: float) -> Iterator[Timed]:
        second = int(now)
        now = round(now, 6)
        yield now, self._looked(now)
        yield now + 0.001, self._agent()
        if second % 5 == 2:
            workers = tuple(
                ProcessFacts(5000 + n, 4242, "sleeping", 60 * MIB + self._int(MIB, 4096)) for n in range(8)
            )
            yield now + 0.002, m.FamilySeen((ProcessFacts(4242, 1, "running", 90 * MIB), *workers))
        if second % 2 == 0:
            yield now + 0.003, m.AllocationsSeen(self._allocations(now))
        if second % 7 == 0:
            yield now + 0.004, m.OutputArrived((f"INFO 2026-11-21 GET /orders/{self._int(10**6)} 200",), False)
        if second % 300 == 100:
            yield from self._picture(now)

    def _looked(self, now: float) -> m.Looked:
        self._collections[0] += self._int(4)
        generations = tuple(
            Generation(self._int(700), 700 if n == 0 else 10, self._collections[0] // 10**n, 3 * n, 0)
            for n in range(3)
        )
        rss = 90 * MIB + round(now * 14_200) // 4096 * 4096 + self._int(2 * MIB, 4096)
        sample = Sample(
            now, rss, rss - 9 * MIB, rss - 7 * MIB, 0, None, (self._int(700), 3, 5), 400_000 + second_of(now)
        )
        self._cpu += self._random.uniform(0.001, 0.008)
        return m.Looked(sample, GcState(True, generations, 400_000 + 11 * second_of(now)), 12, round(self._cpu, 9))

    def _agent(self) -> m.AgentReported:
        pauses = GcPauses(self._collections[0], self._cpu / 7, 0.0123456789, self._random.random() / 100, 0)
        tracing = Tracing(True, 1, 5.0, False, 30 * MIB + self._int(MIB), 40 * MIB, 5 * MIB + self._int(4096), 12.5)
        return m.AgentReported(pauses, tracing, self._cpu / 3, 0.001 + self._random.random() / 1e4, 180_000)

    def _allocations(self, now: float) -> Allocations:
        for line in self._lines:
            if line[4] == 0 or self._random.random() < 0.2:  # a third leaks, the others come and go
                line[2] = max(100, line[2] + (self._int(400) if line[4] == 0 else self._int(2000) - 1000))
                line[3] = max(1, line[3] + (3 if line[4] == 0 else self._int(20) - 10))
        rows: list[Allocation] = [
            row(file, number, size, count, f"value_{number} = make({number}, **context)")
            for file, number, size, count, _ in self._lines
        ]
        rows.sort(key=lambda one: -one.size_bytes)
        return replace(traced(rows, now), took_seconds=self._random.random() / 50, groups=2000)

    def _picture(self, now: float) -> Iterator[Timed]:
        types = {f"shop.models.Type{n}": 10_000 // (n + 1) + self._int(50) for n in range(300)}
        yield now + 0.1, m.SnapshotTaken(snapshot(0, now, types, self._allocations(now)))
        chain = tuple(HolderStep(f".step_{n}", n, "dict") for n in range(5))
        holders = tuple(
            GrownHolder(
                f"shop.cache_{n}.CACHE", "dict", "modules", f"module shop.cache_{n}", chain, (1000, 2000 + n),
                (10, 20), (10, 20), None, (GrownType("shop.Order", 10, 1000 * n),), 2000, False,
            )
            for n in range(40)
        )  # fmt: skip
        look = Look(now, 90 * MIB, 80 * MIB, 60 * MIB, 500_000, 1000, 10, 70 * MIB, 3 * MIB, 0.004)
        yield now + 0.2, m.EvidenceFound(Evidence((look, look), holders, (), (GrownType("shop.Order", 10, 1000),)))
        yield now + 0.3, m.Noted(EventKind.INFO, f"Picture at {now:.0f} s")

    def _int(self, below: int, step: int = 1) -> int:
        return self._random.randrange(0, below, step)


def second_of(now: float) -> int:
    return int(now)
