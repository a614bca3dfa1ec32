"""The parts of the report that come from looking at the process: memory, collector, samples, cost."""

from __future__ import annotations

from typing import Any

from memtui.analysis.growth import Growth
from memtui.model.sample import Summary
from memtui.model.state import State
from memtui.model.target import ProcessFacts


def memory(state: State, growth: Growth, trend: str | None) -> dict[str, Any]:
    """Summaries over all looks, and the growth of RSS."""
    series = state.series
    rss = series.rss
    change = rss.last - rss.first if rss else None
    return {
        "rss_bytes": _summary(series.rss),
        "uss_bytes": _summary(series.uss),
        "pss_bytes": _summary(series.pss),
        "swap_bytes": _summary(series.swap),
        "limit_bytes": state.memory_limit_bytes,
        "growth_bytes": change,
        "growth_percent": round(100 * change / rss.first, 2) if rss and change is not None and rss.first else None,
        "growth_bytes_per_second": _rounded(growth.bytes_per_second),
        "trend": trend,
    }


def garbage_collector(state: State) -> dict[str, Any]:
    """Generations as last seen, and the pauses the agent timed."""
    gc, pauses = state.gc, state.pauses
    generations = gc.generations if gc else ()
    return {
        "enabled": gc.enabled if gc else None,
        "generations": [
            {
                "count": one.count,
                "threshold": one.threshold,
                "collections": one.collections,
                "collected": one.collected,
                "uncollectable": one.uncollectable,
            }
            for one in generations
        ],
        "objects": gc.objects if gc else None,
        "pauses_seconds": {
            "count": pauses.count if pauses else None,
            "total": pauses.total_seconds if pauses else None,
            "max": pauses.max_seconds if pauses else None,
        },
    }


def processes(state: State, growth: Growth) -> list[dict[str, Any]]:
    """The watched process first, then its descendants. PSS and growth are known of the watched one only."""
    last = state.series.last
    seen = {one.pid: one for one in state.processes}
    own = seen.pop(state.target.pid, None)
    status = own.status if own else None
    first = {
        "pid": state.target.pid,
        "parent": own.parent if own else None,
        "status": status if state.ending is None else "ended",
        "rss_bytes": last.rss_bytes if last else None,
        "pss_bytes": last.pss_bytes if last else None,
        "growth_bytes_per_second": _rounded(growth.bytes_per_second),
    }
    return [first, *(_descendant(one) for one in seen.values())]


def _descendant(one: ProcessFacts) -> dict[str, Any]:
    return {
        "pid": one.pid,
        "parent": one.parent,
        "status": one.status,
        "rss_bytes": one.rss_bytes,
        "pss_bytes": None,
        "growth_bytes_per_second": None,
    }


def alerts(state: State) -> list[dict[str, Any]]:
    """Thresholds that were crossed, oldest first."""
    return [
        {
            "at_seconds": round(one.at_seconds, 3),
            "level": one.level,
            "rule": one.rule,
            "value": round(one.value, 3),
            "until_seconds": None if one.until_seconds is None else round(one.until_seconds, 3),
        }
        for one in state.alerts
    ]


def samples(state: State) -> list[dict[str, Any]]:
    """The looks that are kept (the series is bounded), oldest first."""
    return [
        {
            "at_seconds": round(one.at_seconds, 3),
            "rss_bytes": one.rss_bytes,
            "uss_bytes": one.uss_bytes,
            "pss_bytes": one.pss_bytes,
            "swap_bytes": one.swap_bytes,
            "gc_counts": list(one.gc_counts) if one.gc_counts is not None else None,
            "gc_objects": one.gc_objects,
            "traced_bytes": one.traced_bytes,
        }
        for one in state.series
    ]


def cost(state: State) -> dict[str, Any]:
    """What memtui cost the target and the machine, as measured."""
    return {
        "target_cpu_seconds": state.cost.target_cpu_seconds,
        "target_longest_pause_seconds": state.cost.target_longest_pause_seconds,
        "target_bytes": state.cost.target_bytes,
        "tool_cpu_seconds": state.cost.tool_cpu_seconds,
        "pictures_cpu_seconds": state.cost.pictures_cpu_seconds,
        "pictures_stop_seconds": state.cost.pictures_stop_seconds,
        "pictures_page_faults": state.cost.pictures_page_faults,
    }


def _summary(summary: Summary | None) -> dict[str, Any]:
    if summary is None:
        return dict.fromkeys(("first", "last", "min", "max", "mean"))
    return {
        "first": summary.first,
        "last": summary.last,
        "min": summary.min,
        "max": summary.max,
        "mean": round(summary.mean, 1),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
