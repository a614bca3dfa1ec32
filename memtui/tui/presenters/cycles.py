"""A checked collection: a line for the list of suspects, and all there is about it."""

from __future__ import annotations

from memtui.analysis.diagnosis.cycles import advice, findings
from memtui.model.cycles import CycleCheck
from memtui.model.units import format_bytes, format_count
from memtui.tui.presenters.line import Line, Span, fit, line
from memtui.tui.presenters.text import clean, pad, wrap

ROW_KEY = "checked collection"
_LEAD = 23
"""The columns of suspects before their names."""
_COUNT_WIDTH = 12


def cycle_row(check: CycleCheck, width: int) -> Line:
    """What the last check found, in one row."""
    told = f"{format_count(check.objects)} objects, {format_bytes(check.size_bytes)}"
    if check.kept_objects:
        told += f"; gc.garbage holds {format_count(check.kept_objects)}"
    path = f" ← {clean(check.paths[0])}" if check.paths else ""
    role = "warn" if check.kept_objects or check.not_freed else "dim"
    return fit(line(Span(f"{pad('garbage found:', _LEAD - 2, 'right')}  ", role), f"{told}{path}"), width)


def cycle_lines(check: CycleCheck, width: int) -> list[str]:
    """All of it, as text broken to a width."""
    lines = ["what only the collector frees", ""]
    for told in findings(check):
        lines += wrap(clean(told), width)
    if check.types:
        lines += ["", f"{'objects':>{_COUNT_WIDTH}} {'bytes':>{_COUNT_WIDTH}}  type"]
        for one in check.types:
            size = "–" if one.size_bytes is None else format_bytes(one.size_bytes)
            lines.append(f"{format_count(one.objects):>{_COUNT_WIDTH}} {size:>{_COUNT_WIDTH}}  {clean(one.type)}")
        if check.type_count > len(check.types):
            lines.append(f"and {format_count(check.type_count - len(check.types))} more types")
        if check.is_sampled:
            lines.append("Sizes are those of some objects, taken for all.")
    what_to_do = advice(check)
    return [*lines, "", *wrap(f"→ {what_to_do}", width)] if what_to_do else lines
