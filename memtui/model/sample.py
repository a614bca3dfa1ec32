"""One look at the process, and the bounded series of looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. ``None`` means "not known at this look", never zero.

    ``at_seconds`` counts from the start of the observation. ``gc_objects`` is the number of objects that survived
    the last full collection (CPython's ``long_lived_total`` plus pending), not a count of the heap.
    """

    at_seconds: float
    rss_bytes: int
    uss_bytes: int | None = None
    pss_bytes: int | None = None
    swap_bytes: int | None = None
    traced_bytes: int | None = None
    gc_counts: tuple[int, ...] | None = None
    gc_objects: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Exact running figures of one quantity over all looks, also those that were thinned out of the series."""

    first: int
    last: int
    min: int
    max: int
    total: int
    count: int

    @property
    def mean(self) -> float:
        """Arithmetic mean over all looks."""
        return self.total / self.count

    def add(self, value: int) -> Summary:
        """The summary with one more look."""
        return Summary(
            self.first, value, min(self.min, value), max(self.max, value), self.total + value, self.count + 1
        )

    @staticmethod
    def extend(summary: Summary | None, value: int | None) -> Summary | None:
        """``summary`` with ``value`` added; unknown values change nothing."""
        if value is None:
            return summary
        return Summary(value, value, value, value, value, 1) if summary is None else summary.add(value)


@dataclass(frozen=True, slots=True)
class Series:
    """Samples of a whole session in bounded memory.

    At most ``bound`` samples are held. When one more arrives, the older half is thinned: of each two neighbours the
    one whose RSS lies farther from its predecessor stays, so that peaks survive. Summaries stay exact.
    """

    samples: tuple[Sample, ...] = ()
    bound: int = 900
    rss: Summary | None = None
    uss: Summary | None = None
    pss: Summary | None = None
    swap: Summary | None = None

    def append(self, sample: Sample) -> Series:
        """The series with one more look (the receiver is unchanged)."""
        samples = (*self.samples, sample)
        if len(samples) > self.bound:
            half = len(samples) // 2
            samples = _thin(samples[:half]) + samples[half:]
        return replace(
            self,
            samples=samples,
            rss=Summary.extend(self.rss, sample.rss_bytes),
            uss=Summary.extend(self.uss, sample.uss_bytes),
            pss=Summary.extend(self.pss, sample.pss_bytes),
            swap=Summary.extend(self.swap, sample.swap_bytes),
        )

    @property
    def last(self) -> Sample | None:
        """The newest look, if any."""
        return self.samples[-1] if self.samples else None

    @property
    def looks(self) -> int:
        """How many looks there were in all."""
        return self.rss.count if self.rss else 0

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)


def _thin(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    kept = [samples[0]]
    for index in range(1, len(samples) - 1, 2):
        pair = samples[index], samples[index + 1]
        before = kept[-1].rss_bytes
        kept.append(max(pair, key=lambda one: abs(one.rss_bytes - before)))
    if len(samples) % 2 == 0:
        kept.append(samples[-1])
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class Cost:
    """What memtui itself costs, as measured. ``None``: not measured (no agent)."""

    target_cpu_seconds: float | None = None
    """CPU time in the target: of the agent's thread and its gc callbacks, and of heap pictures."""
    target_longest_pause_seconds: float | None = None
    """The longest stop or GIL-held stretch memtui caused, injection included."""
    target_bytes: int | None = None
    """Memory the agent holds in the target (its own estimate)."""
    tool_cpu_seconds: float = field(default=0.0)
    """CPU time of memtui itself and of its helper processes that have ended."""
    pictures_cpu_seconds: float | None = None
    """The part of ``target_cpu_seconds`` for heap pictures: their stops, and an estimate for the page faults."""
    pictures_stop_seconds: float | None = None
    """For how long heap pictures stopped the target, all together."""
    pictures_page_faults: int | None = None
    """Page faults of the target because it shared its memory with frozen copies."""
