"""What a program printed, on memtui's own terminal."""

from __future__ import annotations

from collections.abc import Sequence

_SHOWN_LINES = 20


def last_lines(lines: Sequence[str]) -> list[str]:
    """The last lines of a program that ended badly, without what would move the cursor or change colours."""
    return [
        "".join(one if one.isprintable() or one == "\t" else "?" for one in line) for line in lines[-_SHOWN_LINES:]
    ]
