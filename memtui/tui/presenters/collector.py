"""The garbage collector: generations, whether it is on, and its pauses."""

from __future__ import annotations

from memtui.model.gc import GcPauses, Generation
from memtui.model.state import State
from memtui.model.target import Rung
from memtui.model.units import format_count, format_seconds
from memtui.tui.presenters.line import Line, Span, fit, join, line
from memtui.tui.presenters.text import pad

_COLUMNS = (("gen", 3), ("count/limit", 12), ("collections", 12), ("collected", 12), ("uncollectable", 13))


def gc_lines(state: State, width: int) -> tuple[Line, ...]:
    """The whole panel."""
    if state.gc is None:
        return (fit(_unknown(state), width), fit(_pauses(state), width))
    rows = [_row(index, one) for index, one in enumerate(state.gc.generations)]
    head = line(Span(" ".join(pad(name, size, "right") for name, size in _COLUMNS), "dim"))
    return tuple(fit(one, width) for one in (_switch(state), head, *rows, _pauses(state)))


def gc_line(state: State, width: int) -> Line:
    """The panel in one row."""
    if state.gc is None:
        return fit(line(" ", Span("gc ", "title"), *_unknown(state)), width)
    generations = [
        line(Span(f"{index}: ", "dim"), f"{one.count}/{one.threshold}", Span(f" ran {one.collections:,}", "dim"))
        for index, one in enumerate(state.gc.generations)
    ]
    return fit(join((line(" ", Span("gc ", "title"), *_on_or_off(state.gc.enabled)), *generations)), width)


def _switch(state: State) -> Line:
    assert state.gc is not None
    objects = state.gc.objects
    survivors = (
        () if objects is None else line(Span(f"   {format_count(objects)} objects survived or pending", "dim"))
    )
    return (*_on_or_off(state.gc.enabled), *survivors)


def _on_or_off(enabled: bool) -> Line:
    return line(Span("enabled", "good")) if enabled else line(Span("disabled", "warn"))


def _row(index: int, generation: Generation) -> Line:
    counted = f"{generation.count:,}/{generation.threshold:,}"
    cells = (
        str(index),
        counted,
        format_count(generation.collections),
        format_count(generation.collected),
        format_count(generation.uncollectable),
    )
    texts = [pad(cell, size, "right") for cell, (_, size) in zip(cells, _COLUMNS, strict=True)]
    return line(" ".join(texts[:-1]) + " ", Span(texts[-1], "warn" if generation.uncollectable else ""))


def _pauses(state: State) -> Line:
    pauses = state.pauses
    if pauses is None:
        reason = "the agent is not there" if state.ending else "needs the agent (a)"
        return line(Span("pauses  ", "dim"), Span(f"– {reason}", "dim"))
    return line(Span("pauses  ", "dim"), *_pause_figures(pauses))


def _pause_figures(pauses: GcPauses) -> Line:
    if not pauses.count:
        return line(Span("none since the agent came in", "dim"))
    return line(
        f"{pauses.count:,}", Span("  total ", "dim"), format_seconds(pauses.total_seconds),
        Span("  longest ", "dim"), format_seconds(pauses.max_seconds),
    )  # fmt: skip


def _unknown(state: State) -> Line:
    agent = state.rung in (Rung.AGENT, Rung.TRACER)
    reason = "waiting for the first look" if agent or state.rung is Rung.OBSERVE else "not readable from outside"
    return line(Span(f"– {reason}", "dim"))
