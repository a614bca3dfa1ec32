"""RSS as memtui shows it, beside what the kernel says of the same moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from memtui.observe.process import ProcessReader

BREATHES = """\
import sys, threading
kept = []
def breathe(): kept.extend(bytearray(300_000) for _ in range(7)); len(kept) > 120 and kept.clear()
for line in sys.stdin:
    threads = [threading.Thread(target=breathe) for _ in range(3)]
    [one.start() for one in threads]
    [one.join() for one in threads]
    print("ok", flush=True)
"""
LOOKS = 200
MOST_OFF = 0.05


def rollup_rss(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))


@pytest.mark.parametrize("exact", [True, False], ids=["smaps_rollup", "status alone"])
def test_rss_is_that_of_the_kernel(exact: bool) -> None:
    """Where exact figures are too expensive for each look, the cheap one must do."""
    with subprocess.Popen(
        [sys.executable, "-c", BREATHES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as target:
        assert target.stdin is not None
        assert target.stdout is not None
        seen = []
        with ProcessReader(target.pid) as reader:
            if not exact:
                reader._details_due = float("inf")
            for _ in range(LOOKS):
                target.stdin.write("\n")
                target.stdin.flush()
                assert target.stdout.readline() == "ok\n"
                # A thread that has just ended may still give its stack back: the truth is asked twice.
                before, shown, after = rollup_rss(target.pid), reader.sample().rss_bytes, rollup_rss(target.pid)
                low, high = min(before, after), max(before, after)
                assert (1 - MOST_OFF) * low <= shown <= (1 + MOST_OFF) * high
                seen.append(after)
        assert max(seen) > 1.5 * min(seen), "the target must breathe"
        target.stdin.close()
