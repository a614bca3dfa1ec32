"""A verdict must hold for a part of the time that its reason has existed; else it is taken back."""

from __future__ import annotations

LEAST_BLOCKS = 3.0
SHORTEST_BLOCKS, LONGEST_BLOCKS = 12.0, 60.0
RECALL_SHARE = 0.4
"""An alarm ends when its score falls below this share of what it needed."""
HEADROOM, HEADROOM_BLOCKS = 1.3, 2.0
"""How far the score may rise above what was needed: it bounds the time until an alarm is taken back."""


class Persistence:
    """Blocks of agreement less blocks of disagreement, against ``share`` of the growth's age.

    The age counts from the start of the series to the first hit of the present streak, between ``SHORTEST_BLOCKS``
    and ``LONGEST_BLOCKS``; at least ``LEAST_BLOCKS`` of agreement are needed always.
    """

    def __init__(self, share: float) -> None:
        self.on = False
        self.score_blocks = 0.0
        self._share = share
        self._began_blocks = 0.0

    @property
    def needed_blocks(self) -> float:
        """How long the agreement must last."""
        age = min(LONGEST_BLOCKS, max(SHORTEST_BLOCKS, self._began_blocks))
        return max(LEAST_BLOCKS, self._share * age)

    def add(self, age_blocks: float, step_blocks: float, hit: bool) -> None:
        """One look, ``age_blocks`` into the series and ``step_blocks`` after the last."""
        if hit and self.score_blocks <= 0:
            self._began_blocks = age_blocks
        needed = self.needed_blocks
        score = max(0.0, self.score_blocks + (step_blocks if hit else -step_blocks))
        if score >= needed:
            self.on = True
        elif score < RECALL_SHARE * needed:
            self.on = False
        self.score_blocks = min(score, HEADROOM * needed + HEADROOM_BLOCKS)
