"""What memory may run into, and when it will at the present speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that ends growth: its name for people, and the bytes that are left until then (0 when reached)."""

    name: str
    room_bytes: int


def limits(
    *,
    rss_bytes: int,
    max_rss_bytes: int | None = None,
    cgroup_limit_bytes: int | None = None,
    cgroup_used_bytes: int | None = None,
    address_space_limit_bytes: int | None = None,
    address_space_bytes: int | None = None,
    available_bytes: int | None = None,
) -> tuple[Limit, ...]:
    """The limits that are known, from plain numbers; None for what is not known or not limited.

    A cgroup counts all its processes, so its own use is subtracted when it is known, else that of the process.
    ``address_space_…`` is RLIMIT_AS with the virtual size, ``available_bytes`` is MemAvailable of /proc/meminfo.
    """
    pairs = (
        ("--max-rss", max_rss_bytes, rss_bytes),
        ("the cgroup's limit", cgroup_limit_bytes, rss_bytes if cgroup_used_bytes is None else cgroup_used_bytes),
        ("RLIMIT_AS", address_space_limit_bytes, address_space_bytes),
        ("the machine's free memory", available_bytes, 0),
    )
    return tuple(
        Limit(name, max(0, limit - used)) for name, limit, used in pairs if limit is not None and used is not None
    )


def nearest(known: Sequence[Limit], growth_bytes_per_minute: float | None) -> tuple[Limit, float] | None:
    """The limit that is reached first and in how many seconds; None without a limit or without growth."""
    if not known or growth_bytes_per_minute is None or growth_bytes_per_minute <= 0:
        return None
    first = min(known, key=lambda one: one.room_bytes)
    return first, 60.0 * first.room_bytes / growth_bytes_per_minute
