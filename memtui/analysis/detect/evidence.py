"""One look at a floor over several windows: does it grow without end, and does the whole history agree?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from memtui.analysis.detect.blocks import floors
from memtui.analysis.detect.models import Explanation, explain
from memtui.analysis.detect.shapes import SEASON, dot

MAX_POINTS = 30
MIN_BLOCKS = 12
MAX_HISTORY_RATIO = 4
"""In a history longer than this many times the growth, growth that began late looks like a step."""
MIN_ADVANTAGE = 2.0
MIN_ADVANTAGE_COMPOSITE = 8.0
MIN_SIGNIFICANCE = 4.0
MIN_VETO_SIGNIFICANCE = 2.0
MIN_LAST_SHARE = 0.6
"""A plain rise must not slow down: its last quarter against the mean of the later three, its halves' slopes."""
MIN_RISING_SHARE = 0.25
"""What the last quarter must add for a rise to be called one at all, bounded or not."""


@dataclass(frozen=True, slots=True)
class Material:
    """Growth below the larger of ``least_bytes`` and ``least_share`` of the floor does not matter."""

    least_bytes: float
    least_share: float

    def bytes(self, floor_bytes: float) -> float:
        """The growth that matters at this floor."""
        return max(self.least_bytes, self.least_share * abs(floor_bytes))


class Window:
    """A stretch of the floor: one value a block, at least ``MIN_POINTS`` of them.

    ``seconds`` is its length, ``quarters`` are the least bytes of its quarters, ``slopes`` those of its halves.
    """

    def __init__(self, values: Sequence[float], block_seconds: float) -> None:
        self._points, size = floors(values, MAX_POINTS)
        points, quarter, half = self._points, len(self._points) // 4, len(self._points) // 2
        self.seconds = len(points) * size * block_seconds
        self.quarters = (
            min(points[:quarter]),
            min(points[quarter : 2 * quarter]),
            min(points[2 * quarter : 3 * quarter]),
            min(points[-quarter:]),
        )
        self.slopes = (_slope(points[:half]), _slope(points[-half:]))
        self.lowest = min(points)

    @cached_property
    def explanation(self) -> Explanation:
        """What explains this stretch best, bounded and growing; worked out when it is asked for."""
        return explain(self._points)

    @property
    def rise_bytes(self) -> float:
        """From the floor of the first quarter to that of the last."""
        return self.quarters[3] - self.quarters[0]

    @property
    def growth_bytes_per_minute(self) -> float:
        """The speed of the part that grows without end, or 0."""
        return 60.0 * self.explanation.growth / self.seconds

    @property
    def rise_bytes_per_minute(self) -> float:
        """The speed of the floor from the first quarter to the last, which lie three quarters of the time apart."""
        return 60.0 * self.rise_bytes / (0.75 * self.seconds)

    def rises(self, material: Material) -> bool:
        """Whether the floor rose from quarter to quarter by an amount that matters, and has not stopped."""
        return self._climbs(MIN_RISING_SHARE) and self.rise_bytes > material.bytes(self.lowest)

    def grows_without_end(self, material: Material) -> bool:
        """Whether growth without end explains this stretch better, clearly, by an amount that matters."""
        known = self.explanation
        if (
            known.growth <= material.bytes(self.lowest)
            or known.significance <= MIN_SIGNIFICANCE
            or self.slopes[1] <= 0
        ):
            return False
        if known.composite:
            return known.advantage > MIN_ADVANTAGE_COMPOSITE
        steady = self._climbs(MIN_LAST_SHARE) and self.slopes[1] > MIN_LAST_SHARE * self.slopes[0]
        return known.advantage > MIN_ADVANTAGE and steady

    def is_explained(self) -> bool:
        """Whether something bounded suffices to explain this stretch."""
        known = self.explanation
        return known.advantage <= 0 or known.significance < MIN_VETO_SIGNIFICANCE

    def _climbs(self, least_share: float) -> bool:
        first, second, third, last = self.quarters
        return first < second < third < last and last - third > least_share * (last - first) / 3


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: the longest window that grows without end, the whole history, and the latest stretch.

    ``hit`` tells whether there is growth which nothing bounded explains, over a window and over the whole history.
    """

    growing: Window | None
    whole: Window
    latest: Window
    hit: bool


def look(windows: Sequence[Window], context: Window | None, material: Material) -> Look:
    """Judge ``windows`` that end now: the whole history first, then the shorter ones, the longest first.

    ``context`` is the longest window of which the older past is no excuse; None while the history is too short to
    excuse anything.
    """
    whole, growing = windows[0], next((one for one in windows if one.grows_without_end(material)), None)
    hit = growing is not None and not (context is not None and _excused(growing, whole, context))
    return Look(growing, whole, windows[-2] if len(windows) > 2 else whole, hit)


def _excused(growing: Window, whole: Window, context: Window) -> bool:
    """Whether the past explains the growth: all of it, unless it is far longer; a rhythm however long it is."""
    if context.is_explained():
        return True
    if MAX_HISTORY_RATIO * growing.seconds < whole.seconds and whole.explanation.bounded != SEASON:
        return False
    return whole.is_explained()


def _slope(points: Sequence[float]) -> float:
    """The least-squares slope of equally spaced points, a step."""
    middle = (len(points) - 1) / 2
    steps = [index - middle for index in range(len(points))]
    return dot(steps, points) / dot(steps, steps)
