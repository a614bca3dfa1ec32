"""Which objects become more and more: counts made one after the other, and what they tell."""

from __future__ import annotations

from array import array
from dataclasses import asdict, dataclass
from typing import Any

from memtui.analysis.counts import LEAST_COUNTS, judge_counts
from memtui.analysis.detect import Detector, DetectorOptions, Verdict
from memtui.analysis.detect.verdict import State
from memtui.api.cycles import ReferenceCycles, reference_cycles
from memtui.api.locks import Lock
from memtui.api.snapshot import MemorySnapshot, ObjectGrowth, growth_between

_JUDGED = 50
"""The types that gained most are judged."""


@dataclass(frozen=True, slots=True)
class SuspectedLeak:
    """A type whose objects become more. ``state`` and ``confidence`` (0 to 1) as in a verdict of ``memtui soak``."""

    type: str
    state: State
    confidence: float
    growth: int
    per_second: float | None
    counts: tuple[int, ...]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"counts": list(self.counts)}


class LeakDetector:
    """Counts the objects of the program again and again, and says which types grow without end.

    Make an observation each minute, or after each round of the same work. ``min_growth_objects``: a type that gained
    fewer is not suspected. ``max_observations`` are kept. May be used from any thread.

    >>> class Order: pass
    >>> detector, kept = LeakDetector(), []
    >>> for _ in range(5):
    ...     kept += [Order() for _ in range(100)]
    ...     observation = detector.add_observation()
    >>> [leak.type.rpartition(".")[2] for leak in detector.suspected_leaks()]
    ['Order']
    """

    def __init__(self, *, min_growth_objects: int = 50, max_observations: int = 120) -> None:
        if max_observations < LEAST_COUNTS:
            raise ValueError(f"max_observations={max_observations} is less than {LEAST_COUNTS}")
        self._min_growth = max(1, min_growth_objects)
        self._most = max_observations
        self._lock = Lock()
        self._times: list[float] = []
        self._rss: list[int] = []
        self._labels: list[str | None] = []
        self._counts: dict[str, array[int]] = {}

    def __len__(self) -> int:
        return len(self._times)

    def add_observation(
        self, snapshot: MemorySnapshot | None = None, *, label: str | None = None, collect: bool = True
    ) -> MemorySnapshot:
        """Take ``snapshot`` in, or one that is taken now, after a full collection (unless ``collect`` is False).

        Returns the snapshot; the detector keeps its counts only. Raises ValueError for one without type counts, or
        from before the last one.
        """
        if snapshot is None:
            snapshot = MemorySnapshot.take(label, collect=collect, top=0)
        if not snapshot.type_counts:
            raise ValueError("the snapshot has no type counts: it was taken with types=False")
        with self._lock:
            if self._times and snapshot.at_seconds < self._times[-1]:
                raise ValueError("the snapshot is older than the last observation")
            self._add_counts(snapshot)
            self._times.append(snapshot.at_seconds)
            self._rss.append(snapshot.rss_bytes)
            self._labels.append(label or snapshot.label)
            if len(self._times) > self._most:
                self._forget_oldest()
        return snapshot

    def suspected_leaks(self, limit: int = 20) -> tuple[SuspectedLeak, ...]:
        """The types that grow, the surest first; needs three observations, and a dozen to be sure.

        Of equally sure ones the program's own classes come before built-in types, which they bring along: up to
        Python 3.10 each object has a dict.
        """
        with self._lock:
            seconds = self._seconds()
            gained = {name: counts[-1] - counts[0] for name, counts in self._counts.items() if counts}
            most = sorted((name for name in gained if gained[name] >= self._min_growth), key=lambda one: -gained[one])
            judged = [self._judge(name, seconds) for name in most[:_JUDGED]]
        leaks = [one for one in judged if one.state in ("growing", "suspect", "leak")]
        return tuple(sorted(leaks, key=_rank)[:limit])

    def object_growth(self, first: int = 0, last: int = -1) -> tuple[ObjectGrowth, ...]:
        """What changed from one observation to another, by their numbers; most new objects first.

        Empty below two observations. Raises IndexError for an observation that is not kept.
        """
        with self._lock:
            if len(self._times) < 2:
                return ()
            before, after = self._row(first), self._row(last)
            return growth_between(before, after, self._times[last] - self._times[first])

    def reference_cycles(self, limit: int = 50) -> ReferenceCycles:
        """What waits for the collector now: circles of objects, and at most ``limit`` types of all the garbage.

        It is collected on the way, by two full collections or three; in large programs that takes a while. Raises
        RuntimeError when another thread collects at this moment.

        >>> class Node: pass
        >>> node = Node(); node.me = node
        >>> del node
        >>> [one.count for one in LeakDetector().reference_cycles().types if one.type.endswith("Node")]
        [1]
        """
        return reference_cycles(limit)

    def verdict(self) -> Verdict:
        """Does the resident memory leak, judged by the observations so far?"""
        with self._lock:
            detector = Detector(DetectorOptions.for_watch(self._seconds(), self._seconds() / max(1, len(self) - 1)))
            for at, rss in zip(self._times, self._rss, strict=True):
                detector.add(at - self._times[0], rss)
        return detector.verdict()

    def report(self) -> dict[str, Any]:
        """For JSON: ``verdict``, ``suspected_leaks``, ``object_growth``, ``rss_bytes``, ``observations`` and more."""
        verdict, leaks, growth = self.verdict(), self.suspected_leaks(), self.object_growth()
        with self._lock:
            rss = {"first": self._rss[0], "last": self._rss[-1]} if self._rss else {"first": None, "last": None}
            return {
                "observations": len(self),
                "seconds": self._seconds(),
                "labels": list(self._labels),
                "rss_bytes": rss,
                "verdict": {
                    "state": verdict.state,
                    "confidence": verdict.confidence,
                    "reasons": list(verdict.reasons),
                },
                "suspected_leaks": [one.to_dict() for one in leaks],
                "object_growth": [one.to_dict() for one in growth[:20]],
            }

    def clear(self) -> None:
        """Begin anew."""
        with self._lock:
            self._times, self._rss, self._labels, self._counts = [], [], [], {}

    def _judge(self, name: str, seconds: float) -> SuspectedLeak:
        counts = tuple(self._counts[name])
        found = judge_counts(counts, self._min_growth)
        reason = f"{found.growth:+,} objects, more at {found.rises} of {found.steps} counts"
        rate = found.growth / seconds if seconds > 0 else None
        return SuspectedLeak(name, found.state, found.confidence, found.growth, rate, counts, reason)

    def _add_counts(self, snapshot: MemorySnapshot) -> None:
        seen = len(self._times)
        for name, count in snapshot.type_counts.items():
            counts = self._counts.get(name)
            if counts is None:
                counts = self._counts[name] = array("q", bytes(8 * seen))
            counts.append(count)
        for counts in self._counts.values():
            if len(counts) == seen:
                counts.append(0)

    def _forget_oldest(self) -> None:
        del self._times[0], self._rss[0], self._labels[0]
        for name, counts in list(self._counts.items()):
            del counts[0]
            if not any(counts):
                del self._counts[name]

    def _row(self, number: int) -> dict[str, int]:
        self._times[number]  # raises IndexError
        return {name: counts[number] for name, counts in self._counts.items()}

    def _seconds(self) -> float:
        return self._times[-1] - self._times[0] if self._times else 0.0


def _rank(one: SuspectedLeak) -> tuple[float, bool, int, str]:
    return -one.confidence, "." not in one.type, -one.growth, one.type
