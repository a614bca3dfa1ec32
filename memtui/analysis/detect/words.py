"""The reasons of a verdict, in sentences."""

from __future__ import annotations

from memtui.analysis.detect.evidence import Material, Window
from memtui.analysis.detect.shapes import CONSTANT
from memtui.analysis.detect.verdict import Signal
from memtui.model.units import format_bytes, format_seconds

FLOOR: dict[Signal, str] = {
    "rss": "the floor of resident memory",
    "live": "what is alive after collections",
}


def rose(signal: Signal, stretch: Window) -> str:
    """By how much the floor rose, and in which time."""
    return _sentence(
        f"{FLOOR[signal]} rose by {format_bytes(stretch.rise_bytes)} over {format_seconds(stretch.seconds)}, "
        f"in each quarter of that time"
    )


def rose_once(signal: Signal, stretch: Window) -> str:
    """That the floor is higher than it was, but no longer rises."""
    return _sentence(
        f"{FLOOR[signal]} rose by {format_bytes(stretch.rise_bytes)} over {format_seconds(stretch.seconds)}, "
        f"but does not keep rising"
    )


def endless(signal: Signal, stretch: Window) -> str:
    """What the growing part of the curve amounts to."""
    return _sentence(
        f"{FLOOR[signal]} grew by {format_bytes(stretch.explanation.growth)} in {format_seconds(stretch.seconds)} "
        f"and does not slow down"
    )


def preferred(stretch: Window) -> str:
    """How much better growth without end explains the curve."""
    known = stretch.explanation
    return _sentence(
        f"growth without end explains it better than {known.bounded} "
        f"(difference of BIC {known.advantage:.0f}; above 10 is very strong)"
    )


def bounded(stretch: Window) -> str:
    """What explains the curve without growth, if anything does."""
    if not stretch.is_explained():
        return "Whether it goes on without end cannot be told yet."
    if stretch.explanation.bounded == CONSTANT:
        return "Its ups and downs explain the curve."
    return _sentence(f"{stretch.explanation.bounded} explains the curve; nothing says that it goes on without end")


def persisted(score_seconds: float, needed_seconds: float) -> str:
    """For how long it has been so."""
    held, needed = format_seconds(score_seconds), format_seconds(needed_seconds)
    return f"Looks have shown it for {held} or more; a leak by the curve alone takes {needed}."


def quiet(signal: Signal, seconds: float, material: Material, lowest: float) -> str:
    """That nothing grows that matters."""
    least = format_bytes(material.bytes(lowest))
    return _sentence(f"{FLOOR[signal]} shows no lasting growth of {least} or more in {format_seconds(seconds)}")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
