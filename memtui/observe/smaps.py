"""What the memory of a process consists of: ``/proc/PID/smaps_rollup`` and ``/proc/PID/smaps``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memtui.observe.access import read_proc

CLASSES = ("heap", "anonymous", "stack", "file", "shared", "special")
"""Kinds of memory. ``heap`` is the C allocator's main heap, ``anonymous`` everything else without a file (Python's
arenas among it), ``file`` programs and libraries, ``shared`` memory that other processes may write, too."""

_KIB = 1024
_SHARED_PATHS = ("/dev/shm/", "/memfd:", "/SYSV", "/dev/zero")


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory in bytes. USS is what only this process has; in PSS shared pages count by this process's share."""

    rss_bytes: int = 0
    pss_bytes: int = 0
    uss_bytes: int = 0
    swap_bytes: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.rss_bytes + other.rss_bytes,
            self.pss_bytes + other.pss_bytes,
            self.uss_bytes + other.uss_bytes,
            self.swap_bytes + other.swap_bytes,
        )


_FIELDS = {
    b"Rss:": "rss_bytes",
    b"Pss:": "pss_bytes",
    b"Private_Clean:": "uss_bytes",
    b"Private_Dirty:": "uss_bytes",
    b"Private_Hugetlb:": "uss_bytes",
    b"Swap:": "swap_bytes",
}


def parse_rollup(text: bytes) -> Usage:
    """The sums in the format of ``/proc/PID/smaps_rollup``."""
    usage = Usage()
    for line in text.splitlines():
        usage = _with_line(usage, line.split())
    return usage


def read_classes(pid: int) -> dict[str, Usage]:
    """The memory of ``pid`` by kind, in the order of ``CLASSES``.

    Takes about a microsecond per mapped page of memory. Raises :class:`TargetDiedError` or :class:`RefusedError`.
    """
    return parse_classes(read_proc(pid, "smaps", "memory classes"))


def parse_classes(text: bytes) -> dict[str, Usage]:
    """The memory by kind of a text in the format of ``/proc/PID/smaps``."""
    classes = dict.fromkeys(CLASSES, Usage())
    kind = "special"
    for line in text.splitlines():
        fields = line.split(None, 5)
        if not fields[0].endswith(b":"):
            kind = _kind(fields[1].decode(), fields[5].decode(errors="replace") if len(fields) > 5 else "")
        else:
            classes[kind] = _with_line(classes[kind], fields)
    return classes


def _with_line(usage: Usage, fields: list[bytes]) -> Usage:
    name = _FIELDS.get(fields[0])
    if name is None:
        return usage
    return replace(usage, **{name: getattr(usage, name) + int(fields[1]) * _KIB})


def _kind(permissions: str, path: str) -> str:
    if permissions.endswith("s") or path.startswith(_SHARED_PATHS):
        return "shared"
    if path.startswith("/"):
        return "file"
    if path == "[heap]":
        return "heap"
    if path.startswith("[stack"):
        return "stack"
    return "anonymous" if not path or path.startswith("[anon") else "special"
