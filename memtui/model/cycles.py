"""What a checked collection found: garbage by type, the cycles in it, and what no collection frees."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GarbageType:
    """Objects of one type. ``size_bytes``: of the objects alone; None: not measured."""

    type: str
    objects: int
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class CycleCheck:
    """One checked collection: a full one whose findings were kept for a look, and then freed by another.

    ``objects`` and ``size_bytes`` are of all that was unreachable and only the collector would free, ``types`` those
    with the most objects out of ``type_count``. ``is_complete``: all of it was looked at; ``is_sampled``: sizes were
    measured for some and taken for all. ``pause_seconds``: the longest stop in one piece.
    """

    at_seconds: float
    objects: int
    size_bytes: int
    types: tuple[GarbageType, ...]
    type_count: int
    is_complete: bool
    is_sampled: bool
    cycles: tuple[tuple[str, ...], ...]
    """Each a list of steps (``shop.Order.owner``, ``dict['last']``); the last one leads back to the first."""
    kept: tuple[GarbageType, ...]
    """In ``gc.garbage`` as it was found, and left."""
    kept_objects: int
    not_freed: tuple[GarbageType, ...]
    """Still there after the normal collection: written in C, by code that does not say how to clear them."""
    was_freed: bool
    """False: the program itself has ``gc.DEBUG_SAVEALL`` set, so what was found was left as it was."""
    debug_flags: int
    """``gc.get_debug()`` as it was found, and left."""
    gc_enabled: bool
    frozen_objects: int
    uncollectable: int
    """Of full collections since the program began, by ``gc.get_stats``."""
    pause_seconds: float
    took_seconds: float

    @property
    def paths(self) -> tuple[str, ...]:
        """The cycles, a line each."""
        return tuple(" -> ".join((*steps, "back")) for steps in self.cycles)
