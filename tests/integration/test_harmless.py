"""Which threads may be borrowed, judged from outside."""

from __future__ import annotations

import subprocess
import sys

import pytest
from attach_driver import leave, wait_until

from memtui.attach import harmless, ways
from memtui.attach.inject import attach_agent

CUT_SHORT, NEVER = 3, 9
WAITS = {
    "time.sleep(3600)": 0,
    "select.select([0], [], [])": 0,
    "signal.sigwait([signal.SIGUSR1])": 2,
    "select.epoll().poll()": 2,
    # Interrupted when its time is over, it would return a signal that never came.
    "signal.sigtimedwait([signal.SIGUSR1], 3600)": NEVER,
    # Interrupted, they would end having done a part.
    "os.write(os.pipe()[1], bytes(1 << 20))": CUT_SHORT,
    "os.writev(os.pipe()[1], [bytes(1 << 20)])": CUT_SHORT,
    "here.send(bytes(1 << 25))": CUT_SHORT,
    "here.recv(9, socket.MSG_WAITALL)": CUT_SHORT,
    "here.recvmsg(9, 0, socket.MSG_WAITALL)": CUT_SHORT,
    "big = os.memfd_create('big'); os.truncate(big, 1 << 25); os.sendfile(here.fileno(), big, 0, 1 << 25)": CUT_SHORT,
    "here.recv(9)": 2,
    # These are written whole or not at all.
    "full = os.pipe()[1]\nwhile True: os.write(full, bytes(4096))": 0,
}


@pytest.mark.parametrize("wait", WAITS)
def test_the_rank_of_a_wait(wait: str) -> None:
    code = (
        f"import os, select, signal, socket, sys, time\nhere, there = socket.socketpair()\nprint(flush=True)\n{wait}"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until(lambda: harmless.rank(process.pid, process.pid) == WAITS[wait], f"rank {WAITS[wait]}")
        spared = WAITS[wait] in (CUT_SHORT, NEVER)
        for route in ("auto", "thread"):
            assert harmless.candidates(process.pid, route, 12) == ([] if spared else [process.pid])
            assert harmless.candidates(process.pid, route, 12, True) == (
                [] if WAITS[wait] == NEVER else [process.pid]
            )
        process.kill()


def test_the_rank_of_a_computing_main_thread() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=subprocess.PIPE
    ) as one:
        assert one.stdout is not None
        one.stdout.readline()
        wait_until(lambda: harmless.rank(one.pid, one.pid) == 1, "it computes")
        one.kill()


SENDER = """
import os, sys, threading, time
reader, writer = os.pipe()
def read():
    while True:
        time.sleep(0.005)
        os.read(reader, 65536)
threading.Thread(target=read, daemon=True).start()
print(flush=True)
for _ in range(int(sys.argv[1])):
    assert os.write(writer, bytes(1 << 20)) == 1 << 20
"""


def test_what_is_sent_is_not_cut_short_where_another_thread_can_be_borrowed() -> None:
    with subprocess.Popen([sys.executable, "-c", SENDER, "12"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(5):
            leave(attach_agent(process.pid))
        assert process.wait(60) == 0


def test_a_program_that_is_stuck_in_sending_is_attached_to_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "_SENDING_PATIENCE_SECONDS", 0.1)
    code = "import os; full = os.pipe()[1]; print(flush=True)\nwhile True: os.write(full, bytes(1 << 20))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        leave(attach_agent(process.pid))
        process.kill()
