"""A recording of native allocations as a JSON document and as text."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from memtui.model.native import Frame, Kind, NativeLibrary, NativeReport, NativeSite
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.report.pictures import printable

SCHEMA = "memtui.native/1"
NOTE = (
    "What is listed was allocated after the recording began and not freed before it ended. Caches and what was "
    "just being used look the same as leaks: record again for longer, and see what grows with the time."
)
_WHO = {
    Kind.PYTHON: "Python itself",
    Kind.ARENA: "Python's arenas for small objects",
    Kind.UNKNOWN: "unknown code",
}
_PYTHON_FRAMES = 3
_ROWS_OF_LIBRARIES = 8


def native_as_json(report: NativeReport, ended: str | None, file: str | None) -> dict[str, Any]:
    """What ``memtui native --json`` prints. ``ended``: how the recording did, ``file``: where it is kept."""
    rows = asdict(report)
    for row in (*rows["sites"], *rows["libraries"]):
        row["kind"] = row["kind"].value
    return {"schema": SCHEMA, "file": file, "ended": ended, **rows, "note": NOTE}


@cache
def load_native_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that every document of :func:`native_as_json` validates against."""
    schema: dict[str, Any] = json.loads((Path(__file__).parent / "native_schema.json").read_bytes())
    return schema


def native_as_text(report: NativeReport) -> Iterator[str]:
    """The lines that a person reads."""
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(report.started_at))
    window = "" if report.seconds is None else f" for {format_seconds(report.seconds)}"
    yield f"Native allocations of process {report.pid}: {printable(report.command)}"
    yield f"Recorded from {began}{window}: {format_count(report.allocations)} allocations"
    if report.seconds is None:
        yield "The recording was cut off: its last part may be missing."
    yield f"Not freed at the end: {format_bytes(report.size_bytes)} in {format_count(report.count)} allocations"
    if not report.has_native_traces:
        yield "It was made without native stacks, so it does not tell which library allocated: memray run --native"
    elif not report.by_address and report.sites:
        yield "Of some of it the library is not known: the recording is too long to look through all of it."
    if not report.sites:
        return
    yield ""
    yield "By library"
    yield from map(_library_line, report.libraries[:_ROWS_OF_LIBRARIES])
    yield ""
    yield f"By call site, the largest {len(report.sites)} of {format_count(report.site_count)}"
    for rank, site in enumerate(report.sites, start=1):
        yield from _site_lines(rank, site)
    yield ""
    yield NOTE


def _library_line(row: NativeLibrary) -> str:
    return f"{_amount(row.size_bytes, row.count)}  {_who(row.kind, row.extension, row.library)}"


def _site_lines(rank: int, site: NativeSite) -> Iterator[str]:
    name = printable(site.extension) if site.extension else _WHO.get(site.kind, _WHO[Kind.UNKNOWN])
    yield f"{rank:>3}. {_amount(site.size_bytes, site.count).lstrip()}  {name}: {function_name(site.frame)}"
    if site.frame.file:
        yield f"       at      {_place(site.frame)}"
    inner = site.native[: site.native.index(site.frame)] if site.frame in site.native else ()
    if site.kind is Kind.EXTENSION and inner and inner[0].function:
        yield f"       through {printable(inner[0].function)} ({printable(os.path.basename(inner[0].library or ''))})"
    callers = [one for one in _callers(site) if one.function]
    if callers:
        yield f"       within  {printable(' < '.join(one.function or '' for one in callers[:4]))}"
    if site.library and site.kind is Kind.EXTENSION:
        yield f"       library {printable(site.library)}"
    if site.python:
        shown = (f"{one.function} ({_place(one)})" for one in site.python[:_PYTHON_FRAMES])
        yield f"       Python  {printable(' < '.join(shown))}"


def function_name(frame: Frame) -> str:
    """The function's name; where that was stripped, its place in the library's file."""
    if frame.function:
        return printable(frame.function)
    return "?" if frame.address is None else f"+{frame.address:#x} (no symbols)"


def _callers(site: NativeSite) -> list[Frame]:
    """The frames of the same library that called the blamed one."""
    same = [one for one in site.native if one.library == site.library]
    return same[same.index(site.frame) + 1 :] if site.frame in same else []


def _place(frame: Frame) -> str:
    return printable(f"{frame.file}:{frame.line}" if frame.line else f"{frame.file}")


def _amount(size_bytes: int, count: int) -> str:
    return f"{format_bytes(size_bytes):>12}{format_count(count):>12}"


def _who(kind: Kind, extension: str | None, library: str | None) -> str:
    if extension is None:
        return _WHO.get(kind, _WHO[Kind.UNKNOWN])
    return f"{printable(extension)}  ({printable(library or '')})"
