"""What is in a recording, found with memray's reader. Only for a process of its own: the file is foreign."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memtui.model.native import NativeFrame, NativeKind
from memtui.native.frames import NativeFrames, read_frames
from memtui.native.libraries import extension_name
from memtui.native.sites import Site, Sites

if TYPE_CHECKING:
    from memray import AllocationRecord, FileReader

_PYTHON_FRAMES = 5
_OWN_FILE = "<memtui-agent"
_UNKNOWN = "<unknown>"
_RECORDS_THAT_MATTER = 200
"""Stacks, the largest first, for which the libraries have to be known."""
_DUMP_SECONDS = 60.0


@dataclass(slots=True)
class _Group:
    site: Site
    size: int = 0
    count: int = 0
    largest: int = -1
    record: Any = None
    by_python: dict[Any, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, record: AllocationRecord, python: tuple[Any, ...]) -> None:
        self.size += record.size
        self.count += record.n_allocations
        self.by_python[python] += record.size
        if record.size > self.largest:
            self.largest, self.record = record.size, record


def check(path: str) -> None:
    """Raise OSError for what memray's reader does not take."""
    import memray

    memray.FileReader(path).close()


def analyse(path: str, root: str, limit: int, pass_fds: tuple[int, ...] = ()) -> dict[str, Any]:
    """The figures and the ``limit`` largest sites as plain values. Raises OSError for what is no recording."""
    import memray

    reader = memray.FileReader(path)
    try:
        return _analyse(reader, path, root, limit, pass_fds)
    finally:
        reader.close()


def _analyse(reader: FileReader, path: str, root: str, limit: int, pass_fds: tuple[int, ...]) -> dict[str, Any]:
    facts = reader.metadata
    has_native = facts.has_native_traces
    records = sorted(reader.get_leaked_allocation_records(merge_threads=True), key=lambda one: -one.size)
    needed = max((one.native_stack_id for one in records[:_RECORDS_THAT_MATTER]), default=0) if has_native else 0
    frames = read_frames(path, needed, _DUMP_SECONDS, pass_fds) if needed else NativeFrames()
    groups = _group(records, frames, Sites(frames, root))
    rows = sorted(groups, key=lambda one: -one.size)
    ended = facts.end_time > facts.start_time
    return {
        "pid": facts.pid,
        "command": facts.command_line,
        "started_at": facts.start_time.timestamp(),
        "seconds": (facts.end_time - facts.start_time).total_seconds() if ended else None,
        "allocations": facts.total_allocations,
        "peak_bytes": facts.peak_memory,
        "size_bytes": sum(one.size for one in rows),
        "count": sum(one.count for one in rows),
        "has_native_traces": has_native,
        "by_address": bool(needed) and len(frames.frames) >= needed,
        "site_count": len(rows),
        "sites": [_row(one) for one in rows[:limit]],
        "libraries": _by_library(rows)[:limit],
    }


def _group(records: list[AllocationRecord], frames: NativeFrames, sites: Sites) -> list[_Group]:
    import memray

    groups: dict[Any, _Group] = {}
    for record in records:
        python = tuple(record.stack_trace(_PYTHON_FRAMES))
        if any(file.startswith(_OWN_FILE) for _, file, _ in python):
            continue
        is_mapping = record.allocator == memray.AllocatorType.MMAP
        site = (
            sites.find(record.native_stack_id, is_mapping) if frames.has(record.native_stack_id) else _named(record)
        )
        key: Any = site.kind, site.library, site.frame.function or site.frame.address, is_mapping
        if site.kind in (NativeKind.PYTHON, NativeKind.UNKNOWN):
            key = *key, python[:1]
        groups.setdefault(key, _Group(site)).add(record, python)
    return list(groups.values())


def _named(record: AllocationRecord) -> Site:
    """What is known of a record whose addresses are not: the names that memray found."""
    names = [NativeFrame(function, file, line or None) for function, file, line in _native_stack(record)]
    shown = [one for one in names if one.function != _UNKNOWN] or [NativeFrame(None, None, None)]
    return Site(NativeKind.UNKNOWN, None, NativeFrame(shown[0].function, None, None), ())


def _native_stack(record: AllocationRecord) -> list[tuple[str, str, int]]:
    try:
        return record.native_stack_trace()
    except (OSError, NotImplementedError, RuntimeError):
        return []  # it was recorded without native stacks


def _row(group: _Group) -> dict[str, Any]:
    site = group.site
    known: dict[str, tuple[str, int]] = {}
    for function, file, line in _native_stack(group.record) if site.stack else ():
        if file != _UNKNOWN:
            known.setdefault(function, (file, line))
    python = max(group.by_python, key=lambda one: group.by_python[one])
    return {
        "kind": site.kind.value,
        "library": site.library,
        "extension": _extension(site),
        "frame": _frame(site.frame, known),
        "size_bytes": group.size,
        "count": group.count,
        "python": [{"function": function, "file": file, "line": line} for function, file, line in python],
        "native": [_frame(one, known) for one in site.stack],
    }


def _frame(frame: NativeFrame, known: dict[str, tuple[str, int]]) -> dict[str, Any]:
    file, line = known.get(_plain(frame.function), (None, None))
    function, line = _plain(frame.function) or None, line or None
    return {"function": function, "file": file, "line": line, "library": frame.library, "address": frame.address}


def _plain(function: str | None) -> str:
    """A C++ name as a person reads it, the way memray shows it."""
    if function is None or not function.startswith("_Z"):
        return (function or "").partition(".")[0]
    return _demangle(function)


def _demangle(name: str) -> str:
    import ctypes

    try:
        library = ctypes.CDLL("libstdc++.so.6")
    except OSError:
        return name
    library.__cxa_demangle.restype = ctypes.c_void_p
    status = ctypes.c_int()
    text = library.__cxa_demangle(os.fsencode(name), None, None, ctypes.byref(status))
    return ctypes.string_at(text).decode("utf-8", "replace") if text else name


def _by_library(groups: list[_Group]) -> list[dict[str, Any]]:
    sums: dict[tuple[NativeKind, str | None], list[int]] = defaultdict(lambda: [0, 0])
    for one in groups:
        row = sums[one.site.kind, one.site.library]
        row[0] += one.size
        row[1] += one.count
    rows = sorted(sums.items(), key=lambda one: -one[1][0])
    return [
        {
            "kind": kind.value,
            "library": library,
            "extension": extension_name(library) if library and kind is NativeKind.EXTENSION else None,
            "size_bytes": size,
            "count": count,
        }
        for (kind, library), (size, count) in rows
    ]


def _extension(site: Site) -> str | None:
    return extension_name(site.library) if site.library and site.kind is NativeKind.EXTENSION else None
