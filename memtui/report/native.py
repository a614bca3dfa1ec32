"""A recording of native allocations as a JSON document and as text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from memtui.analysis.native import WHAT_IS_LISTED, site_details, site_name, total, who
from memtui.model.native import NativeLibrary, NativeReport, NativeSite
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.report.pictures import printable

SCHEMA = "memtui.native/1"
_ROWS_OF_LIBRARIES = 8


def native_as_json(report: NativeReport, ended: str | None, file: str | None) -> dict[str, Any]:
    """What ``memtui native --json`` prints. ``ended``: how the recording did, ``file``: where it is kept."""
    rows = asdict(report)
    for row in (*rows["sites"], *rows["libraries"]):
        row["kind"] = row["kind"].value
    return {"schema": SCHEMA, "file": file, "ended": ended, **rows, "note": WHAT_IS_LISTED}


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
    yield f"Not freed at the end: {total(report)}"
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
    yield WHAT_IS_LISTED


def _site_lines(rank: int, site: NativeSite) -> Iterator[str]:
    yield printable(f"{rank:>3}. {_amount(site.size_bytes, site.count).lstrip()}  {site_name(site)}")
    for told in site_details(site):
        yield printable(f"       {told}")


def _amount(size_bytes: int, count: int) -> str:
    return f"{format_bytes(size_bytes):>12}{format_count(count):>12}"


def _library_line(row: NativeLibrary) -> str:
    path = f"  ({row.library})" if row.extension else ""
    return printable(f"{_amount(row.size_bytes, row.count)}  {who(row.kind, row.extension)}{path}")
