"""The floor of a series: the least value in each block of time, for hours in a few hundred numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence


class BlockMinima:
    """Minima of equal blocks of time without holes, the block under way not counted.

    Blocks without a look are filled by a straight line between their neighbours. At most ``capacity`` blocks are
    kept: either the newest (``keep_all`` false), or all of them, in blocks that become twice as long whenever there
    are too many. After a hole of more than ``capacity`` blocks the series starts anew. Looks that are older than the
    block under way are ignored. All depends on the looks alone, so a recording gives the same as the live watch.
    """

    def __init__(self, block_seconds: float, capacity: int, *, keep_all: bool) -> None:
        self.block_seconds = block_seconds
        self.values: list[float] = []
        self.looks = 0
        self.first_seconds: float | None = None
        self._capacity = capacity
        self._keep_all = keep_all
        self._index = 0
        self._low = math.inf

    def add(self, at_seconds: float, value: float) -> int:
        """Take one look; the number of blocks that it completed."""
        if self.first_seconds is None:
            return self._start(at_seconds, value)
        index = int((at_seconds - self.first_seconds) // self.block_seconds)
        missing = index - self._index - 1
        if missing > self._capacity:
            return self._start(at_seconds, value)
        if missing < -1:
            return 0
        self.looks += 1
        if missing == -1:
            self._low = min(self._low, value)
            return 0
        step = (value - self._low) / (missing + 1)
        self.values.extend(self._low + step * passed for passed in range(missing + 1))
        self._index, self._low = index, value
        self._shrink()
        return missing + 1

    def _start(self, at_seconds: float, value: float) -> int:
        self.first_seconds = at_seconds
        self.values.clear()
        self._index, self._low, self.looks = 0, value, 1
        return 0

    def _shrink(self) -> None:
        if not self._keep_all:
            del self.values[: -self._capacity]
            return
        while len(self.values) > self._capacity:
            if len(self.values) % 2:
                self._low = min(self._low, self.values.pop())
            self.values = [min(pair) for pair in zip(self.values[::2], self.values[1::2], strict=True)]
            self._index //= 2
            self.block_seconds *= 2

    @property
    def seconds(self) -> float:
        """The time that the kept blocks cover."""
        return len(self.values) * self.block_seconds


def floors(values: Sequence[float], most: int) -> tuple[list[float], int]:
    """The minima of at most ``most`` equal groups of ``values``, and how many values a group has.

    The oldest values that do not fill a group are left out.
    """
    size = max(1, -(-len(values) // most))
    first = len(values) % size
    return [min(values[start : start + size]) for start in range(first, len(values), size)], size
