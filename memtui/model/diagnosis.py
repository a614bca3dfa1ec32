"""What could be done with a process, what is in the way, and how to lift it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from memtui.model.target import Rung


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something in the way: what it is, why, and the command or step that lifts it (both may be empty)."""

    what: str
    why: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.remedy) if part)


@dataclass(frozen=True, slots=True)
class RungFinding:
    """Whether memtui could climb to ``rung`` now: it could when there are no ``obstacles``."""

    rung: Rung
    obstacles: tuple[Obstacle, ...] = ()

    @property
    def available(self) -> bool:
        """Whether nothing is in the way."""
        return not self.obstacles


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The rungs from the lowest to the highest."""

    rungs: tuple[RungFinding, ...]

    @property
    def best(self) -> Rung | None:
        """The highest rung available; None when not even the lowest is."""
        available = [one.rung for one in self.rungs if one.available]
        return available[-1] if available else None

    def on(self, rung: Rung) -> RungFinding:
        """What was found on one rung."""
        return next(one for one in self.rungs if one.rung is rung)


@dataclass(frozen=True, slots=True)
class PythonProcess:
    """One line of the list of Python processes. None: may not be seen."""

    pid: int
    user: str
    python: str | None
    rss_bytes: int
    started_at: float
    command: tuple[str, ...]
    best: Rung
    obstacle: Obstacle | None
    """What is in the way of the next rung, if anything is."""


class Standing(str, Enum):
    """How a fact about the machine bears on memtui."""

    FINE = "fine"
    LIMITED = "limited"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class MachineFinding:
    """One fact about the machine and the user, and what it means. ``remedy`` may be empty."""

    name: str
    standing: Standing
    text: str
    remedy: str = ""
