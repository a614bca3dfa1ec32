"""What a diagnosis names: suspects, and where the growth went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from memtui.model.allocation import Allocation
from memtui.model.native import NativeSite

SuspectKind = Literal["python", "native", "fragmentation"]
Category = Literal[
    "growing-collection", "listener", "closure", "unbounded-cache", "bounded-cache", "mutable-default", "cycle",
    "task", "traceback", "thread-local", "linked-structure", "type-creation", "c-extension", "native", "unknown",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Offer:
    """What memtui could find out if it is allowed to: what that gives, what it needs and costs, and how to get it."""

    kind: Literal["native", "trace"]
    gives: str
    cost: str
    command: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """Something that grows. ``lasting``: at every look, without slowing down; ``bounded``: it will stop by itself."""

    kind: SuspectKind
    category: Category
    type: str | None
    growth_objects_per_second: float | None
    growth_bytes_per_second: float | None
    retained_bytes: int | None
    holder: str | None
    """Path from a named root, as ``shop.CACHE``; None when nothing that was found holds them."""
    chain: tuple[str, ...]
    evidence: tuple[str, ...]
    advice: str
    signature: str
    """The same for the same suspect in every run of the program."""
    lasting: bool
    bounded: bool
    share: float
    """Of all growth, 0 to 1."""
    looks: int
    seconds: float
    seconds_until_full: float | None = None
    allocated_at: tuple[Allocation, ...] = ()
    expected: bool = False
    """The user said so: it is shown, and does not count."""
    native_sites: tuple[NativeSite, ...] = ()
    """Where C code allocated what it did not free, if that was recorded."""
    offer: Offer | None = None
    """What would tell more about it."""


@dataclass(frozen=True, slots=True)
class Split:
    """Where the growth of the memory went, in bytes; None: not known. ``unexplained`` is the honest rest."""

    rss_bytes: int | None
    objects_bytes: int
    garbage_bytes: int
    """Part of the objects: unreachable, waiting for the collector."""
    free_bytes: int | None
    """Kept by the allocators for later: fragmentation."""
    native_bytes: int | None
    """Handed out by the allocators, or mapped, but no Python object."""
    file_bytes: int | None
    """Files that were mapped, and shared memory."""
    unexplained_bytes: int | None
