"""The state of CPython's cyclic garbage collector."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation: ``gc.get_count``, ``gc.get_threshold`` and ``gc.get_stats`` for it."""

    count: int
    threshold: int
    collections: int
    collected: int
    uncollectable: int


@dataclass(frozen=True, slots=True)
class GcState:
    """The collector at one look. ``objects``: survivors of the last full collection, plus those pending."""

    enabled: bool
    generations: tuple[Generation, ...]
    objects: int | None = None


@dataclass(frozen=True, slots=True)
class GcPauses:
    """Collections timed by the agent through ``gc.callbacks``, since it came in."""

    count: int = 0
    total_seconds: float = 0.0
    max_seconds: float = 0.0
    last_seconds: float | None = None
    last_generation: int | None = None
