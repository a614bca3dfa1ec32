"""Limits on what a profiler measures, and the functions of the program that are called when they are crossed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from memtui.model.units import parse_size

REARM_SHARE = 0.95
"""A threshold that was crossed is watched again once the value has fallen below this part of it."""

Metric = Literal["rss_bytes", "uss_bytes", "traced_bytes", "tracked_bytes", "growth_percent_per_hour"]
METRICS: tuple[Metric, ...] = get_args(Metric)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold was crossed upwards. ``value`` and ``limit`` are in bytes, or in percent an hour."""

    name: str
    metric: Metric
    limit: float
    value: float


Callback = Callable[[Crossing], object]


@dataclass(slots=True)
class Threshold:
    """One threshold. ``crossed``: its callback was called, and the value has not fallen below it since."""

    name: str
    metric: Metric
    limit: float
    callback: Callback
    crossed: bool = False

    def look(self, value: float | None) -> Crossing | None:
        """The crossing, when ``value`` is the first beyond the limit."""
        if value is None:
            return None
        if self.crossed:
            self.crossed = value >= REARM_SHARE * self.limit
            return None
        self.crossed = value >= self.limit
        return Crossing(self.name, self.metric, self.limit, value) if self.crossed else None


def new_threshold(limit: float | str, callback: Callback, metric: str, name: str | None) -> Threshold:
    """A threshold, of what a person writes. Raises ValueError and TypeError for what makes no sense."""
    if metric not in METRICS:
        raise ValueError(f"metric {metric!r} is none of {', '.join(METRICS)}")
    if not callable(callback) or inspect.iscoroutinefunction(callback):
        raise TypeError("the callback of a threshold is a plain function that takes the crossing")
    value = float(parse_size(limit)) if isinstance(limit, str) else float(limit)
    if not value > 0:
        raise ValueError(f"a threshold of {limit} would always be crossed")
    known = next(one for one in METRICS if one == metric)
    return Threshold(name or f"{metric}>{limit}", known, value, callback)


def crossings(
    thresholds: tuple[Threshold, ...], values: Mapping[str, float | None]
) -> list[tuple[Callback, Crossing]]:
    """Whom to call, and with what."""
    seen = ((one, one.look(values.get(one.metric))) for one in thresholds)
    return [(one.callback, crossing) for one, crossing in seen if crossing is not None]
