"""report.json: one State as a dictionary that other programs read.

Every key is always there; what is not known is None. The keys and their meaning are those of ``schema.json``, which
is part of the package.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from memtui import __version__
from memtui.analysis.diagnosis.diagnose import Diagnosis, diagnose
from memtui.analysis.growth import Verdict, rss_growth
from memtui.model.state import State
from memtui.report import activity, heap
from memtui.report.cleanup import cleanup_facts
from memtui.report.cycles import cycles
from memtui.report.diagnosis import growth_of, suspects, verdict_of
from memtui.report.native import native_as_json
from memtui.report.times import iso

SCHEMA = "memtui.report/1"
_NATIVE_SITES = 10

_TRENDS: dict[Verdict, str | None] = {
    "too early": None,
    "growing": "growing",
    "steady": "stable",
    "shrinking": "shrinking",
}


def build_report(state: State, diagnosis: Diagnosis | None = None) -> dict[str, Any]:
    """The report of a State, as it is written to report.json; ``diagnosis``: the one of it, if it was made."""
    growth = rss_growth(state)
    diagnosis = diagnosis or diagnose(state)
    return {
        "schema": SCHEMA,
        "memtui": __version__,
        "target": _target(state),
        "observed": _observed(state),
        "memory": activity.memory(state, growth, _TRENDS[growth.verdict]),
        "gc": activity.garbage_collector(state),
        "verdict": verdict_of(diagnosis),
        "suspects": suspects(state, diagnosis),
        "growth": growth_of(diagnosis),
        "cycles": cycles(state),
        "native": _native(state),
        "types": heap.types(state),
        "allocations": heap.allocations(state),
        "processes": activity.processes(state, growth),
        "alerts": activity.alerts(state),
        "cleanups": [cleanup_facts(one) for one in state.cleanups],
        "samples": activity.samples(state),
        "cost": activity.cost(state),
        "snapshots": heap.snapshots(state),
        "events": [{"at_seconds": one.at_seconds, "kind": one.kind.value, "text": one.text} for one in state.events],
        "ending": _ending(state),
    }


def _native(state: State) -> dict[str, Any] | None:
    """The last native recording, with its largest call sites; None without one."""
    result = state.native
    if result is None:
        return None
    report = replace(result.report, sites=result.report.sites[:_NATIVE_SITES])
    return native_as_json(report, result.ended, result.file)


@cache
def load_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) that every report validates against."""
    schema: dict[str, Any] = json.loads((Path(__file__).parent / "schema.json").read_bytes())
    return schema


def _target(state: State) -> dict[str, Any]:
    target = state.target
    return {
        "pid": target.pid,
        "command": list(target.command),
        "python": target.python,
        "started_at": iso(target.started_at),
        "user": target.user,
        "launched": target.launched,
    }


def _observed(state: State) -> dict[str, Any]:
    tracing = state.tracing
    return {
        "started_at": iso(state.started_at),
        "seconds": round(state.now_seconds, 3),
        "samples": state.series.looks,
        "rung": state.rung.value,
        "tracemalloc": {
            "on": tracing.on if tracing else None,
            "frames": tracing.frames if tracing else None,
            "since_seconds": tracing.since_seconds if tracing else None,
            "found_on": tracing.found_on if tracing else None,
            "traced_bytes": tracing.traced_bytes if tracing else None,
            "peak_bytes": tracing.peak_bytes if tracing else None,
            "overhead_bytes": tracing.overhead_bytes if tracing else None,
            "slowdown_percent": tracing.slowdown_percent if tracing else None,
        },
    }


def _ending(state: State) -> dict[str, Any] | None:
    ending = state.ending
    if ending is None:
        return None
    return {
        "at_seconds": ending.at_seconds,
        "text": ending.text,
        "exit_code": ending.exit_code,
        "signal": ending.signal,
    }
