"""Alerts for people in a few words, and one as JSON: what a command gets on its stdin and a webhook is sent."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

from memtui.model.alert import LEVELS, METRICS, Alert
from memtui.model.state import State
from memtui.model.units import format_seconds
from memtui.report.times import iso

SCHEMA = "memtui.alert/1"


def alert_as_json(alert: Alert, state: State) -> bytes:
    """The alert with what is known of the process then; ``value`` is in ``unit``."""
    last, target = state.series.last, state.target
    metric = METRICS.get(alert.rule.replace("<", ">").partition(">")[0])
    document = {
        "schema": SCHEMA,
        "at": iso(state.started_at + alert.at_seconds),
        "at_seconds": round(alert.at_seconds, 3),
        "level": alert.level,
        "rule": alert.rule,
        "metric": metric.name if metric else None,
        "value": round(alert.value, 3),
        "unit": metric.unit if metric else None,
        "text": alert.text,
        "host": socket.gethostname(),
        "target": {"pid": target.pid, "command": list(target.command), "python": target.python, "user": target.user},
        "memory": {
            "rss_bytes": last.rss_bytes if last else None,
            "uss_bytes": last.uss_bytes if last else None,
            "limit_bytes": state.memory_limit_bytes,
        },
    }
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def alerts_in_words(state: State) -> Iterator[tuple[str, str]]:
    """For each level at which a threshold was crossed: its name, the first alert, and how many more there were."""
    for level in LEVELS:
        found = [one for one in state.alerts if one.level == level]
        if found:
            more = f", and {len(found) - 1} more" if len(found) > 1 else ""
            at = found[0].at_seconds
            when = f"after {format_seconds(at)}" if at >= 1 else "at the first look"
            yield level, f"{found[0].text} {when}{more}"
