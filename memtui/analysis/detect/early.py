"""The first minutes: what grows right now, and what grows too fast to wait for a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from memtui.analysis.detect.blocks import BlockMinima
from memtui.analysis.detect.evidence import Material, Window
from memtui.analysis.detect.limits import Limit, nearest
from memtui.analysis.detect.verdict import Pressure
from memtui.model.units import format_bytes, format_seconds

MIB = 1024 * 1024
MIN_SECONDS = 20.0
MIN_LOOKS = 10
MIN_BLOCKS = 10
START_BLOCKS = 120
START_MATERIAL = Material(512 * 1024, 0.005)

PRESSURE_BLOCK_SECONDS, PRESSURE_BLOCKS = 2.0, 60
PRESSURE_MATERIAL = Material(5 * MIB, 0.01)
PRESSURE_SECONDS_TO_LIMIT = 600.0
PRESSURE_SHARE_PER_MINUTE = 0.10
PRESSURE_LEAST_BYTES = 50 * MIB
"""Without a limit in sight it takes this much growth, and this share of the memory each minute."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """The whole watch so far: its stretch, None while it is too early to say anything."""

    stretch: Window | None
    seconds: float
    looks: int

    @property
    def rises(self) -> bool:
        """Whether the floor rises by an amount that matters in a short watch."""
        return self.stretch is not None and self.stretch.rises(START_MATERIAL)


class Early:
    """The series from its first look on, in blocks of a second that grow with the watch."""

    def __init__(self) -> None:
        self._all = BlockMinima(1.0, START_BLOCKS, keep_all=True)
        self._latest = BlockMinima(PRESSURE_BLOCK_SECONDS, PRESSURE_BLOCKS, keep_all=False)

    def add(self, at_seconds: float, value: float) -> None:
        """Take one look."""
        self._all.add(at_seconds, value)
        self._latest.add(at_seconds, value)

    def look(self) -> FirstLook:
        """What the watch so far shows."""
        blocks, seconds = self._all.values, self._all.seconds
        if self._all.looks < MIN_LOOKS or seconds < MIN_SECONDS or len(blocks) < MIN_BLOCKS:
            return FirstLook(None, seconds, self._all.looks)
        return FirstLook(Window(blocks, self._all.block_seconds), seconds, self._all.looks)

    def pressure(self, limits: Sequence[Limit]) -> Pressure | None:
        """The alarm for growth that reaches a limit within ten minutes; very fast growth where no limit is known."""
        blocks = self._latest.values
        if self._latest.looks < MIN_LOOKS or self._latest.seconds < MIN_SECONDS:
            return None
        stretch = Window(blocks, self._latest.block_seconds)
        speed = stretch.rise_bytes_per_minute
        if not stretch.rises(PRESSURE_MATERIAL) or stretch.slopes[1] <= 0:
            return None
        rise = f"{format_bytes(stretch.rise_bytes, sign=True)} within {format_seconds(stretch.seconds)}"
        first = nearest(limits, speed)
        if first is not None:
            limit, seconds = first
            reason = f"Memory pressure: {rise}; at this speed {limit.name} is reached in {format_seconds(seconds)}."
            return Pressure(speed, limit.name, seconds, reason) if seconds < PRESSURE_SECONDS_TO_LIMIT else None
        if stretch.rise_bytes >= PRESSURE_LEAST_BYTES and speed >= PRESSURE_SHARE_PER_MINUTE * max(blocks[-1], 0.0):
            return Pressure(speed, None, None, f"Memory pressure: {rise}, more than a tenth of all each minute.")
        return None
