"""Source lines of the target's own files, read by memtui through the target's root directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import replace

from memtui.model.allocation import Allocations

_SUFFIXES = (".py", ".pyw")
_MAX_FILE_BYTES = 4 * 1024 * 1024
_MAX_LINES = 8000
_ROWS_WITH_SOURCE = 400


class SourceReader:
    """Remembers the lines it was asked for; bounded. Only regular Python files are read."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._lines: dict[tuple[str, int], str | None] = {}

    def fill(self, allocations: Allocations) -> Allocations:
        """``allocations`` with the source line of the largest groups."""
        shown = allocations.rows[:_ROWS_WITH_SOURCE]
        self._read((row.place.file, row.place.line) for row in shown)
        rows = tuple(replace(row, source=self._lines.get((row.place.file, row.place.line))) for row in shown)
        return replace(allocations, rows=rows + allocations.rows[_ROWS_WITH_SOURCE:])

    def _read(self, places: Iterable[tuple[str, int]]) -> None:
        missing: dict[str, list[int]] = {}
        for file, line in places:
            if line > 0 and (file, line) not in self._lines:
                missing.setdefault(file, []).append(line)
        if len(self._lines) > _MAX_LINES:
            self._lines.clear()
        for file, lines in missing.items():
            text = self._text(file)
            for line in lines:
                self._lines[file, line] = text[line - 1].strip() if 0 < line <= len(text) else None

    def _text(self, file: str) -> list[str]:
        if not file.endswith(_SUFFIXES):
            return []
        base = f"/proc/{self._pid}/root" if file.startswith("/") else f"/proc/{self._pid}/cwd/"
        try:
            fd = os.open(base + file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return []
        with open(fd, encoding="utf-8", errors="replace") as opened:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_FILE_BYTES:
                return []
            return opened.read().split("\n")
