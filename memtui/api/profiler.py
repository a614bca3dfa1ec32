"""The memory of this program, watched from inside: a series of looks, snapshots, tracked objects, thresholds."""

from __future__ import annotations

import time
import tracemalloc
from collections import deque
from collections.abc import Generator
from types import TracebackType
from typing import Any

from memtui.agent import tracing
from memtui.agent.pauses import Held, Pauses
from memtui.analysis.detect import Detector, DetectorOptions, Verdict
from memtui.analysis.trend import theil_sen
from memtui.api import snapshot as looks
from memtui.api.background import Background
from memtui.api.locks import TRACING, Lock
from memtui.api.process import Guarded, OwnProcess
from memtui.api.snapshot import MemorySnapshot
from memtui.api.thresholds import Callback, Threshold, crossings, new_threshold
from memtui.api.tracking import TrackedObject, Tracker
from memtui.model.allocation import Allocation
from memtui.model.gc import GcPauses
from memtui.model.sample import Sample, Series

_LEAST_SECONDS = 0.01


class MemoryProfiler:
    """Watches the memory of the program it runs in, in the background, at a cost of microseconds a look.

    ``interval_seconds`` lies between two looks. ``trace_frames`` starts tracemalloc with so many frames while
    profiling (0, the default: leaves it as it is); it slows a program down. ``max_snapshots`` are kept. All methods
    may be called from any thread. Memory is bounded: after 900 looks the older ones are thinned out.

    >>> import time
    >>> profiler = MemoryProfiler(interval_seconds=0.01)
    >>> with profiler:
    ...     time.sleep(0.1)
    >>> len(profiler.samples) > 1
    True

    In asyncio: ``async with MemoryProfiler():`` or ``profiler.start_profiling(as_task=True)``.
    """

    def __init__(self, *, interval_seconds: float = 1.0, trace_frames: int = 0, max_snapshots: int = 20) -> None:
        if not interval_seconds >= _LEAST_SECONDS:
            raise ValueError(f"interval_seconds={interval_seconds} is less than {_LEAST_SECONDS}")
        if not 0 <= trace_frames <= tracing.MAX_FRAMES:
            raise ValueError(f"trace_frames={trace_frames} is not between 0 and {tracing.MAX_FRAMES}")
        self._interval_seconds = interval_seconds
        self._trace_frames = trace_frames
        self._lock = Lock()
        self._began = time.monotonic()
        self._process = OwnProcess()
        self._series = Series()
        self._snapshots: deque[MemorySnapshot] = deque(maxlen=max_snapshots)
        self._tracker = Tracker()
        self._thresholds: tuple[Threshold, ...] = ()
        self._guarded = Guarded()
        self._background = Background(self._tick, self._forked)
        self._pauses: Pauses | None = None
        self._seen_pauses = GcPauses()
        with TRACING:
            self._tracing = tracing.Tracing(Held(), looks.OWN_FILES)
        self._token = object()  # holds tracing in the name of this profiler, without keeping it alive

    def __del__(self) -> None:
        background = self.__dict__.get("_background")
        if background is not None and background.running:
            self.stop_profiling()

    # -- profiling in the background -----------------------------------------------------------------------------

    @property
    def is_profiling(self) -> bool:
        """Whether it watches at present."""
        return self._background.running

    def start_profiling(self, interval_seconds: float | None = None, *, as_task: bool = False) -> MemoryProfiler:
        """Watch from now on, in a thread, or with ``as_task`` as a task of the running asyncio loop.

        Returns the profiler, which may also be awaited. Does nothing when it watches already. Raises RuntimeError
        for a task where no loop runs, ValueError for an interval below 10 ms.
        """
        interval = self._interval_seconds if interval_seconds is None else interval_seconds
        if not interval >= _LEAST_SECONDS:
            raise ValueError(f"interval_seconds={interval} is less than {_LEAST_SECONDS}")
        with self._lock:
            if self._background.running:
                return self
            start = self._background.start_task if as_task else self._background.start_thread
            start(interval)
            self._pauses = Pauses()
            self._pauses.add()
            self._keep_tracing()
        self._tick()
        return self

    def stop_profiling(self) -> MemoryProfiler:
        """Watch no longer; what was seen stays. After ``await profiler.stop_profiling()`` a task has ended, too.

        Returns the profiler. Nothing of it runs any more, and tracemalloc is off if this has started it and nobody
        else needs it.
        """
        with self._lock:
            join = self._background.stop()
            pauses, self._pauses = self._pauses, None
            if pauses is not None:
                self._seen_pauses = _pauses(pauses)
                pauses.remove()
            with TRACING:
                self._tracing.release(self._token)
        join()
        return self

    def __await__(self) -> Generator[Any, None, MemoryProfiler]:
        return self._settled().__await__()

    async def _settled(self) -> MemoryProfiler:
        await self._background.ended()
        return self

    def __enter__(self) -> MemoryProfiler:
        return self.start_profiling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_profiling()

    async def __aenter__(self) -> MemoryProfiler:
        return self.start_profiling(as_task=True)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_profiling()

    # -- what was seen -------------------------------------------------------------------------------------------

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The looks, oldest first."""
        return self._series.samples

    @property
    def snapshots(self) -> tuple[MemorySnapshot, ...]:
        """The snapshots, oldest first."""
        with self._lock:
            return tuple(self._snapshots)

    def take_snapshot(self, label: str | None = None, *, types: bool = True, collect: bool = False) -> MemorySnapshot:
        """Look closely, now, and keep what was found; see :meth:`MemorySnapshot.take`.

        In asyncio a large heap is counted better elsewhere: ``await asyncio.to_thread(profiler.take_snapshot)``.
        """
        taken = looks.take(label, types=types, collect=collect)
        with self._lock:
            self._snapshots.append(taken)
        return taken

    def growth_percent_per_hour(self) -> float | None:
        """How fast RSS grows (or, negative, shrinks) over the looks, in percent of the first of them in an hour.

        The median of many slopes (Theil and Sen), so that peaks do not pull it. None below three looks. Over seconds
        a warm-up makes it large; for a judgement ask :meth:`verdict`.
        """
        samples = self._series.samples
        slope = theil_sen([one.at_seconds for one in samples], [float(one.rss_bytes) for one in samples])
        if slope is None or len(samples) < 3:
            return None
        return 100.0 * 3600.0 * slope / samples[0].rss_bytes

    def verdict(self) -> Verdict:
        """Does the memory leak, by the detector of ``memtui soak`` on the looks so far? Needs minutes to be sure."""
        samples = self._series.samples
        seconds = samples[-1].at_seconds - samples[0].at_seconds if samples else 0.0
        detector = Detector(DetectorOptions.for_watch(seconds, seconds / max(1, len(samples) - 1)))
        for one in samples:
            detector.add(one.at_seconds - samples[0].at_seconds, one.rss_bytes)
        return detector.verdict()

    def top_allocations(self, limit: int = 10) -> tuple[Allocation, ...]:
        """The lines of code that hold most memory, largest first; empty while tracemalloc is off."""
        return looks.top_allocations(limit)

    def object_counts(self, limit: int | None = None) -> dict[str, int]:
        """How many objects of each type the collector tracks now, most frequent first."""
        counts, _ = looks.count_objects()
        return dict(list(counts.items())[:limit])

    def gc_pauses(self) -> GcPauses:
        """The collections since profiling began, and how long the program stood still for them."""
        pauses = self._pauses
        return self._seen_pauses if pauses is None else _pauses(pauses)

    # -- tracked objects -----------------------------------------------------------------------------------------

    def track_object(self, obj: Any, name: str | None = None) -> TrackedObject:
        """Watch one object by a weak reference: whether it still lives, and its shallow size (``sys.getsizeof``).

        Raises NotTrackableError, which is also a TypeError, for objects that take no weak reference (``list``,
        ``dict``, ``str``, ``int``, classes with ``__slots__``).

        >>> class Order: pass
        >>> order, profiler = Order(), MemoryProfiler()
        >>> tracked = profiler.track_object(order, "the order")
        >>> tracked.is_alive
        True
        >>> del order
        >>> tracked.is_alive, profiler.tracked_objects_report()["collected"]
        (False, 1)
        """
        return self._tracker.track(obj, name)

    def untrack_object(self, obj: Any) -> bool:
        """Watch it no longer: the object, its :class:`TrackedObject` or its name. False when it was not watched."""
        return self._tracker.untrack(obj)

    @property
    def tracked_objects(self) -> tuple[TrackedObject, ...]:
        """Those that live, in the order in which they came."""
        return self._tracker.objects()

    def tracked_objects_report(self) -> dict[str, Any]:
        """How many tracked objects live and how many are gone, by type; the largest, and those that grew most.

        Sizes are measured now. Keys: ``tracked``, ``alive``, ``collected``, ``size_bytes``, ``types``, ``objects``,
        ``grown``, ``lately_collected``.
        """
        self._tracker.measure()
        return self._tracker.report()

    # -- thresholds ----------------------------------------------------------------------------------------------

    def add_threshold(
        self, limit: float | str, callback: Callback, *, metric: str = "rss_bytes", name: str | None = None
    ) -> Threshold:
        """Call ``callback`` with the crossing each time that a look finds ``metric`` at ``limit`` or above.

        One crossing is one call: the next comes only after the value was 5 % below. ``limit`` is a number or a size
        such as ``"512MB"``; ``metric`` is rss_bytes, uss_bytes, traced_bytes, tracked_bytes or
        growth_percent_per_hour. The callback runs in the profiler's thread or task; what it raises is logged.
        """
        threshold = new_threshold(limit, callback, metric, name)
        with self._lock:
            self._thresholds = (*self._thresholds, threshold)
        return threshold

    def remove_threshold(self, threshold: Threshold) -> None:
        """Watch it no longer."""
        with self._lock:
            self._thresholds = tuple(one for one in self._thresholds if one is not threshold)

    # -- the background's side -----------------------------------------------------------------------------------

    def _tick(self) -> None:
        """One look. Never raises: a profiler must not harm its program."""
        self._guarded.call("a look at the memory", self._look)

    def _look(self) -> None:
        with self._lock:
            if not self._background.running:
                return
            self._keep_tracing()
            with TRACING:
                traced = self._tracing.state()["traced"]
            sample = self._process.look(time.monotonic() - self._began, traced)
            self._series = self._series.append(sample)
            thresholds = self._thresholds
        wanted = {one.metric for one in thresholds}
        tracked = self._tracker.measure(lambda: time.sleep(0)) if "tracked_bytes" in wanted else None
        growth = self.growth_percent_per_hour() if "growth_percent_per_hour" in wanted else None
        values = {
            "rss_bytes": sample.rss_bytes,
            "uss_bytes": sample.uss_bytes,
            "traced_bytes": traced,
            "tracked_bytes": tracked,
            "growth_percent_per_hour": growth,
        }
        for callback, crossing in crossings(thresholds, values):
            self._guarded.call(f"the callback of the threshold {crossing.name}", callback, crossing)

    def _keep_tracing(self) -> None:
        """tracemalloc on, if it was asked for; also when somebody else stopped it meanwhile."""
        if self._trace_frames:
            with TRACING:
                self._tracing.start(self._token, self._trace_frames)

    def _forked(self) -> None:
        """In a forked child: nothing of the parent's profiling goes on here."""
        self._series, self._pauses = Series(), None
        self._process = OwnProcess()
        if any(one[1] is self._token for one in tracing.holders):
            tracing.holders.clear()
            tracemalloc.stop()


def _pauses(pauses: Pauses) -> GcPauses:
    told = pauses.figures()
    return GcPauses(told["count"], told["total"], told["max"], told["last"], told["last_generation"])
