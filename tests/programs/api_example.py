"""The example of the README: a program that watches its own memory. Ends with 0 when everything is as it says."""

import asyncio
import gc

import memtui


class Session:
    """What this program has many of, and forgets to let go of."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.data = {"number": str(number)}


SESSIONS: list[Session] = []
CACHE: dict[int, bytes] = {}
memtui.register_cleanup(CACHE.clear, name="the cache")


def profile() -> None:
    """In a thread, beside the program's own work."""
    crossings = []
    with memtui.MemoryProfiler(interval_seconds=0.05, trace_frames=1) as profiler:
        profiler.add_threshold("1MB", crossings.append)
        before = profiler.take_snapshot("before")
        SESSIONS.extend(Session(number) for number in range(2000))
        profiler.track_object(SESSIONS[0], "the first session")
        after = profiler.take_snapshot("after")
        print(after, after.growth_since(before)[0])
        print(profiler.top_allocations(3))
        print(profiler.tracked_objects_report()["objects"])
    print(profiler.growth_percent_per_hour(), crossings[0].name)


async def profile_as_task() -> None:
    """In asyncio: a task that ends with the block."""
    async with memtui.MemoryProfiler(interval_seconds=0.02) as profiler:
        await asyncio.sleep(0.1)
    print(len(profiler.samples), "looks")


def find_leak() -> None:
    """Counts after each round of work name the type that grows, and circles what only the collector frees."""
    detector = memtui.LeakDetector()
    for _ in range(5):
        SESSIONS.extend(Session(number) for number in range(200))
        detector.add_observation()
    print(detector.suspected_leaks()[0].type, detector.object_growth()[0].change)
    assert detector.suspected_leaks()[0].type.endswith("Session")
    SESSIONS[0].data["me"] = SESSIONS[0]
    del SESSIONS[:]
    print(detector.reference_cycles().cycles, detector.report()["verdict"]["state"])


def monitor() -> None:
    """Cleans up when memory is short: here at once, because its sizes are so small."""
    CACHE.update((number, bytes(1000)) for number in range(5000))
    watching = memtui.MemoryMonitor(warning="1MB", critical="2MB")
    status = watching.check()
    print(status.level, [step.name for step in status.cleaned.steps], watching.trend().verdict)
    assert not CACHE
    print(watching.stats()["cleanups"], watching.cleanup(force=False))


profile()
asyncio.run(profile_as_task())
find_leak()
monitor()
try:
    memtui.MemoryProfiler().track_object([])
except memtui.NotTrackableError as error:
    print(error)
assert not gc.callbacks
