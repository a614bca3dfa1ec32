"""What a clean-up freed, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from memtui.model.cleanup import CleanupOutcome, CleanupStep
from memtui.model.target import Target
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.report.pictures import printable

SCHEMA = "memtui.cleanup/1"
_NAME = 34


def cleanup_as_json(outcome: CleanupOutcome, target: Target) -> dict[str, Any]:
    """The document of ``memtui cleanup --json``."""
    return {
        "schema": SCHEMA,
        "pid": target.pid,
        "command": list(target.command),
        "python": target.python,
        **cleanup_facts(outcome),
    }


def cleanup_facts(outcome: CleanupOutcome) -> dict[str, Any]:
    """One clean-up, as it stands in a report."""
    return {
        "at_seconds": outcome.at_seconds,
        "level": outcome.level,
        "rss_before_bytes": outcome.rss_before_bytes,
        "rss_after_bytes": outcome.rss_after_bytes,
        "freed_rss_bytes": outcome.freed_rss_bytes,
        "steps": [
            {
                "kind": one.kind,
                "name": one.name,
                "seconds": one.seconds,
                "freed_rss_bytes": one.freed_rss_bytes,
                "freed_blocks": one.freed_blocks,
                "objects": one.objects,
                "uncollectable": one.uncollectable,
                "error": one.error or None,
            }
            for one in outcome.steps
        ],
    }


def cleanup_as_text(outcome: CleanupOutcome, target: Target) -> list[str]:
    """A line a step, and the sum."""
    lines = [f"Clean-up of process {target.pid} ({printable(' '.join(target.command))[:60]})"]
    lines += [f"  {printable(line)}" for one in outcome.steps for line in _step(one)]
    before, after = format_bytes(outcome.rss_before_bytes), format_bytes(outcome.rss_after_bytes)
    lines.append(f"RSS {before} -> {after}: {_freed(outcome.freed_rss_bytes)}")
    if any(one.kind == "hook" for one in outcome.steps):
        lines.append("Hooks run in a thread of memtui's inside the process, beside the program's own threads.")
    return lines


def _step(step: CleanupStep) -> list[str]:
    name = f"hook {step.name}" if step.kind == "hook" else step.name
    stood_still = " of standing still" if step.kind == "gc" else ""
    facts = [f"{format_seconds(step.seconds)}{stood_still}", f"RSS {_change(step.freed_rss_bytes)}"]
    if step.objects is not None:
        facts.append(f"{format_count(step.objects)} objects freed")
    if step.uncollectable:
        facts.append(f"{format_count(step.uncollectable)} uncollectable")
    if step.freed_blocks is not None:
        facts.append(f"{format_count(-step.freed_blocks, sign=True)} memory blocks")
    lines = [f"{name:<{_NAME}} {', '.join(facts)}"]
    return [*lines, f"  {'failed' if step.kind == 'hook' else 'not done'}: {step.error}"] if step.error else lines


def _change(freed_bytes: int | None) -> str:
    return format_bytes(None if freed_bytes is None else -freed_bytes, sign=True)


def _freed(freed_bytes: int | None) -> str:
    if freed_bytes is None:
        return "what was freed is not known"
    if freed_bytes < 0:
        return f"{format_bytes(-freed_bytes)} more, as the program went on meanwhile"
    return f"{format_bytes(freed_bytes)} freed"


def cleanups_in_words(outcomes: Sequence[CleanupOutcome]) -> str:
    """How many there were, and what they freed in all: the growth that remains is what they could not free."""
    known = [one.freed_rss_bytes for one in outcomes if one.freed_rss_bytes is not None]
    failed = sum(bool(one.failed) for one in outcomes)
    freed = "" if not known else f", RSS {format_bytes(-sum(known), sign=True)} in all"
    return f"{format_count(len(outcomes))}{freed}{f', {failed} with steps that failed' if failed else ''}"
