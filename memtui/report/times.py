"""Times as other programs read them."""

from __future__ import annotations

from datetime import datetime, timezone


def iso(seconds: float | None) -> str | None:
    """``2026-11-20T22:00:00Z`` for seconds since the epoch; None for an unknown time."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
