"""What is left of the dashboard in a very small terminal."""

from __future__ import annotations

from memtui.model.state import State
from memtui.model.units import format_bytes
from memtui.tui.presenters.growth import suspect
from memtui.tui.presenters.line import Line, Span, fit, line
from memtui.tui.presenters.memory import growth_rate
from memtui.tui.presenters.process import standing_alerts
from memtui.tui.presenters.text import clean


def summary(state: State, width: int, height: int, quit_key: str) -> tuple[Line, ...]:
    """RSS, slope and suspect, then the size message; the key to quit always stays."""
    sample = state.series.last
    rss = format_bytes(sample.rss_bytes) if sample else "–"
    head = line(Span("RSS ", "title"), Span(rss, "strong"), Span(f"  pid {state.target.pid}", "dim"))
    trend = growth_rate(state) if not state.ending else line(Span(f"ENDED {clean(state.ending.text)}", "bad"))
    leave = line(Span(quit_key, "key"), Span(" Quit", "dim"))
    size = line(Span(f"{width}x{height}, needs 40x10", "warn"))
    alert = line(*standing_alerts(state))
    lines = [head, *([alert] if alert else []), trend, suspect(state, width), size][: max(0, height - 1)]
    return tuple(fit(one, width) for one in (*lines, leave))
