"""The Python processes of this machine, found without touching any."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from memtui.errors import MemtuiError, TargetDiedError
from memtui.model.diagnosis import PythonProcess
from memtui.observe.diagnosis import gather, judge
from memtui.observe.process import ProcessReader

_KIB = 1024
_MARKS = (b"python", b"pypy")
_PYTHON_NAME = re.compile(r"(python|pypy)[0-9.]*t?")


def python_pids() -> list[int]:
    """Every process but memtui that has files of a Python mapped or, where that may not be seen, its name."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and _looks_like_python(pid)]


def python_processes() -> Iterator[PythonProcess]:
    """Each of them with how far memtui could climb there; those that end meanwhile, or are none, are left out."""
    for pid in python_pids():
        try:
            yield _describe(pid)
        except (MemtuiError, OSError):
            continue


def _looks_like_python(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            maps = file.read()
    except PermissionError:
        return _is_named_like_python(pid)
    except OSError:
        return False
    return any(mark in maps for mark in _MARKS)


def _is_named_like_python(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            program = os.path.basename(os.fsdecode(file.read().split(b"\0")[0]))
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as text:
            name = text.read().strip()
    except OSError:
        return False
    return any(_PYTHON_NAME.fullmatch(one) for one in (program, name))


def _describe(pid: int) -> PythonProcess:
    with ProcessReader(pid) as process:
        status = process.status()
        facts = gather(pid)
    diagnosis = judge(facts)
    target = facts.target
    if target is None or target.started_at is None or diagnosis.best is None or "VmRSS" not in status:
        raise TargetDiedError(f"Process {pid} has ended.")
    return PythonProcess(
        pid=pid,
        user=target.user or "",
        python=target.python,
        rss_bytes=int(status["VmRSS"].split()[0]) * _KIB,
        started_at=target.started_at,
        command=target.command,
        best=diagnosis.best,
        obstacle=next((one.obstacles[0] for one in diagnosis.rungs if one.obstacles), None),
    )
