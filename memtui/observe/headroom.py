"""How much memory, and how many processes, are still to be had where a process runs.

Limits are those of the machine and of its control groups. These count the page cache as memory in use; the part of it
that is not active goes away when memory is wanted, so it counts as free here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from memtui.observe.control_groups import groups_over, limit_in, number_in

_KIB = 1024


@dataclass(frozen=True, slots=True)
class Room:
    """What is left under one limit: bytes, or processes. ``where`` is the limit in words for a person."""

    where: str
    limit: int
    free: int


@dataclass(frozen=True, slots=True)
class _Kind:
    """The files of a controller in both versions: limits, use, and the statistic that counts as free."""

    controller: str
    limits: dict[int, tuple[str, ...]]
    usage: dict[int, str]
    reclaimable: dict[int, str]


_MEMORY = _Kind(
    "memory",
    {1: ("memory.limit_in_bytes",), 2: ("memory.max", "memory.high")},
    {1: "memory.usage_in_bytes", 2: "memory.current"},
    {1: "total_inactive_file", 2: "inactive_file"},
)
_PIDS = _Kind("pids", {1: ("pids.max",), 2: ("pids.max",)}, {1: "pids.current", 2: "pids.current"}, {})


def memory_rooms(cgroups: str, mountinfo: str, meminfo: str) -> list[Room]:
    """The machine's available memory and every control group's, in bytes.

    ``cgroups`` is the process's ``/proc/PID/cgroup``, ``mountinfo`` memtui's own, ``meminfo`` is ``/proc/meminfo``.
    """
    machine = parse_meminfo(meminfo)
    rooms = _rooms(_MEMORY, cgroups, mountinfo)
    if "MemAvailable" in machine:
        rooms.append(Room("this machine", machine.get("MemTotal", 0), machine["MemAvailable"]))
    return rooms


def process_rooms(cgroups: str, mountinfo: str) -> list[Room]:
    """How many processes and threads the control groups still allow."""
    return _rooms(_PIDS, cgroups, mountinfo)


def parse_meminfo(text: str) -> dict[str, int]:
    """The figures of ``/proc/meminfo`` in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if value.strip().endswith("kB"):
            found[name] = int(value.split()[0]) * _KIB
    return found


def _rooms(kind: _Kind, cgroups: str, mountinfo: str) -> list[Room]:
    groups = groups_over(kind.controller, cgroups, mountinfo)
    return [room for version, path in groups for room in _levels(kind, version, path)]


def _levels(kind: _Kind, version: int, path: Path) -> Iterator[Room]:
    """The limits of one control group that are set."""
    used = number_in(path / kind.usage[version])
    if used is None:
        return
    for file in kind.limits[version]:
        limit = limit_in(path / file)
        if limit is not None:
            spare = _statistic(path, kind.reclaimable[version]) if kind.reclaimable else 0
            yield Room(f"the control group {path} ({file})", limit, max(0, limit - used + spare))


def _statistic(path: Path, name: str) -> int:
    try:
        lines = (path / "memory.stat").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)


def go_first() -> None:
    """When memory runs out, the system ends this process before any other."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
