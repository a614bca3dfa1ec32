"""Attaching by sys.remote_exec from end to end, with a program that runs scripts when it is told their path."""

from __future__ import annotations

import glob
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from attach_driver import leave, tasks, wait_until

from memtui.attach import ways
from memtui.attach.inject import attach_agent
from memtui.attach.remote_exec import RemoteExec

RUNS_SCRIPTS = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    exec(open(line.strip()).read(), {})
"""


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A process that counts as one with ``sys.remote_exec``."""
    monkeypatch.setattr(ways, "SINCE", (3, 8))
    with subprocess.Popen(
        [sys.executable, "-c", RUNS_SCRIPTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def scripts() -> list[str]:
    return [one for one in glob.glob("/tmp/memtui-*.py") if os.stat(one).st_uid == os.geteuid()]


def test_the_script_brings_the_agent(runner: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(self: RemoteExec, path: str) -> subprocess.CompletedProcess[str]:
        assert runner.stdin is not None
        runner.stdin.write(path + "\n")
        runner.stdin.flush()
        return subprocess.CompletedProcess([], 0, "", "")

    before = scripts()
    monkeypatch.setattr(RemoteExec, "_call", tell)
    attached = attach_agent(runner.pid)
    assert attached.route == "asked"
    assert attached.hello["pid"] == runner.pid
    assert attached.stop_seconds == 0, "nothing was stopped"
    assert scripts() == before
    leave(attached)
    wait_until(lambda: len(tasks(runner.pid)) == 1, "the agent's thread ends")
    assert runner.poll() is None


def test_a_main_thread_that_sleeps_is_followed_by_the_injector(
    runner: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RemoteExec, "_call", lambda self, path: subprocess.CompletedProcess([], 0, "", ""))
    before = scripts()
    attached = attach_agent(runner.pid)
    assert attached.route == "started"
    assert scripts() == before
    leave(attached)
    assert runner.poll() is None
