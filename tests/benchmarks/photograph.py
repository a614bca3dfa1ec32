"""The stop of a photograph beside ``os.fork()`` inside the same process, in one run; for several sizes.

    python tests/benchmarks/photograph.py [ROUNDS] [PYTHON] [CASE ...]

Cases: ``1M`` (a million objects, lists and dicts among them), ``1GB`` (one block of memory), and the like. "Stop"
is from the first thread stopped to the last one released, as memtui measures it; "gap" is the longest time between
two ticks of the process itself; "fork" is what ``os.fork()`` takes in it, taken in turn with the photographs. Allowed
are 1.5 times the fork plus 1 ms, on the minima: on a machine that does other work the rest measures its scheduler.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from memtui.attach.photograph import photograph

TARGET = """
import gc, os, sys, threading, time
class Node: pass
def objects(number):
    kept = []
    for at in range(number // 5):
        node = Node()
        node.list, node.dict, node.text = [at], {"key": at}, "x" * (at % 40)
        node.tuple = node.list, at
        kept.append(node)
    return kept
size = float(sys.argv[1][:-1] if sys.argv[1][-1] in "kM" else sys.argv[1][:-2])
gc.disable()
if sys.argv[1][-1] == "B":
    kept = bytearray(int(size * 1e9)); kept[::4096] = b"1" * len(kept[::4096])
else:
    kept = objects(int(size * {"k": 1e3, "M": 1e6}[sys.argv[1][-1]]))
gc.enable()
longest = 0.0
def tick():
    global longest
    last = time.perf_counter()
    while True:
        time.sleep(0.0003)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
threading.Thread(target=tick, daemon=True).start()
print(len(gc.get_objects()), flush=True)
for line in sys.stdin:
    if line == "fork\\n":
        began = time.perf_counter()
        child = os.fork()
        if not child:
            os._exit(0)
        took = time.perf_counter() - began
        os.waitpid(child, 0)
        print(took, flush=True)
    else:
        print(longest, flush=True)
        longest = 0.0
"""
CASES = ("10k", "1M", "5M", "1GB")
FORK_TIMES, MORE_MS = 1.5, 1.0


class Target:
    """The process that is photographed."""

    def __init__(self, python: str, case: str) -> None:
        self.process = subprocess.Popen(
            [python, "-W", "ignore", "-c", TARGET, case], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.objects = int(self.process.stdout.readline())

    def ask_ms(self, word: str) -> float:
        """Say a word, get milliseconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return 1e3 * float(self.process.stdout.readline())

    @property
    def own_megabytes(self) -> float:
        """Its memory that a copy has to be prepared for."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("RssAnon:")[1].split()[0]) / 1e3


def measure(python: str, case: str, rounds: int) -> None:
    """One line of the table."""
    target = Target(python, case)
    stops, gaps, forks, hands, releases, reaps = [], [], [], [], [], []
    try:
        for _ in range(rounds):
            target.ask_ms("gap")
            began = time.perf_counter()
            with photograph(target.process.pid, accept_stop=True) as photo:
                hands.append(1e3 * (time.perf_counter() - began))
                assert photo.stop_seconds is not None
                stops.append(1e3 * photo.stop_seconds)
                time.sleep(0.01)
                gaps.append(target.ask_ms("gap"))
                began = time.perf_counter()
                reaps.append(1e3 * (photo.release() or 0.0))
            releases.append(1e3 * (time.perf_counter() - began))
            time.sleep(0.1)
            forks.append(target.ask_ms("fork"))
            time.sleep(0.1)
        allowed = FORK_TIMES * min(forks) + MORE_MS
        print(
            f"{case:>4} {target.objects:>9,} objects {target.own_megabytes:6.0f} MB | stop {show(stops)}"
            f" (predicted {1e3 * photo.predicted_stop_seconds:5.1f}) | gap {show(gaps)} | fork {show(forks)}"
            f" | allowed {allowed:6.1f} {'yes' if min(stops) <= allowed else 'NO'}"
            f" | in hand {show(hands)} | release {show(releases)} | reap {show(reaps)}",
            flush=True,
        )
    finally:
        target.process.kill()
        target.process.communicate()


def show(values: list[float]) -> str:
    """Minimum, median and maximum, in ms."""
    return f"{min(values):.2f}/{statistics.median(values):.2f}/{max(values):.1f}"


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    python = sys.argv[2] if len(sys.argv) > 2 else sys.executable
    print("all in ms: minimum/median/maximum")
    for case in sys.argv[3:] or CASES:
        measure(python, case, rounds)


if __name__ == "__main__":
    main()
