"""What may be leaking: the trend of RSS, and the lines and types that grow fastest."""

from __future__ import annotations

from memtui.analysis.diagnosis.diagnose import Diagnosis
from memtui.analysis.growth import Growth, LineGrowth, TypeGrowth, line_growth, rss_growth, type_growth
from memtui.model.state import State
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.tui.presenters import leaks
from memtui.tui.presenters.line import Line, Span, fit, join, line
from memtui.tui.presenters.text import clean, cut_start, pad, short_path, wrap

_ROLES = {"growing": "warn", "steady": "good", "shrinking": "good", "too early": "dim"}
_RATE_WIDTH = 14


def growth_lines(state: State, diagnosis: Diagnosis, width: int, height: int) -> tuple[Line, ...]:
    """The whole panel in ``height`` rows: suspects as soon as heap pictures were compared, what grows before."""
    if state.evidence is not None:
        return _suspects(diagnosis, width, height)
    growth = rss_growth(state)
    room = max(0, height - 2)
    reason = [line(Span(text, "dim")) for text in wrap(clean(growth.reason), width)[: 2 if height > 4 else 1]]
    room -= len(reason) - 1
    lines = [_line(one, width) for one in line_growth(state, max(1, (room + 1) // 2))]
    types = [_type(one, width) for one in type_growth(state, max(0, room - len(lines)))]
    if not lines and not types:
        lines = [line(Span(text, "dim")) for text in wrap(_missing(state), width)]
    return tuple(fit(one, width) for one in [_headline(growth), *reason, *lines, *types][:height])


def _suspects(diagnosis: Diagnosis, width: int, height: int) -> tuple[Line, ...]:
    reasons = [line(Span(text, "dim")) for text in wrap(clean(diagnosis.verdict.reasons[0]), width)[:2]]
    found = [leaks.suspect_line(one, width) for one in diagnosis.suspects]
    if not found:
        found = [line(Span("Nothing in the heap grew that matters.", "dim"))]
    return tuple(fit(one, width) for one in [leaks.headline(diagnosis), *reasons, *found][:height])


def growth_line(state: State, diagnosis: Diagnosis, width: int) -> Line:
    """The panel in one row: the word and the fastest-growing suspect, line or type."""
    if state.evidence is not None:
        head = line(" ", Span("leak? ", "title"), *leaks.headline(diagnosis))
        return fit(join((head, *(leaks.suspect_line(one, width // 2) for one in diagnosis.suspects[:1]))), width)
    growth = rss_growth(state)
    head = line(" ", Span("leak? ", "title"), *_headline(growth, short=True))
    fastest = [_line(one, width // 2) for one in line_growth(state, 1)]
    fastest += [_type(one, width // 2) for one in type_growth(state, 1)]
    return fit(join((head, *fastest[:1])), width)


def suspect(state: State, width: int) -> Line:
    """The fastest-growing line or type by name alone."""
    for one in line_growth(state, 1):
        return line(Span("+ ", "grow"), short_path(_place(one), width - 2))
    for kind in type_growth(state, 1):
        return line(Span("+ ", "grow"), cut_start(clean(kind.type), width - 2))
    return line(Span("no suspect yet", "dim"))


def _headline(growth: Growth, *, short: bool = False) -> Line:
    verdict = Span(growth.verdict, _ROLES[growth.verdict])
    if growth.bytes_per_second is None:
        return line(verdict)
    rate = f"  {format_bytes(growth.bytes_per_second * 60, sign=True)}/min"
    over = "" if short else f" over {format_seconds(growth.over_seconds)}"
    return line(verdict, rate, Span(over, "dim"))


def _line(one: LineGrowth, width: int) -> Line:
    per_second = one.bytes_per_second
    rate = "–" if per_second is None else f"{format_bytes(per_second * 60, sign=True)}/min"
    room = max(6, width - _RATE_WIDTH - 2)
    return line(Span(pad(rate, _RATE_WIDTH, "right"), "grow"), "  ", short_path(_place(one), room))


def _place(one: LineGrowth) -> str:
    return f"{clean(one.place.file)}:{one.place.line}" if one.place.line else clean(one.place.file)


def _type(one: TypeGrowth, width: int) -> Line:
    per_second = one.objects_per_second
    rate = "–" if per_second is None else f"{format_count(round(per_second * 60), sign=True)}/min"
    name = pad(clean(one.type), max(6, width - _RATE_WIDTH - 2)).rstrip()
    return line(Span(pad(rate, _RATE_WIDTH, "right"), "grow"), "  ", name)


def _missing(state: State) -> str:
    if state.ending:
        return "Nothing that grows was recorded."
    if state.tracing is None or not state.tracing.on:
        return "l checks for leaks. Lines show with tracing on (t), types after two snapshots (s)."
    return "No line grew so far. Types that grow show after two snapshots (s)."
