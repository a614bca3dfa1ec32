"""What a clean-up of a process's memory did, step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CleanupLevel = Literal["warning", "critical"]
"""*warning*: a full collection, and the hooks meant for that. *critical*: all hooks, a collection, and a trim."""

LEVELS: tuple[CleanupLevel, ...] = ("warning", "critical")
StepKind = Literal["hook", "gc", "trim"]


@dataclass(frozen=True, slots=True)
class CleanupStep:
    """One step. ``freed_…`` may be negative: something else allocated meanwhile. None: not known.

    ``name`` is the hook's, else says what was done; ``error``: why it was not done, or not to the end. ``objects``
    and ``uncollectable`` are those of a collection, ``seconds`` of which the program stood still.
    """

    kind: StepKind
    name: str
    seconds: float
    freed_rss_bytes: int | None
    freed_blocks: int | None = None
    objects: int | None = None
    uncollectable: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class CleanupOutcome:
    """A whole clean-up, that began at session time ``at_seconds``. ``number`` counts those of a session."""

    level: CleanupLevel
    at_seconds: float
    rss_before_bytes: int | None
    rss_after_bytes: int | None
    steps: tuple[CleanupStep, ...]
    number: int = 1

    @property
    def freed_rss_bytes(self) -> int | None:
        """How much smaller the process is afterwards."""
        if self.rss_before_bytes is None or self.rss_after_bytes is None:
            return None
        return self.rss_before_bytes - self.rss_after_bytes

    @property
    def failed(self) -> tuple[CleanupStep, ...]:
        """The steps that were not done, or not to the end."""
        return tuple(one for one in self.steps if one.error)
