"""A series of hours in bounded memory without a bias: the mean of each block of time."""

from __future__ import annotations

MOST_BLOCKS = 4096
"""More than an hour by the second."""


class BlockMeans:
    """Means of equal blocks of time, from one second on; twice as long whenever there are too many of them.

    A block without a look is left out. The series that the State keeps prefers peaks, which suits a chart; a slope
    through it would be wrong.
    """

    def __init__(self, most_blocks: int = MOST_BLOCKS) -> None:
        self._most = most_blocks
        self._block_seconds = 1.0
        self._blocks: list[tuple[int, float, float, int]] = []

    def add(self, at_seconds: float, value: float) -> None:
        """Take one look; those of the past are ignored."""
        index = int(at_seconds // self._block_seconds)
        last = self._blocks[-1] if self._blocks else None
        if last is not None and index <= last[0]:
            if index == last[0]:
                self._blocks[-1] = _merged(last, (index, at_seconds, value, 1), index)
            return
        self._blocks.append((index, at_seconds, value, 1))
        if len(self._blocks) > self._most:
            self._shrink()

    def points(self, since_seconds: float = 0.0) -> list[tuple[float, float]]:
        """Mean time and mean value of each block that began at ``since_seconds`` or later."""
        return [
            (times / count, values / count)
            for index, times, values, count in self._blocks
            if index * self._block_seconds >= since_seconds - 1e-9
        ]

    def _shrink(self) -> None:
        self._block_seconds *= 2
        shorter: list[tuple[int, float, float, int]] = []
        for block in self._blocks:
            index = block[0] // 2
            if shorter and shorter[-1][0] == index:
                shorter[-1] = _merged(shorter[-1], block, index)
            else:
                shorter.append((index, *block[1:]))
        self._blocks = shorter


def _merged(
    one: tuple[int, float, float, int], other: tuple[int, float, float, int], index: int
) -> tuple[int, float, float, int]:
    return index, one[1] + other[1], one[2] + other[2], one[3] + other[3]
