"""memtui's scan beside counting inside the process, on one target in one run; prints figures for a million objects.

    python tests/benchmarks/scan.py [OBJECTS] [ROUNDS] [PYTHON]

Inside means ``Counter(map(type, gc.get_objects()))``, which is what objgraph and its kind do: its CPU time is spent
in the process, whose GIL it holds. The scan's is spent elsewhere; its start-up and numpy's are counted with it.
The target keeps the longest gap between two ticks of a thread of its own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from memtui.heap.scanner import TypeScan, scan_types
from memtui.observe.interpreter import find_interpreter

TARGET = """
import gc, sys, threading, time
from collections import Counter
class Node: pass
kept = []
for number in range(int(sys.argv[1]) // 2):
    node = Node(); node.items = [node]; kept.append(node)
gc.collect()
longest = 0.0
def tick():
    global longest
    last = time.perf_counter()
    while True:
        time.sleep(0.0005)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
threading.Thread(target=tick, daemon=True).start()
print(flush=True)
for line in sys.stdin:
    if line == "count\\n":
        began = time.process_time()
        found = Counter(map(type, gc.get_objects()))
        print(sum(found.values()), time.process_time() - began, flush=True)
        del found
    elif line == "reset\\n":
        longest = 0.0
        print(flush=True)
    else:
        print(longest, flush=True)
"""


class Target:
    """The process that is counted."""

    def __init__(self, python: str, objects: int) -> None:
        self.process = subprocess.Popen(
            [python, "-c", TARGET, str(objects)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask(None)

    def ask(self, word: str | None) -> list[float]:
        """Say a word, get numbers."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if word is not None:
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
        return [float(part) for part in self.process.stdout.readline().split()]

    @property
    def rss_bytes(self) -> int:
        """Its resident memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096


def show(name: str, objects: float, cpu: list[float], gaps: list[float]) -> None:
    """One line of the result."""
    seconds = statistics.median(cpu)
    print(
        f"{name:<8} {objects:>12,.0f} objects  CPU {seconds:6.3f} s, {seconds / objects * 1e6:6.3f} s a million   "
        f"longest gap {statistics.median(gaps) * 1e3:7.1f} ms (worst {max(gaps) * 1e3:.1f})"
    )


def main() -> None:
    """Run both in turn."""
    objects = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    target = Target(sys.argv[3] if len(sys.argv) > 3 else sys.executable, objects)
    try:
        interpreter = find_interpreter(target.process.pid)
        print(f"Python {interpreter.version_text}, {target.rss_bytes / 2**20:.0f} MiB resident")
        scans: list[TypeScan] = []
        gaps: dict[str, list[float]] = {"scan": [], "inside": []}
        inside: list[list[float]] = []
        for _ in range(rounds):
            target.ask("reset")
            scans.append(scan_types(target.process.pid, interpreter))
            gaps["scan"] += target.ask("gap")
            target.ask("reset")
            inside.append(target.ask("count"))
            gaps["inside"] += target.ask("gap")
        show("scan", scans[-1].objects, [one.cpu_seconds for one in scans], gaps["scan"])
        show("inside", inside[-1][0], [one[1] for one in inside], gaps["inside"])
        wall = statistics.median(one.seconds for one in scans)
        print(f"scan: {wall:.2f} s wall, {scans[-1].bytes_read / 2**20:.0f} MiB read, all of it outside the process")
    finally:
        target.process.kill()
        target.process.wait()


if __name__ == "__main__":
    main()
