"""Live memory figures and the one-row sparkline."""

from __future__ import annotations

from collections.abc import Sequence

from memtui.analysis.growth import rss_growth
from memtui.model.state import State
from memtui.model.units import format_bytes
from memtui.tui.presenters.line import Line, Span, fit, join_fitting, line

BLOCKS = "▁▂▃▄▅▆▇█"
_SIZE_WIDTH = 9


def figures(state: State, width: int) -> Line:
    """RSS and its growth, then USS, PSS, swap and the limit as far as there is room."""
    sample = state.series.last
    if sample is None:
        words = "it ended before the first look" if state.ending else "waiting for the first look at the process…"
        return fit(line(" ", Span(words, "dim")), width)
    parts = [
        line(" ", Span("RSS ", "title"), Span(format_bytes(sample.rss_bytes).ljust(_SIZE_WIDTH), "strong")),
        growth_rate(state),
        _figure("USS", sample.uss_bytes),
        _figure("PSS", sample.pss_bytes),
        _figure("swap", sample.swap_bytes),
        _figure("limit", state.memory_limit_bytes) if state.memory_limit_bytes is not None else (),
    ]
    return join_fitting(parts, width - 1, "   ")


def growth_rate(state: State) -> Line:
    """Growth of RSS per minute with its sign and word."""
    growth = rss_growth(state)
    if growth.bytes_per_second is None:
        return line(Span(growth.verdict, "dim"))
    role = "grow" if growth.verdict == "growing" else "shrink" if growth.verdict == "shrinking" else "dim"
    per_minute = format_bytes(growth.bytes_per_second * 60, sign=True)
    return line(Span(f"{per_minute}/min {growth.verdict}", role))


def sparkline(state: State, width: int) -> Line:
    """RSS of the last looks, one column a look, and the range they span."""
    values = [sample.rss_bytes for sample in state.series.samples[-max(1, width) :]]
    if not values:
        return ()
    label = _range(values)
    room = width - len(label) - 3
    if room < 10:
        label, room = "", width - 2
    if room < 1:
        return ()
    return line(" ", Span(blocks(values[-room:]).rjust(room), "accent"), Span(f" {label}" if label else "", "dim"))


def blocks(values: Sequence[int]) -> str:
    """One block character a value, scaled between the smallest and the largest."""
    low, high = min(values), max(values)
    if low == high:
        return BLOCKS[0] * len(values)
    return "".join(BLOCKS[round((value - low) * (len(BLOCKS) - 1) / (high - low))] for value in values)


def _range(values: Sequence[int]) -> str:
    return f"{format_bytes(min(values))} to {format_bytes(max(values))}"


def _figure(name: str, value: int | None) -> Line:
    return line(Span(f"{name} ", "dim"), format_bytes(value))
