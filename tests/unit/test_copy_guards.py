"""When a process may not be copied, and with which words; on made-up facts of ``/proc``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memtui.attach import copy_guards
from memtui.attach.copy_guards import (
    check_can_photograph,
    predict_pause_seconds,
    predict_stop_seconds,
)
from memtui.errors import RefusedError, StopTooLongError, TargetDiedError
from memtui.observe.headroom import Room

GIGABYTE = 10**9


@pytest.fixture(scope="module")
def sleeper() -> Iterator[int]:
    """A process that waits until the tests are through."""
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


@pytest.fixture
def status(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The fields of its status; what is changed in here is what the guards see."""
    fields = copy_guards._status(sleeper)
    monkeypatch.setattr(copy_guards, "_status", lambda pid: fields)
    return fields


def refusal(pid: int, **options: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        check_can_photograph(pid, 10.0, **options)
    return caught.value


def test_nothing_is_in_the_way(sleeper: int) -> None:
    check_can_photograph(sleeper, 10.0)


def test_the_stop_grows_with_memory_and_threads(sleeper: int, status: dict[str, str]) -> None:
    status |= {"RssAnon": f"{GIGABYTE // 1024} kB", "VmSwap": "0 kB", "Threads": "1"}
    assert 0.030 < predict_stop_seconds(sleeper) < 0.050
    status |= {"RssAnon": "0 kB", "VmSwap": f"{GIGABYTE // 1024} kB"}
    assert 0.030 < predict_stop_seconds(sleeper) < 0.050
    status |= {"VmSwap": "0 kB"}
    assert predict_stop_seconds(sleeper) < 0.002
    few = predict_stop_seconds(sleeper)
    status |= {"Threads": "101"}
    assert 0.002 < predict_stop_seconds(sleeper) - few < 0.02


def test_reading_a_held_process_takes_a_second_for_a_gigabyte(sleeper: int, status: dict[str, str]) -> None:
    status |= {"VmRSS": f"{GIGABYTE // 1024} kB"}
    assert 0.9 < predict_pause_seconds(sleeper) < 1.2


def test_a_long_stop_has_to_be_accepted(sleeper: int, status: dict[str, str]) -> None:
    status |= {"RssAnon": f"{4 * GIGABYTE // 1024} kB"}
    with pytest.raises(StopTooLongError) as caught:
        check_can_photograph(sleeper, 0.05)
    assert str(caught.value) == (
        f"A photograph of process {sleeper} would stop it for about 161 ms. That is more than the 50.0 ms that are"
        " allowed without asking. Accept the stop (accept_stop), or count its types without one."
    )
    check_can_photograph(sleeper, 0.05, accept_stop=True)


def test_too_little_memory(sleeper: int, status: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    status |= {"RssAnon": "1048576 kB", "VmSwap": "0 kB", "VmPTE": "2048 kB"}
    group = Room("the control group /sys/fs/cgroup/shop (memory.max)", 2**30, 200 * 2**20)
    rooms = [Room("this machine", 2**34, 2**33), group]
    monkeypatch.setattr(copy_guards, "memory_rooms", lambda *texts: rooms)
    said = refusal(sleeper)
    assert said.what == f"There is too little memory for a copy of process {sleeper}."
    assert said.why == (
        "What it changes while the copy lives is there twice: of 1.0 GiB about 373.2 MiB,"
        " and the control group /sys/fs/cgroup/shop (memory.max) has 200.0 MiB left."
    )
    assert "while it is stopped" in said.next_step
    rooms[1] = Room(group.where, group.limit, 400 * 2**20)
    check_can_photograph(sleeper, 10.0)


@pytest.mark.parametrize(("committed", "fits"), [(100, True), (100_000_000, False)])
def test_strict_accounting(
    sleeper: int, status: dict[str, str], monkeypatch: pytest.MonkeyPatch, committed: int, fits: bool, tmp_path: Path
) -> None:
    strict = tmp_path / "overcommit_memory"
    strict.write_text("2\n")
    monkeypatch.setattr(copy_guards, "_OVERCOMMIT", strict)
    text = f"MemAvailable: 90000000 kB\nCommitLimit: 100000000 kB\nCommitted_AS: {committed} kB\n"
    monkeypatch.setattr(copy_guards, "_meminfo", lambda: text)
    if fits:
        check_can_photograph(sleeper, 10.0)
    else:
        assert "vm.overcommit_memory=2" in refusal(sleeper).why
    strict.write_text("0\n")
    check_can_photograph(sleeper, 10.0)


@pytest.mark.parametrize(("free", "fits"), [(0, False), (1, False), (2, True)])
def test_few_processes_left(sleeper: int, monkeypatch: pytest.MonkeyPatch, free: int, fits: bool) -> None:
    room = Room("the control group /x (pids.max)", 100, free)
    monkeypatch.setattr(copy_guards, "process_rooms", lambda *texts: [room])
    if fits:
        check_can_photograph(sleeper, 10.0)
    else:
        assert refusal(sleeper).why == f"Of 100 that the control group /x (pids.max) allows, {free} are left."


def test_a_shadow_stack(sleeper: int, status: dict[str, str]) -> None:
    status |= {"x86_Thread_features": "shstk wrss"}
    assert "shadow stack" in refusal(sleeper).what
    status |= {"x86_Thread_features": ""}
    check_can_photograph(sleeper, 10.0)


def test_seccomp(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_guards, "_seccomp_modes", lambda pid: {0, 1})
    assert "strict mode" in refusal(sleeper).why
    monkeypatch.setattr(copy_guards, "_seccomp_modes", lambda pid: {0, 2})
    monkeypatch.setattr(copy_guards, "_may_suspend_seccomp", lambda: False)
    assert "seccomp filter" in refusal(sleeper).what
    assert copy_guards.suspends_seccomp(sleeper)
    monkeypatch.setattr(copy_guards, "_may_suspend_seccomp", lambda: True)
    check_can_photograph(sleeper, 10.0)


@pytest.mark.parametrize(
    ("machine", "kernel", "experimental", "complaint"),
    [
        ("x86_64", "6.1.0-18-amd64", False, ""),
        ("x86_64", "5.2.0", False, "too old"),
        ("aarch64", "6.1.0", False, "on x86-64 only"),
        ("aarch64", "6.1.0", True, ""),
        ("riscv64", "6.1.0", True, "on x86-64 only"),
    ],
)
def test_machines(
    sleeper: int, monkeypatch: pytest.MonkeyPatch, machine: str, kernel: str, experimental: bool, complaint: str
) -> None:
    system = os.uname_result(("Linux", "here", kernel, "#1", machine))
    monkeypatch.setattr(os, "uname", lambda: system)
    if complaint:
        assert complaint in str(refusal(sleeper, experimental=experimental))
    else:
        check_can_photograph(sleeper, 10.0, experimental=experimental)


def test_memtui_itself_and_nobody() -> None:
    assert "memtui itself" in refusal(os.getpid()).what
    assert "There is no process" in refusal(2**22 - 1).what
    with pytest.raises(TargetDiedError):
        predict_stop_seconds(2**22 - 1)
