"""What the analysis of one tick and one export cost: run it on a quiet machine.

python tests/benchmarks/growth_cost.py
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from states import MIB, row, traced, watched_state

from memtui.analysis.growth import line_growth, rss_growth
from memtui.report.build import build_report
from memtui.report.write import render

ROUNDS = 30


def milliseconds(call: Callable[[], object]) -> float:
    """Median CPU time of a call."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return 1000 * median(times)


def main() -> None:
    noise = random.Random(1)
    before = traced([row("a.py", line, 1000, 10) for line in range(1, 2001)])
    after = traced([row("a.py", line, 1000 + line, 11) for line in range(1, 2001)], 60.0)
    state = watched_state(
        lambda at: 500 * MIB + at * 1000 + noise.gauss(0, MIB), 899, allocations=after, baseline=before
    )
    report = build_report(state)
    print(f"rss_growth, {len(state.series)} looks    {milliseconds(lambda: rss_growth(state)):7.2f} ms")
    print(f"line_growth, {len(after.rows)} lines  {milliseconds(lambda: line_growth(state)):7.2f} ms")
    print(f"build_report             {milliseconds(lambda: build_report(state)):7.2f} ms")
    print(f"render, {len(render(report)):7} bytes    {milliseconds(lambda: render(report)):7.2f} ms")


if __name__ == "__main__":
    main()
