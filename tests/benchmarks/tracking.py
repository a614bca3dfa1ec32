"""What it costs to track 100,000 objects: memory and time, printed as JSON."""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from memtui import MemoryProfiler, MemorySnapshot

COUNT = 100_000


class Thing:
    """An object of a program."""


def main() -> None:
    """Measure, and print."""
    profiler = MemoryProfiler()
    things = [Thing() for _ in range(COUNT)]
    before = MemorySnapshot.take(types=False, collect=True).rss_bytes
    begin = time.process_time()
    for one in things:
        profiler.track_object(one)
    tracked = time.process_time() - begin
    begin = time.process_time()
    report = profiler.tracked_objects_report()
    reported = time.process_time() - begin
    after = MemorySnapshot.take(types=False, collect=True).rss_bytes
    objects, report = report["alive"], {}
    del one, things
    gc.collect()
    figures = {
        "objects": objects,
        "rss_bytes": after - before,
        "bytes_an_object": round((after - before) / COUNT),
        "track_seconds": round(tracked, 3),
        "report_seconds": round(reported, 3),
        "collected": profiler.tracked_objects_report()["collected"],
    }
    print(json.dumps(figures))


main()
