"""Tracked objects: seen by weak references only, in little memory, with the sizes they had."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest

from memtui import MemoryProfiler, NotTrackableError
from memtui.api.tracking import MOST_CHANGES, Tracker
from memtui.errors import MemtuiError

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "tracking.py"


class Bag(list[int]):
    pass


class Plain:
    pass


class Slotted:
    __slots__ = ("x",)


def test_tracking_keeps_nothing_alive() -> None:
    profiler, one = MemoryProfiler(), Plain()
    tracked = profiler.track_object(one, "it")
    assert tracked.get() is one
    gone = weakref.ref(one)
    del one
    assert gone() is None
    assert not tracked.is_alive
    assert profiler.tracked_objects == ()
    report = profiler.tracked_objects_report()
    assert (report["tracked"], report["alive"], report["collected"]) == (1, 0, 1)
    assert report["lately_collected"][0]["name"] == "it"
    assert report["lately_collected"][0]["collected_at"] >= tracked.created_at


def test_tracked_objects_in_a_circle_are_collected() -> None:
    profiler, one = MemoryProfiler(), Plain()
    one.me = one  # type: ignore[attr-defined]
    tracked = profiler.track_object(one)
    del one
    gc.collect()
    assert not tracked.is_alive


def test_sizes_are_shallow_and_their_history_is_kept() -> None:
    profiler, bag = MemoryProfiler(), Bag()
    tracked = profiler.track_object(bag)
    assert tracked.size_bytes == sys.getsizeof(bag)
    bag.extend(range(1000))
    report = profiler.tracked_objects_report()
    assert tracked.growth_bytes >= 8000
    assert len(tracked.history) == 2
    assert tracked.history[-1][1] == sys.getsizeof(bag)
    assert report["grown"][0]["growth_bytes"] == tracked.growth_bytes
    profiler.tracked_objects_report()
    assert len(tracked.history) == 2, "sizes are written down when they change"
    json.dumps(report)


def test_the_history_is_bounded() -> None:
    tracker, bag = Tracker(), Bag()
    tracked = tracker.track(bag)
    for _ in range(10 * MOST_CHANGES):
        bag.extend(range(100))
        tracker.measure()
    history = tracked.history
    assert len(history) <= MOST_CHANGES + 1
    assert history[0][1] == tracked.first_size_bytes
    assert history[-1][1] == sys.getsizeof(bag)
    assert [at for at, _ in history] == sorted(at for at, _ in history)


def test_an_object_is_tracked_once() -> None:
    profiler, one = MemoryProfiler(), Plain()
    first = profiler.track_object(one)
    assert profiler.track_object(one, "named later") is first
    assert first.name == "named later"
    assert len(profiler.tracked_objects) == 1


def test_untracking_by_object_handle_and_name() -> None:
    profiler, one, two, three = MemoryProfiler(), Plain(), Plain(), Plain()
    profiler.track_object(one)
    handle = profiler.track_object(two)
    profiler.track_object(three, "three")
    assert profiler.untrack_object(one)
    assert not profiler.untrack_object(one)
    assert profiler.untrack_object(handle)
    assert not profiler.untrack_object(handle)
    assert profiler.untrack_object("three")
    assert not profiler.untrack_object("three")
    assert profiler.tracked_objects == ()
    assert not profiler.untrack_object([])


@pytest.mark.parametrize("one", [[], {}, 5, "text", (), None, Slotted(), b"", 1.5])
def test_objects_without_weak_references_are_refused_in_words(one: object) -> None:
    with pytest.raises(NotTrackableError, match=r"cannot be tracked.*weak reference") as raised:
        MemoryProfiler().track_object(one)
    assert isinstance(raised.value, TypeError)
    assert isinstance(raised.value, MemtuiError)
    assert type(one).__name__ in str(raised.value)


def test_a_name_is_text() -> None:
    with pytest.raises(TypeError, match="name"):
        MemoryProfiler().track_object(Plain(), 5)  # type: ignore[arg-type]


def test_functions_classes_and_objects_with_odd_comparisons() -> None:
    class Odd:
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise RuntimeError("compared")

        def __sizeof__(self) -> int:
            raise RuntimeError("measured")

    profiler, odd = MemoryProfiler(), Odd()
    for one in (odd, Odd, test_an_object_is_tracked_once):
        assert profiler.track_object(one).size_bytes > 0
    report = profiler.tracked_objects_report()
    assert report["alive"] == 3
    assert profiler.untrack_object(odd)


def test_the_address_of_a_dead_object_may_come_again() -> None:
    profiler = MemoryProfiler()
    for _ in range(1000):
        profiler.track_object(Plain())
    report = profiler.tracked_objects_report()
    assert (report["alive"], report["collected"]) == (0, 1000)
    assert len(report["lately_collected"]) <= 20


def test_objects_may_end_in_any_thread_while_others_are_tracked() -> None:
    tracker = Tracker()

    def work() -> None:
        for _ in range(2000):
            one = Plain()
            one.me = one  # type: ignore[attr-defined]
            tracker.track(one)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    gc.collect()
    assert tracker.objects() == ()
    assert tracker.report()["collected"] == 8000


def test_a_hundred_thousand_objects_cost_less_than_fifty_megabytes() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert figures["objects"] == 100_000
    assert figures["rss_bytes"] < 50_000_000
    assert figures["collected"] == 100_000
