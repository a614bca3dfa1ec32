"""A soak test as a part of report.json, and as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from memtui.analysis.soak import SoakResult
from memtui.model.state import State
from memtui.model.units import format_bytes, format_seconds
from memtui.report.alerts import alerts_in_words
from memtui.report.build import build_report
from memtui.report.cleanup import cleanups_in_words
from memtui.report.diagnosis import suspect_lines, wrapped
from memtui.report.pictures import printable

_WORDS = {None: "unknown", True: "FAILED", False: "passed"}
_BARS = "▁▂▃▄▅▆▇█"
_SPARKS = 60


@dataclass(frozen=True, slots=True)
class SoakReport:
    """One soak test from outside: its last State, what it found, and how it ended.

    ``outcome``: "passed", "failed", "died" (the target did) or "interrupted". ``obstacle``: why the heap was not
    looked into. ``recording`` and ``snapshot`` are paths of files, None when there is none.
    """

    state: State
    result: SoakResult
    outcome: str
    exit_code: int
    obstacle: str = ""
    recording: str | None = None
    snapshot: str | None = None


def soak_report(soak: SoakReport) -> dict[str, Any]:
    """report.json with its part ``soak``."""
    report = build_report(soak.state, soak.result.diagnosis)
    if soak.obstacle:
        report["verdict"]["reasons"].append(f"The heap was not looked into: {soak.obstacle}")
    result, plan = soak.result, soak.result.plan
    growth = result.growth
    report["soak"] = {
        "outcome": soak.outcome,
        "exit_code": soak.exit_code,
        "planned_seconds": plan.seconds,
        "warm_up_seconds": round(result.warm_up_seconds, 3),
        "fail_on": plan.fail_on,
        "growth_bytes": growth.bytes if growth else None,
        "growth_percent": round(growth.percent, 3) if growth and growth.percent is not None else None,
        "rate": asdict(result.rate) if result.rate else None,
        "checks": [asdict(one) for one in result.checks],
        "baseline": asdict(result.comparison) if result.comparison else None,
        "recording": soak.recording,
        "snapshot": soak.snapshot,
    }
    return report


def soak_as_text(soak: SoakReport) -> Iterator[str]:
    """The lines for people."""
    target, result = soak.state.target, soak.result
    verdict = result.diagnosis.verdict
    yield f"Process {target.pid}: {printable(shlex.join(target.command))}"
    yield f"Soak test {headline(soak)}"
    yield f"Verdict: {verdict.state} (confidence {verdict.confidence:.0%}, rule {verdict.rule})"
    for reason in verdict.reasons:
        yield from wrapped(printable(reason), "  ")
    if soak.obstacle:
        yield from wrapped(f"The heap was not looked into: {printable(soak.obstacle)}", "  ")
    yield ""
    yield from (f"  {name + ':':<12} {value}" for name, value in figures(soak))
    yield ""
    for check in result.checks:
        yield from wrapped(f"{_WORDS[check.broken]:<8}{check.name}: {printable(check.text)}", "  ")
    if verdict.pressure is not None:
        yield from wrapped(printable(verdict.pressure.reason), "  ")
    if result.diagnosis.suspects and not result.broken:
        yield ""
        yield "What grew most between the heap pictures, which does not make it a leak:"
    yield from suspect_lines(result.diagnosis)


def headline(soak: SoakReport) -> str:
    """The outcome in a few words."""
    seen, planned = format_seconds(soak.state.now_seconds), format_seconds(soak.result.plan.seconds)
    unsure = " (inconclusive)" if soak.result.diagnosis.verdict.state == "inconclusive" else ""
    ending = soak.state.ending
    if soak.outcome == "died":
        return f"ended after {seen} of {planned}: {printable(ending.text) if ending else 'the target died'}"
    if soak.outcome == "interrupted":
        return f"interrupted after {seen} of {planned}{unsure}"
    if soak.outcome == "failed":
        return f"FAILED after {seen} of {planned}: {', '.join(one.name for one in soak.result.broken)}"
    early = f" of {planned}: the program came to its end by itself" if ending is not None else ""
    return f"passed{unsure} after {seen}{early}"


def figures(soak: SoakReport) -> Iterator[tuple[str, str]]:
    """Names and values, for any kind of table."""
    series, result = soak.state.series, soak.result
    rss = series.rss
    if rss is not None:
        yield "RSS", f"{format_bytes(rss.first)} → {format_bytes(rss.last)}, at most {format_bytes(rss.max)}"
        yield "curve", sparkline(soak)
    growth = result.growth
    if growth is not None:
        percent = "" if growth.percent is None else f" ({growth.percent:+.1f} %)"
        after = f" after {format_seconds(result.warm_up_seconds)} of warm-up" if result.warm_up_seconds else ""
        yield "growth", f"{format_bytes(growth.bytes, sign=True)}{percent}{after}"
    rate = result.rate
    if rate is not None:
        speed = format_bytes(60 * rate.bytes_per_second, sign=True)
        yield "rate", f"{speed} ± {format_bytes(60 * rate.error_bytes_per_second)} a minute"
    pauses = [one.picture.stop_seconds for one in soak.state.snapshots if one.picture and one.picture.stop_seconds]
    stops = f", {len(pauses)} heap pictures (stopped for {max(pauses) * 1000:.1f} ms at most)" if pauses else ""
    yield "looks", f"{series.looks}{stops}"
    yield from ((level, printable(text)) for level, text in alerts_in_words(soak.state))
    if soak.state.cleanups:
        yield "clean-ups", cleanups_in_words(soak.state.cleanups)
    if soak.snapshot is not None:
        yield "snapshot", soak.snapshot
    if soak.recording is not None:
        yield "recording", soak.recording


def sparkline(soak: SoakReport) -> str:
    """RSS over the soak in one line of bars, from its least to its most."""
    samples = tuple(soak.state.series)
    low, high = min(one.rss_bytes for one in samples), max(one.rss_bytes for one in samples)
    size = max(1, -(-len(samples) // _SPARKS))
    groups = [samples[start : start + size] for start in range(0, len(samples), size)]
    means = [sum(one.rss_bytes for one in group) / len(group) for group in groups]
    span = max(high - low, 1)
    return "".join(_BARS[min(len(_BARS) - 1, int(len(_BARS) * (mean - low) / span))] for mean in means)
