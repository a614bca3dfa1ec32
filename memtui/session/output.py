"""The workload's output as lines, whatever bytes it writes."""

from __future__ import annotations

import codecs

from memtui.model.state import OUTPUT_BOUND
from memtui.session.messages import OutputArrived

_LONGEST_LINE = 2000


class OutputLines:
    """Collects bytes between two ticks; holds at most what the State keeps."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._lines: list[str] = []
        self._open = False
        self._continues = False

    def feed(self, data: bytes) -> None:
        """Take bytes in."""
        text = self._decoder.decode(data).replace("\r\n", "\n")
        if not text:
            return
        if not self._lines:
            self._continues = self._open
        pieces = text.split("\n")
        if self._open and self._lines:
            self._lines[-1] = (self._lines[-1] + pieces.pop(0))[:_LONGEST_LINE]
        self._lines += [piece[:_LONGEST_LINE] for piece in pieces]
        self._open = not text.endswith("\n")
        if not self._open:
            self._lines.pop()
        del self._lines[: -OUTPUT_BOUND * 2]

    def take(self) -> OutputArrived | None:
        """What arrived since the last time; None when nothing did."""
        if not self._lines:
            return None
        arrived = OutputArrived(tuple(self._lines), self._continues)
        self._lines, self._continues = [], False
        return arrived
