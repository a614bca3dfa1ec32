"""Where the playing of a recording is."""

from __future__ import annotations

from memtui.model.state import Playback
from memtui.tui.presenters.line import Line, Span, line, width_of
from memtui.tui.presenters.log import clock

_LEAST_BAR = 8


def playback_line(playback: Playback, width: int) -> Line:
    """Whether it runs, how fast, a bar with a mark for each event, and the times. A click on the bar goes there."""
    share = _share(playback, playback.at_seconds)
    word = Span(" PLAYING ", "good") if playback.playing else Span(" HELD ", "busy")
    head = line(" ", word, Span(f" x{playback.speed:g} ", "strong"), Span(f"{clock(playback.at_seconds)} ", "strong"))
    tail = line(Span(f" {clock(playback.end_seconds)}", "dim"), Span(f"  {100 * share:3.0f} % ", "dim"))
    room = width - width_of(head) - width_of(tail)
    return (*head, *(_bar(playback, share, room) if room >= _LEAST_BAR else ()), *tail)


def _bar(playback: Playback, share: float, width: int) -> Line:
    """One cell after the other: each takes a click."""
    at = min(width - 1, int(share * width))
    marked = {min(width - 1, int(_share(playback, one) * width)) for one in playback.marks}
    cells = []
    for place in range(width):
        sign = "│" if place in marked else "─" if place > at else "━"
        role = "accent" if place <= at else "dim"
        if place == at:
            sign, role = "█", "strong"
        cells.append(Span(sign, role, f"screen.seek_share({(place + 0.5) / width:.4f})"))
    return tuple(cells)


def _share(playback: Playback, seconds: float) -> float:
    length = playback.end_seconds - playback.begin_seconds
    return 1.0 if length <= 0 else min(max((seconds - playback.begin_seconds) / length, 0.0), 1.0)
