"""What a front end shows of a heap picture. The picture itself stays in another process; these are its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

HeapDiffBy = Literal["type", "holder", "line", "traceback"]
InstanceOrder = Literal["retained", "size", "length"]
TypeOrder = Literal["retained", "size", "count", "name"]


@dataclass(frozen=True, slots=True)
class PictureToll:
    """What a picture cost the process: how long it stood still, in all and at once, also in vain and to tidy up; how
    many page faults the copy caused it (None: not known); its CPU time for both, of which that of the faults is
    estimated.
    """

    stopped_seconds: float
    longest_stop_seconds: float
    page_faults: int | None
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """The head of a picture. ``quality``: share of objects whose reference count is explained; None when unknown.

    What it cost the process: ``toll``.
    """

    path: str
    pid: int
    command: tuple[str, ...]
    python: str
    taken_at: str
    source: str
    objects: int
    edges: int
    size_bytes: int
    rss_bytes: int | None
    stop_seconds: float | None
    quality: float | None
    quick: bool
    notes: tuple[str, ...] = ()
    toll: PictureToll | None = None


@dataclass(frozen=True, slots=True)
class HeapType:
    """All objects of one type. ``retained_bytes``: what would be freed with all of them; None in a quick picture."""

    type: str
    count: int
    size_bytes: int
    retained_bytes: int | None


@dataclass(frozen=True, slots=True)
class HeapObject:
    """One object. ``node`` is its number in the picture, ``text`` a short safe repr of strings and numbers."""

    node: int
    type: str
    address: int
    size_bytes: int
    retained_bytes: int | None
    references: int
    """Its reference count; -1 when it is immortal."""
    length: int | None = None
    text: str | None = None
    held_from_c: bool = False


@dataclass(frozen=True, slots=True)
class HeapLink:
    """An object seen from one that holds it, or that it holds: ``label`` is the way, as ``['key']`` or ``.items``."""

    label: str
    object: HeapObject


@dataclass(frozen=True, slots=True)
class HolderStep:
    """One step of a holder chain: how the step before holds this object."""

    label: str
    node: int
    type: str


@dataclass(frozen=True, slots=True)
class HolderChain:
    """From a named root to an object. ``path`` is the whole as one text, as ``shop.CACHE['k17'][3]``."""

    path: str
    root: str
    group: str
    """modules, frames, interpreter, static or unknown."""
    steps: tuple[HolderStep, ...]


@dataclass(frozen=True, slots=True)
class HolderPath:
    """Objects of one type that are held the same way, indices and keys folded: ``shop.CACHE[*]``.

    ``container`` is the last object of the path that all of them share (``shop.CACHE``).
    """

    path: str
    type: str
    count: int
    size_bytes: int
    retained_bytes: int | None
    container: int | None = None


@dataclass(frozen=True, slots=True)
class DuplicateText:
    """A text that exists more than once."""

    text: str
    type: str
    count: int
    wasted_bytes: int
    node: int


@dataclass(frozen=True, slots=True)
class HeapFound:
    """What a search met: a type, a root or a text (a string's beginning). ``label`` is what contains the words.

    ``node`` is the root's object or the string, or the type object of a type when it is among the objects.
    """

    kind: Literal["type", "root", "text"]
    label: str
    type: str
    node: int | None


@dataclass(frozen=True, slots=True)
class HeapDiffRow:
    """What changed between two pictures under one label: a type, a folded holder path, a line or a traceback.

    By holder: ``elements_before`` and ``elements_after`` are lengths of the container; ``new`` when it was not there
    before. ``node`` is an example in the later picture (the container, by holder).
    """

    label: str
    count_before: int
    count_after: int
    size_before_bytes: int
    size_after_bytes: int
    retained_before_bytes: int | None = None
    retained_after_bytes: int | None = None
    elements_before: int | None = None
    elements_after: int | None = None
    new: bool = False
    node: int | None = None
    type: str | None = None

    @property
    def count_change(self) -> int:
        """More (or fewer) objects."""
        return self.count_after - self.count_before

    @property
    def size_change_bytes(self) -> int:
        """More (or fewer) bytes, shallow."""
        return self.size_after_bytes - self.size_before_bytes


@dataclass(frozen=True, slots=True)
class HeapDiff:
    """The rows of one grouping, most growth first. ``note`` says what the figures cover."""

    by: HeapDiffBy
    rows: tuple[HeapDiffRow, ...]
    seconds_between: float | None
    note: str
