"""MemoryProfiler: in a thread, as a task, in a forked child; thresholds, tracing, and nothing left when stopped."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator

import pytest

from memtui import LeakDetector, MemoryMonitor, MemoryProfiler, register_cleanup
from memtui.agent import tracing
from memtui.agent.pace import TooBusy
from memtui.api import hooks
from memtui.api.process import OwnProcess
from memtui.api.thresholds import Crossing
from memtui.errors import RefusedError
from memtui.observe.access import read_proc

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    """Every test leaves threads, gc callbacks and tracemalloc as it found them."""
    callbacks, threads, on = len(gc.callbacks), threading.active_count(), tracemalloc.is_tracing()
    yield
    assert len(gc.callbacks) == callbacks
    assert threading.active_count() == threads
    assert tracemalloc.is_tracing() == on
    assert not tracing.holders


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def test_it_looks_in_the_background_until_it_is_stopped() -> None:
    profiler = MemoryProfiler(interval_seconds=0.01)
    assert not profiler.is_profiling
    assert profiler.start_profiling() is profiler
    assert profiler.is_profiling
    wait_until(lambda: len(profiler.samples) >= 5)
    profiler.stop_profiling()
    assert not profiler.is_profiling
    seen = len(profiler.samples)
    time.sleep(0.05)
    assert len(profiler.samples) == seen
    times = [one.at_seconds for one in profiler.samples]
    assert times == sorted(times)
    assert all(one.rss_bytes > MIB for one in profiler.samples)


def test_starting_twice_and_stopping_twice_are_harmless() -> None:
    profiler = MemoryProfiler()
    profiler.start_profiling(0.01).start_profiling()
    assert threading.active_count() == 2
    profiler.stop_profiling().stop_profiling()
    profiler.start_profiling(0.01)
    assert profiler.is_profiling
    profiler.stop_profiling()


def test_a_block_profiles() -> None:
    with MemoryProfiler(interval_seconds=0.01) as profiler:
        assert profiler.is_profiling
    assert not profiler.is_profiling
    assert profiler.samples


async def test_as_a_task() -> None:
    profiler = await MemoryProfiler().start_profiling(0.01, as_task=True)
    assert threading.active_count() == 1
    while len(profiler.samples) < 3:
        await asyncio.sleep(0.01)
    assert profiler.is_profiling
    await profiler.stop_profiling()
    assert not profiler.is_profiling
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_async_block_survives_a_loop_that_is_held_up() -> None:
    async with MemoryProfiler(interval_seconds=0.01) as profiler:
        time.sleep(0.1)
        looks = len(profiler.samples)
        while len(profiler.samples) < looks + 2:
            await asyncio.sleep(0.01)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_task_that_is_stopped_from_another_thread() -> None:
    profiler = MemoryProfiler().start_profiling(0.01, as_task=True)
    await asyncio.to_thread(profiler.stop_profiling)
    await profiler
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_loop_that_ends_takes_the_task_with_it() -> None:
    profiler = MemoryProfiler()

    async def main() -> None:
        profiler.start_profiling(0.01, as_task=True)

    asyncio.run(main())
    assert not profiler.is_profiling
    profiler.stop_profiling()


def test_a_task_needs_a_loop() -> None:
    with pytest.raises(RuntimeError, match="event loop"):
        MemoryProfiler().start_profiling(as_task=True)


@pytest.mark.parametrize(
    "arguments", [{"interval_seconds": 0}, {"interval_seconds": float("nan")}, {"trace_frames": -1}]
)
def test_senseless_settings_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        MemoryProfiler(**arguments)  # type: ignore[arg-type]


def test_a_profiler_that_nobody_knows_any_more_ends() -> None:
    profiler = MemoryProfiler(trace_frames=1).start_profiling(0.01)
    gone = weakref.ref(profiler)
    del profiler
    wait_until(lambda: gc.collect() >= 0 and gone() is None)
    wait_until(lambda: threading.active_count() == 1)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_does_not_profile() -> None:
    profiler = MemoryProfiler(trace_frames=1).start_profiling(0.01)
    try:
        child = os.fork()
        if not child:
            good = not profiler.is_profiling and not profiler.samples and not tracemalloc.is_tracing()
            with profiler:
                good = good and profiler.is_profiling and tracemalloc.is_tracing()
            good = good and profiler.take_snapshot().rss_bytes > MIB
            os._exit(0 if good else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert profiler.is_profiling
    finally:
        profiler.stop_profiling()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_finds_no_lock_taken() -> None:
    """Another thread holds all of them when the program forks."""
    profiler, detector, monitor = MemoryProfiler(), LeakDetector(), MemoryMonitor(clean_up=False)
    taken, release = threading.Event(), threading.Event()

    def hold() -> None:
        with profiler._lock, profiler._tracker._lock, detector._lock, monitor._lock, hooks._lock:
            taken.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert taken.wait(20)
        child = os.fork()
        if not child:
            signal.alarm(20)
            profiler.track_object(Planted())
            with profiler:
                detector.add_observation()
            monitor.check()
            register_cleanup(gc.collect)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        release.set()
        holder.join()


def test_at_the_end_of_the_program_nobody_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then other threads stand still for good."""
    profiler = MemoryProfiler().start_profiling(0.01)
    thread = next(one for one in threading.enumerate() if one.name == "memtui-profiler")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "is_finalizing", lambda: True)
        patched.setattr(thread, "join", lambda *_: pytest.fail("it was waited for"))
        profiler.stop_profiling()
    thread.join()


