"""A line of the dashboard: pieces of text, each with a role that the theme colours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len

from memtui.tui.presenters.text import cut_end

ROLES = ("dim", "strong", "title", "key", "accent", "good", "warn", "bad", "grow", "shrink", "busy")
"""Every role a span may have, besides "" for ordinary text."""


class Span(NamedTuple):
    """Text of one role. ``action`` is the Textual action a click on it runs (empty: none)."""

    text: str
    role: str = ""
    action: str = ""


Line = tuple[Span, ...]
EMPTY: Line = ()


def line(*parts: str | Span) -> Line:
    """A line from plain strings and spans; empty parts are left out."""
    spans = (part if isinstance(part, Span) else Span(part) for part in parts)
    return tuple(span for span in spans if span.text)


def plain(spans: Line) -> str:
    """The text of a line without its roles."""
    return "".join(span.text for span in spans)


def width_of(spans: Line) -> int:
    """Cells the line takes."""
    return sum(cell_len(span.text) for span in spans)


def fit(spans: Line, width: int) -> Line:
    """The line in at most ``width`` cells, its end cut."""
    if width_of(spans) <= width:
        return spans
    kept: list[Span] = []
    left = width
    for span in spans:
        length = cell_len(span.text)
        if length > left - 1:
            kept.append(span._replace(text=cut_end(span.text + "  ", left)))
            break
        kept.append(span)
        left -= length
    return tuple(kept)


def join(lines: Iterable[Line], gap: str = "  ") -> Line:
    """Lines in a row with ``gap`` between them; empty ones are left out."""
    joined: list[Span] = []
    for one in lines:
        if one and joined:
            joined.append(Span(gap))
        joined.extend(one)
    return tuple(joined)


def join_fitting(lines: Iterable[Line], width: int, gap: str = "  ") -> Line:
    """Like :func:`join`, but whole lines that do not fit into ``width`` cells are left out."""
    joined: Line = ()
    for one in lines:
        if not one:
            continue
        longer = join((joined, one), gap)
        if width_of(longer) <= width:
            joined = longer
    return joined


def spread(left: Line, right: Line, width: int) -> Line:
    """``left`` and ``right`` at the two ends of ``width`` cells; ``left`` is cut when both do not fit."""
    room = width - width_of(right) - 2
    if room < 8:
        return fit(left or right, width)
    left = fit(left, room)
    return (*left, Span(" " * (width - width_of(left) - width_of(right))), *right)
