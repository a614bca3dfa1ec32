"""One look at a process, or a short watch, as JSON and as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memtui.analysis.alerts import crossed, measure, worst
from memtui.analysis.detect import rolling_trend
from memtui.analysis.trend import theil_sen
from memtui.heap.scanner import COVERS, TypeScan
from memtui.model.alert import Threshold
from memtui.model.allocation import TypeCount
from memtui.model.gc import GcState
from memtui.model.state import State
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.observe.smaps import Usage
from memtui.report.build import build_report
from memtui.report.pictures import printable

_CHILDREN_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the memory is compared with: an RSS, and where that is from."""

    rss_bytes: int
    source: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What was seen. ``classes``, ``open_files``: None where they may not be seen.

    ``scan``: None when types were not asked for or cannot be counted (then the state's note says why).
    ``window_seconds``: the trend is that of so long before the last look.
    """

    state: State
    classes: Mapping[str, Usage] | None = None
    open_files: int | None = None
    children: tuple[int, ...] = ()
    rules: tuple[Threshold, ...] = ()
    baseline: Baseline | None = None
    window_seconds: float = 300.0
    scan: TypeScan | None = None

    @property
    def status(self) -> str:
        """``critical``, ``warning`` or ``ok``: the worst threshold that is crossed by the last look."""
        return worst(crossed(self.state, self.rules)) or "ok"

    @property
    def status_reason(self) -> str:
        """What is crossed; how many are not, where none is."""
        found = crossed(self.state, self.rules)
        if found:
            return "; ".join(one.text for one in found)
        count = len(self.rules)
        kept = "no threshold is set" if not count else f"{count} threshold{'s are' if count > 1 else ' is'} kept"
        share = measure(self.state, {"limit"})["limit"] if self.state.series.last else None
        return kept + ("; no memory limit is set" if share is None else f"; RSS is {share:.0f} % of the limit")

    @property
    def growth_bytes(self) -> int | None:
        """RSS of the last look less the baseline."""
        last = self.state.series.last
        return None if last is None or self.baseline is None else last.rss_bytes - self.baseline.rss_bytes

    @property
    def growth_percent(self) -> float | None:
        """The same in percent of the baseline."""
        change = self.growth_bytes
        if change is None or self.baseline is None or not self.baseline.rss_bytes:
            return None
        return round(100 * change / self.baseline.rss_bytes, 2)


def profile_as_json(profile: Profile) -> dict[str, Any]:
    """The report, and what only a profile has."""
    state = profile.state
    report = build_report(state)
    # One look shows no growth, which is not the same as none.
    report["memory"] |= {"growth_bytes": profile.growth_bytes, "growth_percent": profile.growth_percent}
    return report | {
        "status": profile.status,
        "status_reason": profile.status_reason,
        "profile": {
            "note": state.note or None,
            "threads": state.threads,
            "open_files": profile.open_files,
            "children": list(profile.children),
            "tree_rss_bytes": sum(one.rss_bytes for one in state.processes) if state.processes else None,
            "baseline": asdict(profile.baseline) if profile.baseline else None,
            "trend": _trend(profile),
            "thresholds": _thresholds(profile),
            "classes": {kind: asdict(usage) for kind, usage in profile.classes.items()} if profile.classes else None,
            "type_scan": _scan_as_json(profile.scan) if profile.scan else None,
        },
    }


def profile_as_text(profile: Profile) -> Iterator[str]:
    """The lines that a person reads."""
    state, target = profile.state, profile.state.target
    now = state.started_at + state.now_seconds
    uptime = now - target.started_at if target.started_at is not None else None
    yield f"Process {target.pid}: {printable(shlex.join(target.command))}"
    yield f"Python {target.python or '–'}, user {target.user or '–'}, up {format_seconds(uptime)}"
    yield f"Status: {profile.status} ({profile.status_reason})"
    if state.ending is not None:
        yield f"Ended: {state.ending.text}"
    if state.note:
        yield f"Note: {state.note}"
    yield ""
    yield from _memory_lines(profile)
    yield from _growth_lines(profile)
    yield ""
    threads, files = format_count(state.threads), format_count(profile.open_files)
    yield f"Threads {threads}, open files {files}, children {len(profile.children)}"
    yield from _children_lines(profile)
    yield ""
    yield from _gc_lines(state.gc)
    if profile.scan is not None:
        yield ""
        yield from _type_lines(profile.scan, state.snapshots[-1].types)


def _trend(profile: Profile) -> dict[str, Any]:
    points = [(one.at_seconds, float(one.rss_bytes)) for one in profile.state.series]
    end = points[-1][0] if points else 0.0
    recent = [point for point in points if point[0] >= end - profile.window_seconds]
    direction = rolling_trend(points, window_seconds=profile.window_seconds)
    slope = theil_sen(*zip(*recent, strict=True)) if direction is not None else None
    return {
        "direction": direction,
        "bytes_per_minute": None if slope is None else round(60 * slope, 1),
        "window_seconds": round(end - recent[0][0], 3) if direction is not None else None,
        "looks": len(recent),
    }


def _thresholds(profile: Profile) -> list[dict[str, Any]]:
    state = profile.state
    values = measure(state, {one.metric for one in profile.rules}) if state.series.last else {}
    return [
        {
            "level": rule.level,
            "rule": rule.rule,
            "value": _finite(values.get(rule.metric)),
            "crossed": None if (value := values.get(rule.metric)) is None else rule.crossed_by(value),
        }
        for rule in profile.rules
    ]


def _finite(value: float | None) -> float | None:
    """A time to the limit without growth is endless, which JSON cannot say."""
    return None if value is None or value == float("inf") else round(value, 3)


def _scan_as_json(scan: TypeScan) -> dict[str, Any]:
    return {
        "covers": COVERS,
        "objects": scan.objects,
        "bytes_read": scan.bytes_read,
        "swapped_bytes": scan.swapped_bytes,
        "seconds": round(scan.seconds, 3),
        "cpu_seconds": round(scan.cpu_seconds, 3),
    }


def _memory_lines(profile: Profile) -> Iterator[str]:
    sample = profile.state.series.last
    assert sample is not None
    yield f"{'Memory':<12}{'RSS':>12}{'PSS':>12}{'USS':>12}{'swap':>12}"
    for kind, usage in (profile.classes or {}).items():
        if usage != Usage():
            yield _memory_line(kind, usage.rss_bytes, usage.pss_bytes, usage.uss_bytes, usage.swap_bytes)
    yield _memory_line("total", sample.rss_bytes, sample.pss_bytes, sample.uss_bytes, sample.swap_bytes)


def _memory_line(name: str, *sizes: int | None) -> str:
    return f"{'  ' + name:<12}" + "".join(f"{format_bytes(size):>12}" for size in sizes)


def _growth_lines(profile: Profile) -> Iterator[str]:
    baseline, trend = profile.baseline, _trend(profile)
    if baseline is None:
        yield "Growth: – (one look shows none: watch with --for 30s, or compare with --baseline FILE)"
    else:
        percent = f" ({profile.growth_percent:+.1f} %)" if profile.growth_percent is not None else ""
        change = f"{format_bytes(profile.growth_bytes, sign=True)}{percent}"
        yield f"Growth: {change} against the {format_bytes(baseline.rss_bytes)} of {printable(baseline.source)}"
    if trend["direction"] is not None:
        speed = format_bytes(trend["bytes_per_minute"], sign=True)
        yield f"Trend: {trend['direction']}, {speed}/min over the last {format_seconds(trend['window_seconds'])}"
    elif len(profile.state.series) > 1:
        yield f"Trend: – (needs 10 looks; there were {trend['looks']})"
    for alert in profile.state.alerts if len(profile.state.series) > 1 else ():
        yield f"Alert: {alert.level} at {format_seconds(alert.at_seconds)}, {alert.text}"


def _children_lines(profile: Profile) -> Iterator[str]:
    """Descendants, the largest first, and what the tree holds together."""
    state = profile.state
    below = [one for one in state.processes if one.pid != state.target.pid]
    if not below:
        return
    for one in sorted(below, key=lambda child: -child.rss_bytes)[:_CHILDREN_SHOWN]:
        parent = "" if one.parent == state.target.pid else f", child of {one.parent}"
        yield f"{one.pid:>12}{format_bytes(one.rss_bytes):>12}  {one.status}{parent}"
    if len(below) > _CHILDREN_SHOWN:
        yield f"{'':>12}{'':>12}  and {len(below) - _CHILDREN_SHOWN} more"
    together = format_bytes(sum(one.rss_bytes for one in state.processes))
    yield f"{'all':>12}{together:>12}  with process {state.target.pid}"


def _gc_lines(gc: GcState | None) -> Iterator[str]:
    if gc is None:
        yield "Garbage collector: not known (see the note)"
        return
    survivors = f"{format_count(gc.objects)} objects survived or await a full collection"
    yield f"Garbage collector: {'enabled' if gc.enabled else 'DISABLED'}, {survivors}"
    columns = ("count", "threshold", "collections", "collected")
    yield f"{'  generation':<12}" + "".join(f"{name:>12}" for name in columns) + f"{'uncollectable':>15}"
    for number, one in enumerate(gc.generations):
        yield (
            f"{number:>12}{one.count:>12,}{one.threshold:>12,}{one.collections:>12,}"
            f"{one.collected:>12,}{one.uncollectable:>15,}"
        )


def _type_lines(scan: TypeScan, shown: Sequence[TypeCount]) -> Iterator[str]:
    yield f"Types, most numerous first ({COVERS})"
    yield from (f"{one.count:>12,}  {printable(one.type)}" for one in shown)
    took = f"{format_bytes(scan.bytes_read)} in {format_seconds(scan.seconds)}"
    yield f"{scan.objects:>12,}  in all, by scanning {took}"
    if scan.swapped_bytes:
        yield f"Not counted: objects in {format_bytes(scan.swapped_bytes)} that are swapped out"