def test_snapshots_are_labelled_kept_and_bounded() -> None:
    profiler = MemoryProfiler(max_snapshots=2)
    taken = [profiler.take_snapshot(label) for label in ("a", "b", "c")]
    assert profiler.snapshots == tuple(taken[1:])
    snapshot = taken[-1]
    assert str(snapshot).startswith("c: RSS ")
    assert snapshot.objects is not None
    assert snapshot.objects > 1000
    assert snapshot.top_types(1)[0].count == max(snapshot.type_counts.values())
    assert snapshot.to_dict()["label"] == "c"
    assert profiler.take_snapshot(types=False).objects is None


class Planted:
    pass


def test_the_growth_between_snapshots_names_the_type() -> None:
    profiler = MemoryProfiler()
    before = profiler.take_snapshot()
    kept = [Planted() for _ in range(500)]
    growth = profiler.take_snapshot().growth_since(before)[0]
    assert (growth.type.rpartition(".")[2], growth.change) == ("Planted", 500)
    counts = profiler.object_counts()
    assert next(count for name, count in counts.items() if name.endswith(".Planted")) == len(kept)
    assert len(profiler.object_counts(3)) == 3


def test_top_allocations_name_the_line_and_leave_memtui_out() -> None:
    with MemoryProfiler(trace_frames=1, interval_seconds=0.01) as profiler:
        kept = bytearray(3 * MIB)
        first = profiler.top_allocations(1)[0]
        assert first.place.file == __file__
        assert first.size_bytes >= len(kept)
        assert profiler.take_snapshot().allocations[0] == first
        assert not any("memtui/api" in one.place.file for one in profiler.top_allocations(1000))
    assert profiler.top_allocations() == ()


def test_tracing_that_the_program_began_is_left_on() -> None:
    tracemalloc.start()
    try:
        with MemoryProfiler(trace_frames=1, interval_seconds=0.01):
            pass
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_tracing_goes_on_until_the_last_of_two_profilers_stops() -> None:
    one, other = MemoryProfiler(trace_frames=1).start_profiling(), MemoryProfiler(trace_frames=1).start_profiling()
    one.stop_profiling()
    assert tracemalloc.is_tracing()
    other.stop_profiling()


