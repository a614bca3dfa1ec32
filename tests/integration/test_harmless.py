"""Which threads may be borrowed, judged from outside."""

from __future__ import annotations

import subprocess
import sys

import pytest
from attach_driver import wait_until

from memtui.attach import harmless

NEVER = 9
WAITS = {
    "time.sleep(3600)": 0,
    "select.select([0], [], [])": 0,
    "signal.sigwait([signal.SIGUSR1])": 2,
    "select.epoll().poll()": 2,
    # Interrupted when its time is over, it would return a signal that never came.
    "signal.sigtimedwait([signal.SIGUSR1], 3600)": NEVER,
}


@pytest.mark.parametrize("wait", WAITS)
def test_the_rank_of_a_wait(wait: str) -> None:
    code = f"import select, signal, time; print(flush=True); {wait}"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(lambda: harmless.rank(process.pid, process.pid) == WAITS[wait], f"rank {WAITS[wait]}")
        process.kill()


def test_the_rank_of_a_computing_main_thread() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None
        one.stdout.readline()
        wait_until(lambda: harmless.rank(one.pid, one.pid) == 1, "it computes")
        one.kill()
