"""memtui's attach beside `memray attach`, on the same busy process in one run; prints ratios.

    python tests/benchmarks/attach.py [ROUNDS]

The target counts ticks and keeps the longest gap between two of them. Needs gdb and memray for the peer; without gdb
only memtui's own figures are printed. Figures are only comparable within one run.
"""

from __future__ import annotations

import mmap
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from memtui.attach.inject import attach_agent

TARGET = """
import mmap, struct, sys, time
file = open(sys.argv[1], "r+b")
shared = mmap.mmap(file.fileno(), 16)
last = time.monotonic()
while True:
    sum(range(200))
    now = time.monotonic()
    if now - last > struct.unpack_from("d", shared)[0]:
        struct.pack_into("d", shared, 0, now - last)
    last = now
"""


def measure(shared: mmap.mmap, act: Callable[[], object], rest_seconds: float) -> tuple[float, float]:
    """Seconds until ``act`` has its first data, and the longest gap in the target from then until some time later."""
    time.sleep(rest_seconds)
    struct.pack_into("d", shared, 0, 0.0)
    began = time.monotonic()
    act()
    took = time.monotonic() - began
    time.sleep(0.3)
    return took, struct.unpack_from("d", shared)[0]


def by_memtui(pid: int) -> None:
    """Attach, and wait for the first sample."""
    attached = attach_agent(pid)
    attached.link.request("stream", interval=1.0)
    attached.link.wait_for(("sample",), 5.0)
    attached.link.close()


def by_memray(pid: int) -> None:
    """Attach a tracker that writes to a file, and detach."""
    folder = tempfile.mkdtemp()
    output = str(Path(folder, "out.bin"))
    command = [sys.executable, "-m", "memray", "attach", "-o", output, str(pid)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    subprocess.run([sys.executable, "-m", "memray", "detach", str(pid)], capture_output=True, timeout=120)
    shutil.rmtree(folder)


def show(name: str, rows: list[tuple[float, float]]) -> tuple[float, float]:
    """Print and return the medians."""
    wall, gap = (statistics.median(column) for column in zip(*rows, strict=True))
    worst = max(row[1] for row in rows)
    print(f"{name:<8} first data {wall * 1e3:8.1f} ms   longest gap {gap * 1e3:7.1f} ms (worst {worst * 1e3:.1f})")
    return wall, gap


def main() -> None:
    """Run both in turn."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(16))
        file.flush()
        shared = mmap.mmap(file.fileno(), 16)
        target = subprocess.Popen([sys.executable, "-c", TARGET, file.name])
        try:
            rest = [measure(shared, lambda: time.sleep(0.3), 0.5) for _ in range(rounds)]
            ours = [measure(shared, lambda: by_memtui(target.pid), 0.5) for _ in range(rounds)]
            show("(rest)", rest)
            wall, gap = show("memtui", ours)
            if shutil.which("gdb"):
                theirs = [measure(shared, lambda: by_memray(target.pid), 0.5) for _ in range(rounds)]
                peer_wall, peer_gap = show("memray", theirs)
                print(f"memray / memtui: first data {peer_wall / wall:.1f}, longest gap {peer_gap / gap:.1f}")
        finally:
            target.kill()
            target.wait()


if __name__ == "__main__":
    main()
