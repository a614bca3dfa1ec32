"""Who is being watched, how far memtui has climbed, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

PROCESS_BOUND = 64
"""Processes of a tree beyond these are left out: a fork bomb must not become memtui's."""


class Rung(str, Enum):
    """How far memtui has climbed (see the ladder of attachment in CONTRIBUTING.md)."""

    PROCESS = "process"
    OBSERVE = "observe"
    AGENT = "agent"
    TRACER = "tracer"


@dataclass(frozen=True, slots=True)
class Target:
    """The process under the glass. ``started_at`` is seconds since the epoch."""

    pid: int
    command: tuple[str, ...]
    python: str | None = None
    started_at: float | None = None
    user: str | None = None
    launched: bool = False
    """True when memtui started it (``memtui run``), False when it attached."""


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process of the watched tree. ``status`` in psutil's words: running, sleeping, zombie, …"""

    pid: int
    parent: int
    status: str
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How the target went away. ``exit_code`` and ``signal`` are known only for a workload that memtui started."""

    at_seconds: float
    text: str
    exit_code: int | None = None
    signal: int | None = None
