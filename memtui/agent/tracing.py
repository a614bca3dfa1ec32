"""tracemalloc on behalf of the viewers: on for the first, off after the last, left as found; and its figures."""

from __future__ import annotations

import _tracemalloc
import sys
from posix import getpid
from time import monotonic

from .originals import original
from .pace import Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .pauses import Held

OWN_FILE = "<memtui-agent"
SLICE = 20000
MAX_FRAMES = 100
MAX_FRAMES_IN_REPLY = 800000
MAX_TRACES = 4000000
_RAW_DOMAIN, _ALLOCATOR_BYTES = 0, 40
_NAP_SECONDS, _PROMPT_SECONDS, _PROMPT_NAPS = 0.005, 0.002, 8
_LEAST_SECONDS, _SECONDS_PER_THREAD, _MOST_SECONDS = 0.1, 0.04, 2.0
TRACE_BYTES = 59
"""Of tracemalloc's own memory, for each live trace."""
_PLACES = ("_memtui_agent.tracing", "memtui.agent.tracing")
"""Where this module is: in the agent, and where the program itself uses memtui. Each minds the other's holders."""

holders: list[tuple[int, object]] = []
"""Who needs tracing, each with the process it is in: a forked child has a copy of this list, but not of them."""


def held_elsewhere() -> bool:
    """Whether the other memtui in this process, if there is one, needs tracing."""
    home = getpid()
    spaces = [sys.modules[name].__dict__ for name in _PLACES if name in sys.modules]
    return any(pid == home for one in spaces if one is not globals() for pid, _ in one.get("holders", ()))


class Tracing:
    """Who holds tracemalloc. Tracing that the program began itself is never stopped.

    ``own_files`` are the beginnings of the names of the files whose allocations are memtui's own.
    """

    __slots__ = ("_allocators", "_held", "_own_files", "found_on")

    def __init__(self, held: Held, own_files: tuple[str, ...] = (OWN_FILE,)) -> None:
        self._held = held
        self._own_files = own_files
        self.found_on = False
        self._allocators = RawAllocators()
        self._look()

    def state(self) -> dict[str, Any]:
        """What a sample says; sizes in bytes, None when tracing is off."""
        self._look()
        on = _tracemalloc.is_tracing()
        traced, peak = _tracemalloc.get_traced_memory() if on else (None, None)
        return {
            "on": on,
            "frames": _tracemalloc.get_traceback_limit(),
            "traced": traced,
            "peak": peak,
            "overhead": _tracemalloc.get_tracemalloc_memory() if on else None,
            "found_on": self.found_on,
        }

    def start(self, viewer: object, frames: int) -> dict[str, Any]:
        """Trace for ``viewer``. Where tracing is on already it keeps its number of frames."""
        self._look()
        started = not _tracemalloc.is_tracing()
        if started:
            self._allocators.note(_tracemalloc.start, frames)
        if not self.found_on and not self._holds(viewer):
            holders.append((getpid(), viewer))
        return {"started": started, "frames": _tracemalloc.get_traceback_limit(), "found_on": self.found_on}

    def release(self, viewer: object) -> dict[str, Any]:
        """``viewer`` needs no tracing any more; stops it when nobody else does."""
        self._look()
        stopped, why = False, ""
        if self._holds(viewer):
            holders[:] = [one for one in holders if one[1] is not viewer]
            stopped = not holders and not held_elsewhere()
            if stopped:
                self._allocators.put_back()
            if stopped and _tracemalloc.is_tracing() and not holders:
                self._held.call("stop tracing", _tracemalloc.stop)
        if self.found_on:
            why = "The program switched tracing on itself."
        elif holders or held_elsewhere():
            why = "Another viewer uses it."
        return {"stopped": stopped, "left_on": _tracemalloc.is_tracing(), "why": why}

    def estimated_traces(self) -> int:
        """About how many live traces there are."""
        return _tracemalloc.get_tracemalloc_memory() // TRACE_BYTES

    def allocations(self, by: str, limit: int) -> dict[str, Any]:
        """The largest groups of live traced memory by line, file or traceback, without the agent's own."""
        sizes = sizes_by_traceback(self._held.call("read traces", _tracemalloc._get_traces))
        pause = self._held.last_seconds
        groups = groups_of(sizes, by)
        own = take_own(groups, self._own_files)
        return dict(table(groups, limit), by=by, own_bytes=own, pause=pause)

    def _look(self) -> None:
        """Learn what the program did meanwhile: it may start or stop tracing at any time."""
        on, home = _tracemalloc.is_tracing(), getpid()
        if holders:
            holders[:] = [one for one in holders if on and one[0] == home]
        if not holders:
            self.found_on = on and not held_elsewhere()

    def _holds(self, viewer: object) -> bool:
        return any(one[1] is viewer for one in holders)


