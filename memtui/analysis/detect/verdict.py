"""What the detector says: a state, how sure it is, why, how fast memory grows and how long it will last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["healthy", "growing", "suspect", "leak", "inconclusive"]
Rule = Literal["bic", "ols", "thirds"]
Signal = Literal["rss", "live"]

ORDER: tuple[State, ...] = ("inconclusive", "healthy", "growing", "suspect", "leak")
"""The states from the least to the most alarming."""
GROWING: tuple[State, ...] = ("growing", "suspect", "leak")


@dataclass(frozen=True, slots=True)
class Pressure:
    """Memory that grows so fast that it must be acted on now, whether it is a leak or not.

    ``limit`` is the name of what will be reached first and ``seconds_to_limit`` when; both are None when no limit is
    known and the speed alone is the alarm.
    """

    growth_bytes_per_minute: float
    limit: str | None
    seconds_to_limit: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a rule at one moment.

    *healthy*: no growth that is not explained. *growing*: grows, too early or explained by something bounded.
    *suspect* and *leak*: growth that nothing bounded explains and that has persisted, shorter or longer.
    *inconclusive*: too little was seen. ``confidence`` (0 to 1) is that of the state. ``growth_bytes_per_minute`` is
    None when too little was seen, ``seconds_to_limit`` when nothing grows or no limit is known. ``window_seconds`` is
    the time the verdict rests on, ``signal`` the series: resident memory or live Python objects.
    """

    state: State
    confidence: float
    reasons: tuple[str, ...]
    growth_bytes_per_minute: float | None
    seconds_to_limit: float | None
    window_seconds: float
    rule: Rule = "bic"
    signal: Signal = "rss"
    pressure: Pressure | None = None
