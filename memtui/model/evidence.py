"""What several heap pictures of one process tell about growth: the facts of a diagnosis, without a judgement."""

from __future__ import annotations

from dataclasses import dataclass

from memtui.model.heap import HolderStep


@dataclass(frozen=True, slots=True)
class Look:
    """One picture. Bytes; None: not known. ``objects_bytes``: sum of all objects; ``garbage_bytes`` of them wait for
    the collector; ``allocated_bytes`` are handed out by the allocators, which keep ``free_bytes`` for later.
    """

    at_seconds: float
    rss_bytes: int | None
    anonymous_bytes: int | None
    objects_bytes: int
    objects: int
    garbage_bytes: int
    garbage_objects: int
    allocated_bytes: int | None
    free_bytes: int | None
    stop_seconds: float | None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class GrownType:
    """Objects of one type that a holder gained from the first look to the last. ``is_class``: they are classes;
    ``is_element``: at least some of them are elements of the container itself.
    """

    type: str
    objects: int
    size_bytes: int
    is_class: bool = False
    is_element: bool = False


@dataclass(frozen=True, slots=True)
class GrownHolder:
    """A holder, and what hangs on it, at each look.

    ``path`` is its folded path and ``type`` its type; ``chain`` leads to an example (or to itself, when it is one
    object). ``elements`` are lengths of the container, None when it is none. ``bound``: the most elements it allows
    itself. ``types``: what it gained, most bytes first.
    """

    path: str
    type: str
    group: str
    """modules, frames, interpreter, static or unknown (held by C code)."""
    root: str
    chain: tuple[HolderStep, ...]
    sizes_bytes: tuple[int, ...]
    objects: tuple[int, ...]
    elements: tuple[int, ...] | None
    bound: int | None
    types: tuple[GrownType, ...]
    retained_bytes: int | None
    imported: bool
    """It came with a module that was imported meanwhile."""
    samples: tuple[str, ...] = ()
    """A few of what it gained, in words made from the picture."""


@dataclass(frozen=True, slots=True)
class GrownLine:
    """A line whose traced memory grew from the first look to the last."""

    file: str
    line: int
    size_bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Looks in the order of time, and the holders that grew from the first to the last, most bytes first.

    ``garbage``: types of which more objects wait for the collector. ``types``: growth of each type, with what it is
    held by left out. ``lines``: where what grew was allocated, when tracing was on at both looks.
    """

    looks: tuple[Look, ...]
    holders: tuple[GrownHolder, ...]
    garbage: tuple[GrownType, ...]
    types: tuple[GrownType, ...]
    lines: tuple[GrownLine, ...] = ()
    saved: tuple[GrownType, ...] = ()
    """What is in ``gc.garbage`` at the last look."""
    cycles: tuple[str, ...] = ()
    """Cycles among what waits for the collector at the last look, each as a path that leads back to its beginning."""
