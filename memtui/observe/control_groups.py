"""The directories of the control groups over a process, version 1 and 2, and the numbers in their files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_UNLIMITED = 1 << 60
"""Version 1 writes "no limit" as a huge number."""


def groups_over(controller: str, cgroups: str, mountinfo: str) -> Iterator[tuple[int, Path]]:
    """Version and directory of each group with a ``controller``, from the process's own upwards.

    ``cgroups`` is the process's ``/proc/PID/cgroup``, ``mountinfo`` memtui's own ``/proc/self/mountinfo``. Groups
    above what is mounted here (outside of a container, seen from inside) are not known.
    """
    mounts = list(_mounts(mountinfo, controller))
    for line in cgroups.splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        version = 1 if controllers else 2
        for mounted, root, mount in mounts:
            if mounted == version:
                yield from ((version, path) for path in _upwards(mount, root, group))


def number_in(file: Path) -> int | None:
    """The number in a file; None for "max", or without the file."""
    try:
        text = file.read_text("ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def limit_in(file: Path) -> int | None:
    """The limit in a file; None without one."""
    limit = number_in(file)
    return None if limit is None or limit >= _UNLIMITED else limit


def _mounts(mountinfo: str, controller: str) -> Iterator[tuple[int, str, str]]:
    """Version, the group at its root, and the mount point, of each hierarchy with the controller."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(), after.split(None, 2)
        if kind == "cgroup2":
            yield 2, fields[3], fields[4]
        elif kind == "cgroup" and controller in options.split(","):
            yield 1, fields[3], fields[4]


def _upwards(mount: str, root: str, group: str) -> Iterator[Path]:
    """The directories of a group and those above it, as far as they are mounted."""
    relative = os.path.relpath(group, root)
    path = PurePosixPath(mount) / ("" if relative.startswith("..") else relative)
    while path.is_relative_to(mount):
        yield Path(path)
        path = path.parent
