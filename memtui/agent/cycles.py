"""The checked collection: what the collector finds unreachable, by type, with cycles among it; all of it undone.

``gc.DEBUG_SAVEALL`` makes one full collection put what it found into ``gc.garbage`` instead of taking it apart. The
steps of a collection (``collect`` in ``Modules/gcmodule.c`` of CPython 3.8 to 3.12, ``gc_collect_main`` in
``Python/gc.c`` of 3.13) are: find what is unreachable, ``handle_weakrefs``, ``finalize_garbage``, ``delete_garbage``.
The flag changes only the last. So weak references to the garbage are cleared, their callbacks are called, and
``__del__`` runs, in this thread, exactly as in any forced collection; each object is marked as finalized, so none of
that happens again when the normal collection that follows frees it.

All that has to be undone is undone in the C call that does it (``_save_all``): no byte code of this thread runs from
the change of the flags to the end of the taking, so no other thread gets the GIL there, except while the program's
own finalizers and callbacks run. Then no other collection can run either, because the interpreter allows one at a
time. What is counted afterwards is held by this thread only. Frozen objects are not looked at by any collection.
"""

from __future__ import annotations

import gc
import sys
from _collections import _count_elements  # type: ignore[import-not-found]
from itertools import chain, starmap

from .native import NotPossible
from .pace import Pace, TooBusy
from .paths import find_cycles, flags_of, mro_of, name_space_of, short_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .pauses import Held

SLICE = 2000
MOST_SIZED = 200000
"""Objects whose size is asked for, the oldest and the youngest; those of the others are guessed by type."""
HEADER_BYTES = 16
"""Of the collector, before each object that it tracks."""
ATTEMPTS = 2
"""In 3.8 a collection whose finalizers bring an object back does nothing else; they run once."""
NOT_FREED_SHARE = 0.5
QUICK_SECONDS = 0.05
"""Whether objects are still there after they were to be freed takes one more collection: it is looked where that is
quick, and where few memory blocks were freed for each object."""
_HEAP_TYPE = 1 << 9


class NotNow(NotPossible):
    """A checked collection that is not made; its text is the sentence for the viewer."""


def check(held: Held, limit: int) -> dict[str, Any]:
    """One checked collection, then the normal one that frees what it found. Types with the most objects first.

    ``pause`` is the longest time the GIL was held in one piece, ``seconds`` that of all collections. Raises NotNow.
    """
    flags, enabled = gc.get_debug(), gc.isenabled()
    times: list[float] = []
    taken, before = _saved(held, times)
    answer = _described(taken, limit)
    answer.update(before=_counts(before, limit), before_count=len(before))
    freed = not flags & gc.DEBUG_SAVEALL  # with the program's own flag nothing is ever freed
    found = len(taken)
    del before[:], taken[:]
    left: list[list[Any]] = []
    if freed and found:
        blocks = sys.getallocatedblocks()
        held.call("collect", gc.collect)
        times.append(held.last_seconds)
        few = blocks - sys.getallocatedblocks() < NOT_FREED_SHARE * found
        if few or held.last_seconds < QUICK_SECONDS:
            left = _counts(_saved(held, times)[0], limit)
    answer.update(flags=flags, enabled=enabled, frozen=gc.get_freeze_count(), freed=freed, not_freed=left)
    answer.update(uncollectable=gc.get_stats()[-1]["uncollectable"], pause=max(times), seconds=sum(times))
    return answer


def _saved(held: Held, times: list[float]) -> tuple[list[Any], list[Any]]:
    """What a full collection finds, and what was in ``gc.garbage`` before. Raises NotNow."""
    mark = _leave_mark()
    for _ in range(ATTEMPTS):
        before: list[Any] = []
        taken: list[Any] = []
        garbage = gc.garbage
        if type(garbage) is not list:
            raise NotNow("The program put something else in the place of the list gc.garbage.")
        found, changed_to = held.call("checked collection", _save_all, garbage, before, taken)
        times.append(held.last_seconds)
        if changed_to != gc.DEBUG_SAVEALL:  # the program's finalizers or callbacks set others meanwhile
            gc.set_debug(changed_to)
        excess = len(taken) - found
        if excess > 0:  # put there by the program's own finalizers: it stays
            garbage[len(before) : len(before)] = taken[:excess]
            del taken[:excess]
        if _without_mark(taken, mark) or (found and _take_hidden(found, mark, taken)):
            return taken, before
    raise NotNow("Another thread of the program collects garbage at this moment. Try again.")


def _leave_mark() -> int:
    """Garbage of ours; its id. It is found by each collection that works, in the list that the collector fills."""
    own: list[Any] = []
    own.append(own)
    return id(own)


