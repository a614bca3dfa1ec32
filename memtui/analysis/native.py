"""What a recording of native allocations says, in words. Text of the target is in it as it came: clean it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from memtui.model.native import NativeFrame, NativeKind, NativeReport, NativeSite
from memtui.model.units import format_bytes, format_count

WHAT_IS_LISTED = (
    "What is listed was allocated after the recording began and not freed before it ended. Caches and what was "
    "just being used look the same as leaks: record again for longer, and see what grows with the time."
)
_WHO = {
    NativeKind.PYTHON: "Python itself",
    NativeKind.ARENA: "Python's arenas for small objects",
    NativeKind.UNKNOWN: "unknown code",
}
_PYTHON_FRAMES = 3
_MOST_CALLERS = 4


def who(kind: NativeKind, extension: str | None) -> str:
    """Who allocated: the extension or library, else a word for it."""
    return extension or _WHO.get(kind, _WHO[NativeKind.UNKNOWN])


def function_name(frame: NativeFrame) -> str:
    """The function's name; where that was stripped, its place in the library's file."""
    if frame.function:
        return frame.function
    return "?" if frame.address is None else f"+{frame.address:#x} (no symbols)"


def site_name(site: NativeSite) -> str:
    """``multidict._multidict: pair_list_add``."""
    return f"{who(site.kind, site.extension)}: {function_name(site.frame)}"


def python_place(site: NativeSite, *, short: bool = False) -> str | None:
    """The innermost Python frame, as ``take (/srv/app.py:17)``; None where there is none. ``short``: no directory."""
    if not site.python:
        return None
    frame = site.python[0]
    return _python(replace(frame, file=os.path.basename(frame.file or "")) if short else frame)


def site_details(site: NativeSite) -> Iterator[str]:
    """Where it is, what it was called through and within, and the Python frames: a line each."""
    if site.frame.file:
        yield f"at      {place(site.frame)}"
    inner = site.native[: site.native.index(site.frame)] if site.frame in site.native else ()
    if site.kind is NativeKind.EXTENSION and inner and inner[0].function:
        yield f"through {inner[0].function} ({os.path.basename(inner[0].library or '')})"
    callers = [one.function for one in _callers(site) if one.function]
    if callers:
        yield f"within  {' < '.join(callers[:_MOST_CALLERS])}"
    if site.library and site.kind is NativeKind.EXTENSION:
        yield f"library {site.library}"
    if site.python:
        yield f"Python  {' < '.join(map(_python, site.python[:_PYTHON_FRAMES]))}"


def total(report: NativeReport) -> str:
    """``12.3 MiB in 3,000 allocations``: what was not freed."""
    return f"{format_bytes(report.size_bytes)} in {format_count(report.count)} allocations"


def place(frame: NativeFrame) -> str:
    """File and, where it is known, line."""
    return f"{frame.file}:{frame.line}" if frame.line else f"{frame.file}"


def _python(frame: NativeFrame) -> str:
    return f"{frame.function} ({place(frame)})"


def _callers(site: NativeSite) -> list[NativeFrame]:
    """The frames of the same library that called the blamed one."""
    same = [one for one in site.native if one.library == site.library]
    return same[same.index(site.frame) + 1 :] if site.frame in same else []
