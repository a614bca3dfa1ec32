from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from pathlib import Path

import pytest
from observed import as_nobody, line_from, running, until

from memtui.errors import TargetDiedError
from memtui.observe import process as process_module
from memtui.observe.process import ProcessReader, ProcessSample, children, find_python

WAITING = "import sys; print('ready', flush=True); sys.stdin.read()"


def rollup(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(value.split()[0]) * 1024 for name, _, value in (line.partition(":") for line in lines)}


def is_near(sample: ProcessSample, expected: dict[str, int]) -> None:
    assert sample.rss_bytes == pytest.approx(expected["Rss"], rel=0.05)
    assert sample.pss_bytes == pytest.approx(expected["Pss"], rel=0.05)
    assert sample.uss_bytes == pytest.approx(expected["Private_Clean"] + expected["Private_Dirty"], rel=0.05)
    assert sample.swap_bytes == expected["Swap"]


@pytest.mark.parametrize("size", [0, 2 << 20, 80 << 20])
def test_memory_is_that_of_smaps_rollup(size: int) -> None:
    code = f"kept = b'x' * {size}; {WAITING}"
    with running(sys.executable, "-S", "-c", code) as target, ProcessReader(target.pid) as process:
        line_from(target)
        sample = process.sample()
        is_near(sample, rollup(target.pid))
        assert sample.threads == 1
        assert sample.rss_bytes > size


def test_growth_shows_at_the_next_look() -> None:
    code = "print(flush=True); input(); kept = b'x' * (40 << 20); print(flush=True); input()"
    with running(sys.executable, "-c", code) as target, ProcessReader(target.pid) as process:
        line_from(target)
        before = process.sample()
        assert target.stdin is not None
        target.stdin.write(b"\n")
        target.stdin.flush()
        line_from(target)
        assert process.sample().rss_bytes - before.rss_bytes == pytest.approx(40 << 20, rel=0.02)


def test_dear_figures_are_kept_for_a_while_and_rss_stays_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_CHEAP_SECONDS", -1.0)
    monkeypatch.setattr(process_module, "_SHARE_OF_CORE", 1e-9)
    with running(sys.executable, "-c", f"kept = b'x' * (40 << 20); {WAITING}") as target:
        line_from(target)
        with ProcessReader(target.pid) as process:
            first, second = process.sample(), process.sample()
    assert (second.uss_bytes, second.pss_bytes) == (first.uss_bytes, first.pss_bytes)
    assert second.details_age_seconds is not None
    assert first.details_age_seconds is not None
    assert second.details_age_seconds > first.details_age_seconds
    assert second.rss_bytes == pytest.approx(first.rss_bytes, rel=0.05)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_users_process_shows_rss_only() -> None:
    with running(sys.executable, "-c", WAITING) as target:
        line_from(target)

        def look() -> str:
            with ProcessReader(target.pid) as process:
                sample = process.sample()
                return repr((sample.rss_bytes > 1 << 20, sample.uss_bytes, sample.pss_bytes, process.open_files()))

        assert as_nobody(look) == "(True, None, None, None)"


def test_who_it_is() -> None:
    before = time.time()
    command = (sys.executable, "-c", WAITING, "", "two words")
    with running(*command) as target, ProcessReader(target.pid) as process:
        line_from(target)
        seen = process.target()
        assert (seen.pid, seen.command, seen.python) == (target.pid, command, None)
        assert seen.user == pwd.getpwuid(os.getuid()).pw_name
        assert seen.started_at is not None
        assert before - 0.1 <= seen.started_at <= time.time()
        until(lambda: process.state() == "S")
        assert process.open_files() == len(os.listdir(f"/proc/{target.pid}/fd"))


def test_processor_time_is_that_of_the_process_itself() -> None:
    code = f"import time\nwhile time.process_time() < 0.3: pass\nprint(time.process_time(), flush=True)\n{WAITING}"
    with running(sys.executable, "-c", code) as target, ProcessReader(target.pid) as process:
        said = float(line_from(target))
        line_from(target)
        assert process.cpu_seconds() == pytest.approx(said, abs=0.1)


def test_threads_are_counted() -> None:
    start = "[threading.Thread(target=event.wait, daemon=True).start() for _ in 'ab']"
    code = f"import threading; event = threading.Event(); {start}; {WAITING}"
    with running(sys.executable, "-c", code) as target, ProcessReader(target.pid) as process:
        line_from(target)
        assert process.sample().threads == 3


def test_identity_stays_until_an_exec() -> None:
    then = f"os.execv(sys.executable, [sys.executable, '-c', {WAITING!r}])"
    code = f"import os, sys; print(flush=True); input(); {then}"
    with running(sys.executable, "-c", code) as target, ProcessReader(target.pid) as process:
        line_from(target)
        first = process.identity()
        assert process.identity() == first
        assert target.stdin is not None
        target.stdin.write(b"\n")
        target.stdin.flush()
        assert line_from(target) == b"ready\n"
        second = process.identity()
        assert second != first
        assert second.started_ticks == first.started_ticks


def test_a_process_that_ended() -> None:
    with running(sys.executable, "-c", WAITING) as target, ProcessReader(target.pid) as process:
        line_from(target)
        target.kill()
        until(lambda: process.state() == "Z")
        with pytest.raises(TargetDiedError, match="has ended"):
            process.sample()
        target.wait()
        for look in (process.sample, process.identity, process.target, process.cpu_seconds, process.state):
            with pytest.raises(TargetDiedError, match="has ended"):
                look()
        with pytest.raises(TargetDiedError):
            ProcessReader(target.pid)


def test_the_python_below_a_shell_is_found() -> None:
    shell = f'"{sys.executable}" -c "{WAITING}"; true'
    with running("sh", "-c", shell) as target:
        line_from(target)
        (child,) = children(target.pid)
        assert find_python(target.pid) == child
        assert find_python(child) == child
        os.kill(child, 9)
        target.wait()
        assert find_python(target.pid) is None
        assert children(target.pid) == []


def test_what_has_no_python() -> None:
    with subprocess.Popen(["sleep", "60"]) as target:
        try:
            assert find_python(target.pid) is None
        finally:
            target.kill()
