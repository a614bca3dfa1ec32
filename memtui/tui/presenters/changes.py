"""Which cells of a line differ from what is on the screen."""

from __future__ import annotations

from rich.cells import cell_len

from memtui.tui.presenters.line import Line

JOIN_GAP = 24
"""Runs nearer than this are drawn as one: a cursor movement and a colour cost as much as some unchanged text."""

_BLANK = (" ", "")


def changed_runs(old: Line, new: Line, width: int) -> list[tuple[int, int]]:
    """Start and length, in cells, of the stretches of a row of ``width`` cells that must be drawn again."""
    if old == new:
        return []
    before, after = _cells(old, width), _cells(new, width)
    different = [cell for cell in range(width) if before[cell] != after[cell]]
    runs: list[tuple[int, int]] = []
    for cell in different:
        if runs and cell - (runs[-1][0] + runs[-1][1]) < JOIN_GAP:
            runs[-1] = (runs[-1][0], cell + 1 - runs[-1][0])
        else:
            runs.append((cell, 1))
    return runs


def _cells(line: Line, width: int) -> list[tuple[str, str]]:
    cells: list[tuple[str, str]] = []
    for span in line:
        if span.text.isascii():
            cells.extend((char, span.role) for char in span.text)
        else:
            for char in span.text:
                cells.extend([(char, span.role)] * cell_len(char))
    return [*cells, *[_BLANK] * (width - len(cells))][:width]
