"""A heap picture: all objects of a process at one moment, in columns.

Nodes are numbered. The first ``object_count`` are Python objects in the order of their addresses; behind them come
*blocks*: pieces of C memory that hold references to objects (C hash tables, module state, linked nodes). Every
reference is an edge with a label that says how the holder holds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntColumn = NDArray[np.int64]
NodeColumn = NDArray[np.int32]
WordColumn = NDArray[np.uint64]
ByteColumn = NDArray[np.uint8]

NOBODY = -1
"""In a column of nodes: none."""


class Kind(IntEnum):
    """What a type is at bottom, which decides how its objects are read. A subclass has the kind of its base."""

    GENERIC = 0
    LEAF = 1
    """Holds nothing: float, complex, None, ..."""
    STR = 2
    INT = 3
    BYTES = 4
    BYTEARRAY = 5
    TUPLE = 6
    LIST = 7
    DICT = 8
    ORDERED_DICT = 9
    SET = 10
    DEQUE = 11
    WEAKREF = 12
    TYPE = 13
    CODE = 14
    FRAME = 15
    GENERATOR = 16
    """Generators, coroutines, asynchronous generators."""
    NDARRAY = 17
    ARRAY = 18
    BLOCK = 19
    """No object: a piece of C memory."""


class Link(IntEnum):
    """How an edge's source holds its target; what the edge's ``number`` means."""

    FIELD = 0
    """A field of the object: ``number`` indexes ``Picture.field_names``, as ``.func`` or, unknown, ``.<+72>``."""
    ITEM = 1
    """``number``: index in a list, tuple, deque or array of objects."""
    VALUE = 2
    """Value in a dict; ``number``: node of the key, or NOBODY."""
    KEY = 3
    """Key of a dict."""
    ELEMENT = 4
    """Element of a set."""
    ATTRIBUTE = 5
    """Instance attribute kept in the object itself; ``number``: node of the name (a str), or NOBODY."""
    LOCAL = 6
    """Local variable of a frame or generator; ``number``: node of the name, or NOBODY (its value stack)."""
    CLASS = 7
    """From an instance to its class (heap types only)."""
    MEMORY = 8
    """Somewhere in C memory that belongs to the source; ``number``: offset in bytes, clamped."""


class NodeFlag(IntFlag):
    """Bits of ``Nodes.flags``."""

    STATIC = 1
    """Lies in the data of a program or library: never freed."""
    TRACKED = 2
    """In one of the collector's lists."""
    HELD_FROM_C = 4
    """Its reference count is higher than the number of edges found: something that was not found holds it."""
    IMMORTAL = 8
    """Has no reference count that means anything (3.12 and newer)."""


class Group(IntEnum):
    """Kinds of roots, strongest first: an object is explained by the first group that reaches it."""

    MODULES = 0
    """``sys.modules``."""
    FRAMES = 1
    """Local variables of running functions."""
    INTERPRETER = 2
    """State of the interpreter and its threads (builtins, codecs, thread dicts, ...)."""
    STATIC = 3
    """Variables of C code: data of the program and its libraries."""
    UNKNOWN = 4
    """Objects held by something that was not found: by C code, most likely."""


@dataclass(frozen=True, slots=True)
class Types:
    """One row for each type; ``nodes`` is the type object itself (NOBODY when it is not among the objects)."""

    names: tuple[str, ...]
    """As ``module.qualname``; builtins without their module."""
    nodes: NodeColumn
    bases: NodeColumn
    """Row of the base type, or NOBODY."""
    kinds: ByteColumn
    """:class:`Kind`."""
    is_heap_type: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Nodes:
    """One row for each node."""

    addresses: WordColumn
    types: NodeColumn
    """Row in :class:`Types`."""
    sizes: IntColumn
    """Bytes as ``sys.getsizeof`` gives: with tables of its own, without what it refers to."""
    reference_counts: NDArray[np.uint32]
    lengths: IntColumn
    """``len()`` of strings and containers (list: items, dict: entries); -1 for what has none."""
    flags: ByteColumn
    """:class:`NodeFlag`."""

    def __len__(self) -> int:
        return len(self.addresses)


@dataclass(frozen=True, slots=True)
class Edges:
    """References, sorted by source: those of node ``i`` are the rows ``starts[i]`` to ``starts[i + 1]``."""

    starts: IntColumn
    targets: NodeColumn
    links: ByteColumn
    """:class:`Link`."""
    numbers: NodeColumn
    """See :class:`Link`."""

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True)
class Texts:
    """Beginnings of strings: the UTF-8 text of node ``nodes[i]`` is ``data[starts[i]:starts[i + 1]]``."""

    nodes: NodeColumn
    """Ascending."""
    starts: IntColumn
    data: ByteColumn


@dataclass(frozen=True, slots=True)
class Numbers:
    """Values of ints of up to 60 bits, and the 64 bits of floats: node and value."""

    nodes: NodeColumn
    """Ascending."""
    values: IntColumn


@dataclass(frozen=True, slots=True)
class Roots:
    """Where reaching begins: a node, a name for how it is held, and the group. A node may be there more than once."""

    nodes: NodeColumn
    names: tuple[str, ...]
    """As ``sys.modules``, ``thread 4242 handle() local 'rows'``, ``C variable in libfoo.so``."""
    groups: ByteColumn
    """:class:`Group`."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Equal strings (str and bytes) that exist more than once: a row for each text, most wasted bytes first."""

    nodes: NodeColumn
    """One of them."""
    counts: IntColumn
    wasted_bytes: IntColumn
    """What all but one of them take."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Containers that bound themselves: ``lru_cache`` wrappers, deques with ``maxlen``."""

    nodes: NodeColumn
    most: IntColumn


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything read from one heap. A quick one has no edges, roots, texts or numbers."""

    facts: dict[str, Any]
    """JSON: see :mod:`memtui.heap.facts`."""
    types: Types
    nodes: Nodes
    object_count: int
    edges: Edges
    roots: Roots
    field_names: tuple[str, ...]
    texts: Texts
    numbers: Numbers
    duplicates: Duplicates
    limits: Limits
    extra: dict[str, Any] = field(default_factory=dict)
    """JSON that travels with it: tracemalloc's groups, when tracing was on (``allocations``, ``tracebacks``)."""

    @property
    def is_quick(self) -> bool:
        """Types and sizes only."""
        return bool(self.facts.get("quick"))
