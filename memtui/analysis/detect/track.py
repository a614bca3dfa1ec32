"""One series under watch: its floor, the looks at it, and how long they have agreed."""

from __future__ import annotations

from collections.abc import Iterator

from memtui.analysis.detect.blocks import BlockMinima
from memtui.analysis.detect.evidence import MIN_BLOCKS, Look, Material, Window, look
from memtui.analysis.detect.persistence import Persistence
from memtui.analysis.detect.verdict import State

HISTORY_BLOCKS = 120
RECENT_WINDOWS = (240, 60, 30, 15)
"""Blocks of the windows beside the whole history; the two shortest tell what happens lately."""
LONGEST_BLOCKS = RECENT_WINDOWS[0]
MIN_EXCUSE_BLOCKS = 20
"""The past excuses nothing before it is this long."""
MAX_STEP_BLOCKS = 5
"""One look after a long silence counts for no more agreement than this."""
SUSPECT_SHARE, LEAK_SHARE = 0.2, 0.3
"""Which part of its age growth must persist for each state."""


class Track:
    """The watch over one series after its warm-up, in blocks of ``block_seconds``."""

    def __init__(self, block_seconds: float, material: Material) -> None:
        self.look: Look | None = None
        self.last_seconds = 0.0
        self.material = material
        self.block_seconds = block_seconds
        self._history = BlockMinima(block_seconds, HISTORY_BLOCKS, keep_all=True)
        self._recent = BlockMinima(block_seconds, LONGEST_BLOCKS, keep_all=False)
        self.levels: dict[State, Persistence] = {
            "leak": Persistence(LEAK_SHARE),
            "suspect": Persistence(SUSPECT_SHARE),
            "growing": Persistence(0.0),
        }

    def add(self, at_seconds: float, value: float) -> None:
        """Take one value; look when a block is complete."""
        self._history.add(at_seconds, value)
        completed = self._recent.add(at_seconds, value)
        self.last_seconds = max(self.last_seconds, at_seconds)
        if completed and min(len(self._recent.values), len(self._history.values)) >= MIN_BLOCKS:
            self._judge(min(completed, MAX_STEP_BLOCKS))

    @property
    def state(self) -> State:
        """The highest state whose persistence is met, else "healthy"; "inconclusive" before the first look."""
        if self.look is None:
            return "inconclusive"
        return next((state for state, level in self.levels.items() if level.on), "healthy")

    @property
    def seconds(self) -> float:
        """The time watched after the warm-up, in whole blocks."""
        return self._history.seconds

    def _judge(self, step_blocks: int) -> None:
        history = self._history
        whole = Window(history.values, history.block_seconds)
        blocks = round(history.seconds / self.block_seconds)
        windows = [whole, *self._shorter(blocks)]
        context = next((one for one in windows if one.seconds <= LONGEST_BLOCKS * self.block_seconds), whole)
        self.look = look(windows, context if blocks >= MIN_EXCUSE_BLOCKS else None, self.material)
        for level in self.levels.values():
            level.add(blocks, step_blocks, self.look.hit)

    def _shorter(self, history_blocks: int) -> Iterator[Window]:
        for blocks in RECENT_WINDOWS:
            if blocks < history_blocks and blocks <= len(self._recent.values):
                yield Window(self._recent.values[-blocks:], self.block_seconds)
