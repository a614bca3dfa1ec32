"""Progress on stderr: a line that changes on a terminal, a line a step elsewhere, nothing when it is to be quiet."""

from __future__ import annotations

import os
import sys

_BAR = 24


class ProgressLine:
    """Tells what is being done. ``quiet``: nothing at all."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._terminal = not quiet and sys.stderr.isatty()
        self._told = ""

    @property
    def changes(self) -> bool:
        """Whether it is a line that changes in its place, on a terminal."""
        return self._terminal

    def tell(self, what: str, fraction: float | None) -> None:
        """``what`` is being done, and this part (0 to 1) of the whole is over; None: there is no end in sight."""
        if self._terminal:
            full = round(_BAR * (fraction or 0.0))
            bar = "" if fraction is None else f"[{'#' * full}{'.' * (_BAR - full)}] {100 * fraction:3.0f} % "
            line = f"{bar}{what}"[: _columns() - 1]
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        elif not self._quiet and what != self._told:
            print(f"memtui: {what}", file=sys.stderr, flush=True)
        self._told = what

    def end(self) -> None:
        """Leave a clean line."""
        if self._terminal and self._told:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _columns() -> int:
    """The width of the terminal: a longer line would leave its beginning on the screen."""
    try:
        return os.get_terminal_size(2).columns or 80
    except OSError:
        return 80
