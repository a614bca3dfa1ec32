"""How much of the dashboard fits into a terminal."""

from __future__ import annotations

from enum import Enum


class Layout(str, Enum):
    """FULL: every panel. COMPACT: panels in one row each. SINGLE: one panel at a time. TINY: a few lines of text."""

    FULL = "full"
    COMPACT = "compact"
    SINGLE = "single"
    TINY = "tiny"


PANELS = ("allocations", "memory", "growth", "gc", "log")
"""The panels in the order in which SINGLE shows them."""


LOW_HEIGHT = 36
TALL_HEIGHT = 50


def height_class(height: int) -> str:
    """How the rows of FULL are shared out: ``low``, ``tall`` or neither."""
    return "low" if height < LOW_HEIGHT else "tall" if height >= TALL_HEIGHT else "medium"


def layout_for(width: int, height: int) -> Layout:
    """The richest layout that is readable in this many cells."""
    if width >= 100 and height >= 30:
        return Layout.FULL
    if width >= 72 and height >= 18:
        return Layout.COMPACT
    if width >= 40 and height >= 10:
        return Layout.SINGLE
    return Layout.TINY
