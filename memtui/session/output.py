"""The workload's output as lines, whatever bytes it writes."""

from __future__ import annotations

import codecs

from memtui.model.state import LINE_BOUND, OUTPUT_BOUND
from memtui.session.messages import OutputArrived


class OutputLines:
    """Collects bytes between two ticks; holds at most what the State keeps."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._return = ""
        self._lines: list[str] = []
        self._open = False
        self._continues = False
        self._dropped = 0

    def feed(self, data: bytes) -> None:
        """Take bytes in."""
        text = self._return + self._decoder.decode(data)
        self._return = "\r" if text.endswith("\r") else ""  # it may be the first half of a line's end
        text = text[: len(text) - len(self._return)].replace("\r\n", "\n")
        if not text:
            return
        if not self._lines:
            self._continues = self._open
        pieces = text.split("\n")
        if self._open and self._lines:
            self._lines[-1] = (self._lines[-1] + pieces.pop(0))[:LINE_BOUND]
        self._lines += [piece[:LINE_BOUND] for piece in pieces]
        self._open = not text.endswith("\n")
        if not self._open:
            self._lines.pop()
        self._drop(len(self._lines) - OUTPUT_BOUND)

    def take(self) -> OutputArrived | None:
        """What arrived since the last time; None when nothing did."""
        if not self._lines:
            return None
        arrived = OutputArrived(tuple(self._lines), self._continues, self._dropped)
        self._lines, self._continues, self._dropped = [], False, 0
        return arrived

    def _drop(self, surplus: int) -> None:
        if surplus > 0:
            self._dropped += surplus - self._continues
            self._continues = False
            del self._lines[:surplus]