class RawAllocators:
    """Python's allocator for C code without the GIL, put back some time before tracing ends.

    A thread that allocates without the GIL, as zlib and lzma do, waits for it in order to be traced. Where
    ``tracemalloc.stop`` comes first it crashes (cpython issue 128679, repaired in 3.12.9 and 3.13.2). So no new ones
    are let in, and those that wait get the GIL before tracing is stopped.
    """

    __slots__ = ("_before", "_get", "_set", "_since")

    def __init__(self) -> None:
        self._before = self._since = b""
        self._get: Any = None
        self._set: Any = None

    def note(self, start: Callable[[int], None], frames: int) -> None:
        """Start tracing; which allocator there was before, and which since."""
        self._before = b""
        try:
            if self._get is None:
                self._get, self._set = _allocator_functions()
            before = self._now()
        except Exception:  # without ctypes, or the program forbids it
            start(frames)
            return
        start(frames)
        self._before, self._since = before, self._now()

    def put_back(self) -> None:
        """Unless somebody else has changed it. Gives the GIL away, until all who wait for it now have had it."""
        if self._before and self._now() == self._since:
            self._set(_RAW_DOMAIN, self._before)
            _let_all_have_the_gil()

    def _now(self) -> bytes:
        allocator = bytes(_ALLOCATOR_BYTES)
        self._get(_RAW_DOMAIN, allocator)
        return allocator


def _let_all_have_the_gil() -> None:
    """Until it comes back at once several times; or so long that each thread has very probably had its turn."""
    nap, threads = original("time", "sleep"), 1 + original("_thread", "_count")()
    now = monotonic()
    end = now + min(_MOST_SECONDS, _LEAST_SECONDS + _SECONDS_PER_THREAD * threads)
    prompt = 0
    while prompt < _PROMPT_NAPS and now < end:
        nap(_NAP_SECONDS)
        before, now = now, monotonic()
        prompt = prompt + 1 if now - before < _NAP_SECONDS + _PROMPT_SECONDS else 0


def _allocator_functions() -> list[Any]:
    """``PyMem_GetAllocator`` and ``PyMem_SetAllocator``, called with the GIL held. Raises where there are none."""
    import _ctypes

    base: Any = _ctypes.CFuncPtr
    flags = {"_flags_": 1 | 4, "_restype_": None}  # FUNCFLAG_CDECL, FUNCFLAG_PYTHONAPI
    function = type(base)("Function", (base,), flags)
    library: Any = None  # the program itself
    handle = _ctypes.dlopen(library, 0)
    return [function(_ctypes.dlsym(handle, name)) for name in ("PyMem_GetAllocator", "PyMem_SetAllocator")]


def sizes_by_traceback(raw: list[Any]) -> dict[Any, list[int]]:
    """Sizes of the raw traces of each traceback; empties ``raw``.

    Raises TooBusy. Whatever this allocates is itself traced as long as tracing is on, so it makes nothing new for a
    trace.
    """
    sizes: dict[Any, list[int]] = {}
    pace = Pace()
    while raw:
        part = raw[-SLICE:]
        del raw[-SLICE:]
        for trace in part:
            try:
                sizes[trace[2]].append(trace[1])
            except KeyError:
                sizes[trace[2]] = [trace[1]]
        pace.give_way()
    return sizes


def groups_of(sizes: dict[Any, list[int]], by: str) -> dict[Any, list[int]]:
    """``[size, count]`` of each line, file or traceback, keyed by frames (newest first); empties ``sizes``."""
    groups: dict[Any, list[int]] = {}
    done, pace = 0, Pace()
    while sizes:
        key, one = sizes.popitem()
        if by == "line":
            key = key[:1]
        elif by == "file":
            key = ((key[0][0], 0),)
        group = groups.setdefault(key, [0, 0])
        group[0] += sum(one)
        group[1] += len(one)
        done += 1
        if done % SLICE == 0:
            pace.give_way()
    return groups


def take_own(groups: dict[Any, list[int]], own_files: tuple[str, ...] = (OWN_FILE,)) -> int:
    """Remove the groups that memtui allocated itself; returns their bytes."""
    own = [key for key in groups if key[0][0].startswith(own_files)]
    return sum(groups.pop(key)[0] for key in own)


def table(groups: dict[Any, list[int]], limit: int) -> dict[str, Any]:
    """The largest groups as they travel, file names by index."""
    index: dict[str, int] = {}
    rows: list[Any] = []
    frames = 0
    for key, (size, count) in _largest(groups, limit):
        frames += len(key)
        if frames > MAX_FRAMES_IN_REPLY:
            break
        rows.append([size, count, [[index.setdefault(file, len(index)), line] for file, line in key]])
    return {
        "files": list(index),
        "groups": rows,
        "total_bytes": sum(group[0] for group in groups.values()),
        "total_count": sum(group[1] for group in groups.values()),
        "group_count": len(groups),
    }


def _largest(groups: dict[Any, list[int]], limit: int) -> list[Any]:
    # Sorting plain numbers is quick; only the rows above the cut are then sorted properly.
    sizes = sorted((group[0] for group in groups.values()), reverse=True)
    cut = sizes[limit - 1] if len(sizes) > limit else 0
    rows = [one for one in groups.items() if one[1][0] >= cut]
    rows.sort(key=lambda one: (-one[1][0], -one[1][1], one[0]))
    return rows[:limit]