def _without_mark(taken: list[Any], mark: int) -> bool:
    """Take it out; it is among the youngest, which come last. False when it is not there."""
    for index in range(len(taken) - 1, -1, -1):
        if id(taken[index]) == mark:
            del taken[index][:], taken[index]
            return True
    return False


def _take_hidden(found: int, mark: int, taken: list[Any]) -> bool:
    """The program put another list in the place of ``gc.garbage``: the collector still fills the first one."""
    for one in gc.get_objects():
        if type(one) is list and len(one) >= found and one is not taken and mark in map(id, one[-found:]):
            taken.extend(one[-found:])
            del one[-found:]
            return _without_mark(taken, mark)
    return False


def _save_all(garbage: list[Any], before: list[Any], taken: list[Any]) -> tuple[int, int]:
    """Collect with the flag, take what was added to ``garbage`` out of it, and set the flags as they were.

    All in one call of a C function, whose iterators work one after the other. Returns how many objects the collector
    says it found, and the flags at its end.
    """
    flags = gc.get_debug()
    first = _once(slice, map(len, [before]), [None])
    again = _once(slice, map(len, [before]), [None])
    steps: Any = chain(
        _once(before.extend, [garbage]),
        _once(gc.set_debug, [gc.DEBUG_SAVEALL]),
        _once(gc.collect, [2]),
        starmap(gc.get_debug, [()]),
        _once(gc.set_debug, [flags]),
        _once(taken.extend, map(garbage.__getitem__, first)),
        _once(garbage.__delitem__, again),
    )
    results: list[Any] = []
    try:
        results.extend(steps)
    finally:
        if len(results) < 5:  # it failed half-way, for want of memory
            gc.set_debug(flags)
            del garbage[len(before) :]
    return results[2], results[3]


def _once(function: Callable[..., Any], *arguments: Any) -> Any:
    return map(function, *arguments)


def _described(taken: list[Any], limit: int) -> dict[str, Any]:
    """Counts and sizes by type, and cycles. Where C code keeps the GIL for seconds it stops half-way and says so."""
    objects = len(taken)
    rows: dict[int, list[Any]] = {}
    cycles: list[list[str]] = []
    complete = True
    pace = Pace()
    try:
        for start in range(0, objects, SLICE):
            part = taken[start : start + SLICE]
            _add_counts(rows, part)
            if start < MOST_SIZED // 2 or start >= objects - MOST_SIZED // 2:
                _add_sizes(rows, part)
            pace.give_way()
        cycles = find_cycles(taken, rows, pace)
    except TooBusy:
        complete = False
    named: dict[str, list[Any]] = {}
    for kind, count, sized, size_bytes in rows.values():
        row = named.setdefault(short_name(kind), [0, None])
        row[0] += count
        if sized:
            row[1] = (row[1] or 0) + size_bytes * count // sized
    types = sorted(([name, *row] for name, row in named.items()), key=_most)
    return {
        "objects": objects,
        "bytes": sum(row[2] or 0 for row in types),
        "types": types[:limit],
        "type_count": len(types),
        "complete": complete,
        "sampled": objects > MOST_SIZED,
        "cycles": cycles,
    }


def _most(row: list[Any]) -> tuple[int, str]:
    return (-row[1], row[0])


def _add_counts(rows: dict[int, list[Any]], part: list[Any]) -> None:
    kinds = list(map(type, part))
    counts: dict[int, int] = {}
    _count_elements(counts, map(id, kinds))
    if not counts.keys() <= rows.keys():
        for kind in kinds:
            if id(kind) not in rows:
                rows[id(kind)] = [kind, 0, 0, 0]
    for key, count in counts.items():
        rows[key][1] += count


def _add_sizes(rows: dict[int, list[Any]], part: list[Any]) -> None:
    sizers: dict[int, Any] = {}
    for one in part:
        key = id(type(one))
        sizer = sizers.get(key)
        if sizer is None:
            sizer = sizers[key] = _sizer(type(one))
        row = rows[key]
        row[2] += 1
        try:
            row[3] += sizer(one) + HEADER_BYTES
        except Exception:
            row[3] += HEADER_BYTES


def _sizer(kind: type) -> Any:
    """``__sizeof__`` of the nearest type that is written in C: it runs no code of the program."""
    for base in mro_of(kind):
        if not flags_of(base) & _HEAP_TYPE:
            found = name_space_of(base).get("__sizeof__")
            if found is not None:
                return found
    return object.__sizeof__


def _counts(objects: list[Any], limit: int) -> list[list[Any]]:
    """Name and count of each type, most first; bounded."""
    rows: dict[int, list[Any]] = {}
    _add_counts(rows, objects[:MOST_SIZED])
    named: dict[str, int] = {}
    for kind, count, _, _ in rows.values():
        named[short_name(kind)] = named.get(short_name(kind), 0) + count
    return sorted(([name, count] for name, count in named.items()), key=_most)[:limit]