def test_many_profilers_share_tracing() -> None:
    """While one of them needs it, tracing is on, whatever the others begin and end meanwhile."""
    steady, off = MemoryProfiler(trace_frames=1).start_profiling(60.0), list[int]()

    def work() -> None:
        for number in range(100):
            with MemoryProfiler(trace_frames=1, interval_seconds=60.0):
                pass
            if not tracemalloc.is_tracing():
                off.append(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert off == []
    steady.stop_profiling()


def test_collections_are_timed_while_it_runs() -> None:
    with MemoryProfiler() as profiler:
        gc.collect()
        gc.collect()
        assert profiler.gc_pauses().count >= 2
    after = profiler.gc_pauses()
    gc.collect()
    assert profiler.gc_pauses() == after
    assert 0 < after.max_seconds <= after.total_seconds


def test_one_crossing_is_one_call() -> None:
    seen: list[Crossing] = []
    profiler = MemoryProfiler()
    threshold = profiler.add_threshold("1MB", seen.append, name="small")
    profiler.start_profiling(0.01)
    wait_until(lambda: len(profiler.samples) >= 5)
    profiler.stop_profiling()
    assert [(one.name, one.metric, one.limit) for one in seen] == [("small", "rss_bytes", 1_000_000)]
    assert threshold.look(900_000) is None
    assert threshold.look(1_000_000) is not None
    assert threshold.look(960_000) is None
    assert threshold.look(1_000_000) is None, "5 % must lie between two crossings"


def test_a_callback_that_fails_is_told_once_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[Crossing] = []

    def broken(crossing: Crossing) -> None:
        threshold.crossed = False
        raise ValueError("the callback's own trouble")

    profiler = MemoryProfiler()
    threshold = profiler.add_threshold(1, broken)
    profiler.add_threshold(1, seen.append, metric="uss_bytes")
    with caplog.at_level(logging.ERROR, "memtui"):
        profiler.start_profiling(0.01)
        wait_until(lambda: len(profiler.samples) >= 6)
        profiler.stop_profiling()
    assert [record.exc_text for record in caplog.records if "trouble" in str(record.exc_text)] != []
    assert len(caplog.records) == 1
    assert len(seen) == 1


def test_a_callback_may_stop_the_profiler() -> None:
    profiler = MemoryProfiler()
    profiler.add_threshold(1, lambda crossing: profiler.stop_profiling())
    profiler.start_profiling(0.01)
    wait_until(lambda: not profiler.is_profiling)
    wait_until(lambda: threading.active_count() == 1)


def test_a_threshold_that_was_removed_is_silent() -> None:
    profiler, seen = MemoryProfiler(), list[Crossing]()
    profiler.remove_threshold(profiler.add_threshold(1, seen.append))
    with profiler:
        pass
    assert seen == []


def test_tracked_bytes_and_growth_can_be_limited() -> None:
    class Bag(list[int]):
        pass

    profiler, bag, seen = MemoryProfiler(), Bag(), list[Crossing]()
    profiler.track_object(bag, "bag")
    profiler.add_threshold(100_000, seen.append, metric="tracked_bytes")
    profiler.add_threshold(1e12, seen.append, metric="growth_percent_per_hour")
    profiler.start_profiling(0.01)
    bag.extend(range(50_000))
    wait_until(lambda: bool(seen))
    profiler.stop_profiling()
    assert [one.metric for one in seen] == ["tracked_bytes"]


@pytest.mark.parametrize(
    ("limit", "options", "error"),
    [("lots", {}, ValueError), (0, {}, ValueError), (1, {"metric": "colour"}, ValueError)],
)
def test_thresholds_that_make_no_sense_are_refused(
    limit: int | str, options: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        MemoryProfiler().add_threshold(limit, print, **options)  # type: ignore[arg-type]


def test_a_callback_that_is_a_coroutine_function_is_refused() -> None:
    async def callback(crossing: Crossing) -> None: ...

    with pytest.raises(TypeError, match="plain function"):
        MemoryProfiler().add_threshold(1, callback)


def test_growth_in_percent_per_hour() -> None:
    from memtui.model.sample import Sample, Series

    profiler = MemoryProfiler()
    assert profiler.growth_percent_per_hour() is None
    series = Series()
    for minute in range(61):
        series = series.append(Sample(60.0 * minute, 100 * MIB + minute * MIB // 2))
    profiler._series = series
    assert profiler.growth_percent_per_hour() == pytest.approx(30.0, abs=0.1)
    assert profiler.verdict().state in ("suspect", "leak")


def test_many_threads_use_one_profiler() -> None:
    profiler, failures = MemoryProfiler(), list[BaseException]()

    def work() -> None:
        try:
            for number in range(50):
                one = Planted()
                profiler.track_object(one, f"n{number}")
                profiler.take_snapshot(types=False)
                profiler.start_profiling(0.01)
                profiler.tracked_objects_report()
                profiler.stop_profiling()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    profiler.stop_profiling()
    wait_until(lambda: threading.active_count() == 1)
    assert failures == []
    assert profiler.tracked_objects_report()["alive"] == 0


def test_where_the_gil_is_kept_for_long_objects_are_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_busy(*_: object) -> None:
        raise TooBusy

    usual = MemoryProfiler().object_counts()
    monkeypatch.setattr("memtui.api.snapshot.count_types", too_busy)
    monkeypatch.setattr("memtui.agent.tracing.sizes_by_traceback", too_busy)
    counts = MemoryProfiler().object_counts()
    assert counts["dict"] == pytest.approx(usual["dict"], rel=0.2)
    with MemoryProfiler(trace_frames=1) as profiler:
        assert profiler.take_snapshot().allocations == ()


def test_no_file_stays_open() -> None:
    """A program may close all of its files, and open others under their numbers, while it is profiled."""
    before = sorted(os.listdir("/proc/self/fd"))
    with MemoryProfiler(interval_seconds=0.01) as profiler:
        wait_until(lambda: len(profiler.samples) >= 2)
        with profiler._lock:
            assert sorted(os.listdir("/proc/self/fd")) == before


def test_exact_figures_are_left_out_where_they_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, name: str, what: str) -> bytes:
        if name == "smaps_rollup":
            raise RefusedError("no")
        return read_proc(pid, name, what)

    monkeypatch.setattr("memtui.api.process.read_proc", refuse)
    snapshot = MemoryProfiler().take_snapshot(types=False)
    assert snapshot.rss_bytes > MIB
    assert snapshot.uss_bytes is snapshot.pss_bytes is snapshot.swap_bytes is None


def test_dear_figures_are_read_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()

    def dear(pid: int, name: str, what: str) -> bytes:
        asked.append(name)
        time.sleep(0.01 * (name == "smaps_rollup"))
        return read_proc(pid, name, what)

    monkeypatch.setattr("memtui.api.process.read_proc", dear)
    process = OwnProcess()
    looks = [process.look(float(number)) for number in range(5)]
    assert asked == ["smaps_rollup", *["statm"] * 4]
    assert len({one.uss_bytes for one in looks}) == 1
    assert all(abs(one.rss_bytes - looks[0].rss_bytes) < 8 * MIB for one in looks)
