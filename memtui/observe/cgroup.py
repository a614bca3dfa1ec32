"""The memory limit that control groups, version 1 or 2, put over a process."""

from __future__ import annotations

from memtui.observe.control_groups import groups_over, limit_in

_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}


def smallest_limit(cgroups: str, mountinfo: str) -> int | None:
    """The smallest limit in bytes over a process; None without one. See :func:`groups_over` for what is given."""
    groups = groups_over("memory", cgroups, mountinfo)
    return min((limit for version, path in groups if (limit := limit_in(path / _FILES[version]))), default=None)
