"""Native allocations: a recording under way, and what one says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NATIVE_SECONDS = 30.0
"""So long a recording takes, when nobody says otherwise."""
NATIVE_SLOWDOWN = "1.1 to 5 times slower"
"""CPU time with memray and native stacks over that without: medians of ten workloads on 3.11 and three on 3.13."""


class NativeKind(str, Enum):
    """Who asked for the memory."""

    EXTENSION = "extension"
    """An extension module, or a library it uses."""
    PYTHON = "python"
    """The interpreter itself, for Python code: objects too large for its arenas, tables, buffers."""
    ARENA = "arena"
    """The interpreter, as room for small objects of any kind."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class NativeFrame:
    """One function on a stack. ``file`` and ``line`` are None where there is no debug information."""

    function: str | None
    file: str | None
    line: int | None
    library: str | None = None
    """Path of the shared object, for a native frame."""
    address: int | None = None
    """Where in the shared object, as its file counts: all there is when the function's name was stripped."""


@dataclass(frozen=True, slots=True)
class NativeSite:
    """A place in native code, and what was allocated from there and not freed in the window.

    ``extension`` is the importable name where the library is a module (``multidict._multidict``), else the name of
    its file. ``native`` is the stack of the largest group, innermost first; ``python`` the Python frames above it.
    """

    kind: NativeKind
    library: str | None
    extension: str | None
    frame: NativeFrame
    size_bytes: int
    count: int
    python: tuple[NativeFrame, ...]
    native: tuple[NativeFrame, ...]


@dataclass(frozen=True, slots=True)
class NativeLibrary:
    """All that one shared object has allocated and not freed in the window."""

    kind: NativeKind
    library: str | None
    extension: str | None
    size_bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class NativeReport:
    """What a recording holds. ``sites`` and ``libraries`` have the largest first; ``site_count`` counts all sites.

    ``size_bytes`` and ``count``: allocated in the window and not freed before its end, without what memtui's agent
    allocated. ``seconds``: length of the window, None when the recording was cut off. ``peak_bytes``: the most that
    was allocated at once within it. ``by_address``: libraries were found by address; otherwise none is known.
    """

    pid: int
    command: str
    started_at: float
    seconds: float | None
    allocations: int
    peak_bytes: int
    size_bytes: int
    count: int
    has_native_traces: bool
    by_address: bool
    site_count: int
    sites: tuple[NativeSite, ...]
    libraries: tuple[NativeLibrary, ...]


@dataclass(frozen=True, slots=True)
class NativeProgress:
    """A recording in the session's target: what is being done, and the seconds left of it where that is known."""

    step: str
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class NativeResult:
    """A recording of the session's target that is over and was read.

    ``ended``: ``time``, ``size``, ``space`` (its file system is full), ``asked`` or ``died``. ``file``: where it is
    kept, None when it could not be. ``start_seconds``: what memray's start took in the process.
    """

    report: NativeReport
    file: str | None
    ended: str
    start_seconds: float
    at_seconds: float
    """Session time at its end."""
