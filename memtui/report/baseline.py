"""Reading an earlier report.json, to compare with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from memtui.analysis.soak import Rate, rate_of
from memtui.errors import UsageError

_Taken = TypeVar("_Taken")
_MOST_BYTES = 64 * 1024 * 1024


def read_baseline(path: Path) -> Rate | None:
    """The growth rate of the run that an earlier report tells of; None when that had too few looks.

    A report of another command than soak has no rate in it: then it is that of its samples. Raises UsageError when
    the file cannot be read or is no report.
    """
    return _taken_from(path, _rate)


def read_baseline_rss(path: Path) -> int:
    """The last RSS in bytes that an earlier report tells of. Raises UsageError as :func:`read_baseline` does."""
    return _taken_from(path, _last_rss)


def _taken_from(path: Path, take: Callable[[dict[str, Any]], _Taken]) -> _Taken:
    what = f"The baseline {path} cannot be used."
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(what, why="It is far too large for a report.")
        report = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(what, why=f"{error.strerror}.") from error
    except ValueError as error:
        raise UsageError(what, why="It is no JSON.", next_step="Give a file that --report wrote.") from error
    try:
        if report["schema"] != "memtui.report/1":
            raise ValueError("another schema")
        return take(report)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            what, why="It is no report of memtui.", next_step="Give a file that --report wrote."
        ) from error


def _rate(report: dict[str, Any]) -> Rate | None:
    soak = report.get("soak")
    if soak is None:
        return rate_of([(float(one["at_seconds"]), float(one["rss_bytes"])) for one in report["samples"]])
    known = soak["rate"]
    if known is None:
        return None
    names = ("bytes_per_second", "error_bytes_per_second", "seconds", "level_bytes")
    return Rate(*(float(known[name]) for name in names))


def _last_rss(report: dict[str, Any]) -> int:
    return int(report["memory"]["rss_bytes"]["last"])
