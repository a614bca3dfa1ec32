"""The memory limit that control groups, version 1 or 2, put over a process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_UNLIMITED_BYTES = 1 << 60
"""Version 1 writes "no limit" as a huge number."""


def smallest_limit(cgroups: str, mountinfo: str) -> int | None:
    """The smallest limit in bytes over a process; None without one.

    ``cgroups`` is the process's ``/proc/PID/cgroup``, ``mountinfo`` memtui's own ``/proc/self/mountinfo``. Groups
    above what is mounted here (outside of a container, seen from inside) are not known.
    """
    mounts = list(_mounts(mountinfo))
    limits = []
    for line in cgroups.splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        file = "memory.limit_in_bytes" if controllers else "memory.max"
        for is_version_1, root, mount in mounts:
            if is_version_1 == bool(controllers):
                limits += [limit for path in _groups(mount, root, group) if (limit := _limit(path / file))]
    return min(limits, default=None)


def _mounts(mountinfo: str) -> Iterator[tuple[bool, str, str]]:
    """Whether version 1, the group at its root, and the mount point, of each memory hierarchy."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split(None, 2)
        if kind == "cgroup2" or (kind == "cgroup" and "memory" in options.split(",")):
            yield kind == "cgroup", fields[3], fields[4]


def _groups(mount: str, root: str, group: str) -> Iterator[Path]:
    """The directories of a group and those above it, as far as they are mounted."""
    relative = os.path.relpath(group, root)
    path = PurePosixPath(mount) / ("" if relative.startswith("..") else relative)
    while path.is_relative_to(mount):
        yield Path(path)
        path = path.parent


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text("ascii").strip()
    except OSError:
        return None
    if not text.isdigit() or int(text) >= _UNLIMITED_BYTES:
        return None
    return int(text)
