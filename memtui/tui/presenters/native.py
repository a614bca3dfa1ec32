"""A native recording on the screen."""

from __future__ import annotations

import shlex

from memtui.analysis.native import WHAT_IS_LISTED, function_name, python_place, site_details, site_name, total, who
from memtui.model.native import NativeKind, NativeReport, NativeResult, NativeSite
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.tui.presenters.heap import bar
from memtui.tui.presenters.line import Line, Span, fit, line
from memtui.tui.presenters.text import clean, pad, wrap

_BAR_WIDTH = 8
_SIZE_WIDTH = 11
_COUNT_WIDTH = 10
_LIBRARIES = 3
_SHORT_LIBRARIES = 1


def summary(result: NativeResult, width: int, *, short: bool) -> list[Line]:
    """What was recorded, who did not free, and where the recording is; ``short``: for few rows."""
    report = result.report
    window = "a part of the time" if report.seconds is None else format_seconds(report.seconds)
    lines = [
        line(
            Span(total(report), "strong"),
            f" not freed, of {format_count(report.allocations)} in {window}",
            Span(f"; memray's start took {format_seconds(result.start_seconds)}", "dim"),
        )
    ]
    for one in report.libraries[: _SHORT_LIBRARIES if short else _LIBRARIES]:
        role = "grow" if one.kind is NativeKind.EXTENSION else "dim"
        name = clean(who(one.kind, one.extension))
        lines.append(line(Span(pad(format_bytes(one.size_bytes), _SIZE_WIDTH, "right"), role), f"  {name}"))
    if not report.by_address and report.sites:
        lines.append(line(Span("Of some of it the library is not known.", "dim")))
    if result.file is not None:
        path = shlex.quote(result.file)
        lines += [line(Span(part, "dim")) for part in wrap(f"flame graph: memtui native report {clean(path)}", width)]
    if not short:
        lines += [line(Span(part, "dim")) for part in wrap(WHAT_IS_LISTED, width)]
    return [fit(one, width) for one in lines]


def site_header(width: int) -> Line:
    """Names of the columns."""
    lead = " " * (_BAR_WIDTH + 1) + pad("bytes", _SIZE_WIDTH, "right") + pad("count", _COUNT_WIDTH, "right")
    return fit(line(Span(f"{lead}  extension or library: function < Python", "dim")), width)


def site_line(site: NativeSite, report: NativeReport, width: int) -> Line:
    """One call site in a row."""
    extension = site.kind is NativeKind.EXTENSION
    python = python_place(site, short=True)
    return fit(
        line(
            Span(bar(site.size_bytes, max(1, report.size_bytes), _BAR_WIDTH), "grow" if extension else "dim"),
            " ",
            pad(format_bytes(site.size_bytes), _SIZE_WIDTH, "right"),
            Span(pad(format_count(site.count), _COUNT_WIDTH, "right"), "dim"),
            "  ",
            Span(clean(who(site.kind, site.extension)), "strong" if extension else "dim"),
            f": {clean(function_name(site.frame))}",
            Span("" if python is None else f" < {clean(python)}", "dim"),
        ),
        width,
    )


def site_lines(site: NativeSite, width: int) -> list[str]:
    """All there is about a call site, as text broken to a width."""
    lines = [*wrap(clean(site_name(site)), width), ""]
    lines.append(f"{format_bytes(site.size_bytes)} in {format_count(site.count)} allocations not freed")
    lines.append("")
    for told in site_details(site):
        lines += wrap(clean(told), width)
    if site.native:
        lines += ["", "native stack of the largest part, innermost first"]
        lines += [clean(f"  {function_name(one)}  {one.library or ''}".rstrip()) for one in site.native]
    return lines


def nothing(width: int) -> list[Line]:
    """Shown where there is no call site."""
    text = "All that was allocated while it was recorded was freed. n records again."
    return [line(Span(part, "dim")) for part in wrap(text, max(width, 20))]
