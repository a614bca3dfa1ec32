"""Known answers about frames, generators, threads and the interpreter; see :mod:`memtui.heap.read.known`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from memtui.heap.picture import NOBODY, Kind
from memtui.heap.read.image import Indices
from memtui.heap.read.known import Answers, Question, field, sample
from memtui.heap.read.layout import ABSENT
from memtui.heap.read.roots import Heap, running_frames

_ONE = 1
_MOST_RUN = 0.5
"""A thread that is just being made may not be in order yet."""
_GLOBALS_OF_FUNCTION = 16
"""Since 3.10 (``Include/cpython/funcobject.h``); in 3.8 and 3.9, ``func_code`` is there."""
_DICT_OF_MODULE = 16
_RUNNING = 24
"""``gi_running`` until 3.9 (``Include/genobject.h``)."""
_LARGEST_THREAD_NUMBER = 1 << 22
_MOST_THREADS = 1000
_MODULES_KEYS, _BUILTINS_KEYS, _SYS_KEYS = {"sys", "builtins"}, {"len", "print"}, {"modules", "path"}


def about_frames(heap: Heap) -> Iterator[Question]:
    """Frames of generators that wait, and frame objects."""
    if heap.layout.has_new_frames:
        yield from _about_new_frames(heap)
    else:
        yield from _about_old_frames(heap)


def _about_new_frames(heap: Heap) -> Iterator[Question]:
    layout, words = heap.layout, heap.image.words
    rows = sample(heap, Kind.GENERATOR)
    base = heap.classes.body_bytes[heap.objects.row[rows]]
    frame = heap.objects.index[rows] + ((base - layout.frame_localsplus) >> 3)
    state = (words[frame - 1] >> np.uint64(24)).astype(np.uint8).astype(np.int8)
    frame = frame[state < 0]
    code = heap.numbering.lookup(words[frame + layout.frame_code // 8])
    has_code = (code >= 0) & (heap.classes.kinds[heap.objects.row[np.maximum(code, 0)]] == Kind.CODE)
    yield "generators that wait have code", has_code, 0.98, _ONE
    frame, code = frame[has_code], code[has_code]
    at = heap.objects.index[code]
    least = (words[at + layout.co_nlocalsplus // 8] >> np.uint64(32 * (layout.co_nlocalsplus >> 2 & 1))).astype(
        np.uint32
    )
    more = (words[at + layout.co_stacksize // 8] >> np.uint64(32 * (layout.co_stacksize >> 2 & 1))).astype(np.uint32)
    top = words[frame + layout.frame_stacktop // 8].astype(np.uint32)
    yield "generators that wait know their stack", (top >= least) & (top <= least + more), 0.98, _ONE
    globals_ = words[frame + layout.frame_globals // 8]
    function = heap.image.find(words[frame + layout.frame_globals // 8 - 1])
    known = function >= 0
    same = words[function[known] + _GLOBALS_OF_FUNCTION // 8] == globals_[known]
    yield "frames have the globals of their functions", same, 0.98, _ONE
    for name, offset in (("globals", layout.frame_globals), ("builtins", layout.frame_builtins)):
        yield f"frames have {name} in a dict", _is(heap, words[frame + offset // 8], Kind.DICT), 0.9, _ONE
    rows = sample(heap, Kind.FRAME)
    inner = heap.image.find(field(heap, rows, layout.frameobject_frame))
    inner = inner[inner >= 0]
    where = np.minimum(inner + layout.frame_code // 8, len(words) - 1)
    if len(rows):
        right = _is(heap, words[where], Kind.CODE)
        yield "frame objects have code", np.append(right, np.zeros(len(rows) - len(inner), bool)), 0.5, _ONE


def _is(heap: Heap, pointers: np.ndarray, kind: Kind) -> Answers:
    nodes = heap.numbering.lookup(pointers)
    right: Answers = (nodes >= 0) & (heap.classes.kinds[heap.objects.row[np.maximum(nodes, 0)]] == kind)
    return right


def _about_old_frames(heap: Heap) -> Iterator[Question]:
    layout = heap.layout
    rows = sample(heap, Kind.FRAME)
    code = field(heap, rows, layout.frameobject_code)
    yield "frame objects have code", _is(heap, code, Kind.CODE), 0.98, _ONE
    back = field(heap, rows, layout.frameobject_back)
    yield "frames go back to frames", _is(heap, back[back != 0], Kind.FRAME), 0.98, _ONE
    bottom = field(heap, rows, layout.frameobject_valuestack)
    slots = _variables(heap, rows)
    addresses = heap.image.addresses(heap.objects.index[rows])
    first = addresses + np.uint64(layout.frameobject_localsplus)
    yield "frames keep values behind their variables", bottom == first + (8 * slots).astype(np.uint64), 0.98, _ONE
    trace = field(heap, rows, layout.frameobject_trace)
    yield "frames are traced by objects", heap.numbering.lookup(trace[trace != 0]) != NOBODY, 0.9, _ONE
    generators = sample(heap, Kind.GENERATOR)
    if layout.frameobject_stackdepth != ABSENT:  # -1 while they run
        depth = field(heap, rows, layout.frameobject_stackdepth).astype(np.uint32).astype(np.int32)
        right = (depth >= -1) & (depth < 1 << 16)
    else:
        generators = generators[field(heap, generators, _RUNNING) & np.uint64(255) == 0]
        top = field(heap, rows, layout.frameobject_stacktop)
        right = (top >= bottom) & (top <= bottom + np.uint64(1 << 16))
    waiting = np.isin(addresses, field(heap, generators, 16))
    yield "generators that wait know their stack", right[waiting], 0.8, _ONE


def _variables(heap: Heap, rows: Indices) -> Indices:
    """Variables, cells and free variables of the code of frame objects."""
    layout, image = heap.layout, heap.image
    code = image.find(field(heap, rows, layout.frameobject_code))
    total = np.zeros(len(rows), np.int64)
    for offset in (layout.co_varnames, layout.co_cellvars, layout.co_freevars):
        names = image.find(image.words[np.maximum(code, 0) + offset // 8])
        total += np.where(names >= 0, image.words[np.maximum(names, 0) + 2].astype(np.int64), 0)
    return total


def about_interpreter(heap: Heap, interpreter: int) -> Iterator[Question]:
    """What the interpreter and its threads refer to. Needs references."""
    layout, image = heap.layout, heap.image
    dicts = (
        ("modules", layout.interpreter_modules, _MODULES_KEYS),
        ("builtins", layout.interpreter_builtins, _BUILTINS_KEYS),
        ("variables of sys", layout.interpreter_sysdict, _SYS_KEYS),
    )
    for name, offset, keys in dicts:
        right = keys <= _keys(heap, heap.at(interpreter + offset))
        yield f"the interpreter knows its {name}", np.array([right]), 1.0, _ONE
    threads = _threads(heap, interpreter)
    owner = [image.word(thread + layout.thread_next + 8) == interpreter for thread in threads]
    owner += [
        image.word(thread + layout.thread_next - 8) == before
        for before, thread in zip([0, *threads], threads, strict=False)
    ]
    yield "threads belong to the interpreter", np.array(owner or [False]), 1.0, _ONE
    own = [heap.at(thread + layout.thread_dict) for thread in threads if image.word(thread + layout.thread_dict)]
    right_kind = [one != NOBODY and heap.kind(one) is Kind.DICT for one in own]
    yield "threads have dicts of their own", np.array(right_kind, bool), 1.0, _ONE
    if layout.thread_native_id != ABSENT:
        numbers = np.array([heap.number(thread + layout.thread_native_id, 8) for thread in threads], np.uint64)
        yield "threads have numbers", (numbers > 0) & (numbers < _LARGEST_THREAD_NUMBER), 0.9, _ONE
    runs = [one for one in (_runs(heap, thread) for thread in threads) if one is not None]
    if runs or _is_program(heap, interpreter):
        yield "threads run functions", np.array([np.mean(runs or [False]) >= _MOST_RUN]), 1.0, _ONE


def _keys(heap: Heap, node: int) -> set[str | None]:
    if node == NOBODY or heap.kind(node) is not Kind.DICT:
        return set()
    return {heap.text(key) for key in heap.edges.of(node).numbers.tolist() if key != NOBODY}


def _threads(heap: Heap, interpreter: int) -> list[int]:
    """Addresses of the states of threads."""
    found: list[int] = []
    thread = heap.image.word(interpreter + heap.layout.interpreter_threads)
    while thread and thread not in found and len(found) < _MOST_THREADS:
        found.append(thread)
        thread = heap.image.word(thread + heap.layout.thread_next)
    return found


def _is_program(heap: Heap, interpreter: int) -> bool:
    """Whether ``__main__`` has a file: then a thread runs it. An interpreter in another program may do nothing."""
    modules = heap.edges.of(heap.at(interpreter + heap.layout.interpreter_modules))
    for key, node in zip(modules.numbers.tolist(), modules.targets.tolist(), strict=True):
        if key != NOBODY and heap.text(key) == "__main__":
            return "__file__" in _keys(heap, heap.at(heap.address(node) + _DICT_OF_MODULE))
    return False


def _runs(heap: Heap, thread: int) -> bool | None:
    """Whether a thread's innermost frame has code, and all that it goes back to are frames; None: it has none."""
    if not heap.layout.has_new_frames:
        node = heap.at(thread + heap.layout.thread_frame)
        if not heap.image.word(thread + heap.layout.thread_frame):
            return None
        return node != NOBODY and heap.kind(node) is Kind.FRAME
    codes = [heap.at(frame + heap.layout.frame_code) for frame in running_frames(heap.image, heap.layout, thread)]
    if not codes:
        return None
    return all(code != NOBODY for code in codes) and heap.kind(codes[0]) is Kind.CODE
