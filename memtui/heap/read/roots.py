"""Where references begin: modules, running functions, the interpreter's own state, and variables of C code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from memtui.heap.picture import NOBODY, Group, Kind, Link, Roots
from memtui.heap.read.classes import Classes
from memtui.heap.read.image import Image, Indices
from memtui.heap.read.layout import ABSENT, Layout
from memtui.heap.read.objects import Objects
from memtui.heap.read.stretches import Gathered, Numbering

_MOST_THREADS = 20_000
_MOST_FRAMES = 20_000
_MOST_STATE_BYTES = 1 << 20
_IMMORTAL = 0xFFFFFFFF
_OWNER_BEHIND_STACKTOP, _OWNED_BY_C_STACK = 6, 3
"""``owner`` of ``_PyInterpreterFrame`` and ``FRAME_OWNED_BY_CSTACK`` (``pycore_frame.h``)."""
_FRAME_BACK = 24
"""Where a frame object keeps ``f_back`` until 3.10."""


@dataclass(slots=True)
class Found:
    """Roots found so far; ``references``: how many references from them each object has."""

    references: Indices
    nodes: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    modules: int = NOBODY
    """The dict ``sys.modules``."""

    def add_unknown(self, node: int) -> None:
        """Something that was not found holds this object."""
        self.add(node, "C code", Group.UNKNOWN)

    def add(self, node: int, name: str, group: Group, counted: bool = True) -> None:
        """One more; ``counted`` when it is a reference of its own that the object's count includes."""
        if node != NOBODY:
            self.nodes.append(node)
            self.names.append(name)
            self.groups.append(int(group))
            self.references[node] += counted

    def columns(self) -> Roots:
        """As the picture has them."""
        return Roots(np.array(self.nodes, np.int32), tuple(self.names), np.array(self.groups, np.uint8))


@dataclass(frozen=True, slots=True)
class Heap:
    """What finding roots needs to know; ``text`` gives the string of a node."""

    image: Image
    classes: Classes
    layout: Layout
    objects: Objects
    numbering: Numbering
    edges: Gathered
    text: Callable[[int], str | None]

    def at(self, address: int) -> int:
        """The object that a pointer at ``address`` leads to, or NOBODY."""
        pointer = self.image.word(address)
        return self.numbering.one(pointer) if pointer else NOBODY

    def address(self, node: int) -> int:
        """Where a node is."""
        return int(self.image.addresses(self.objects.index[node : node + 1])[0])

    def kind(self, node: int) -> Kind:
        """Kind of a node."""
        return Kind(self.classes.kinds[self.objects.row[node]])

    def number(self, address: int, size: int) -> int:
        """An unsigned number of ``size`` bytes."""
        return int.from_bytes(self.image.read(address, size), "little")


def find_roots(heap: Heap, interpreter: int) -> Found:
    """All roots. ``interpreter``: address of the main interpreter's state, 0 when it is not known."""
    found = Found(np.zeros(len(heap.objects), np.int64))
    modules = found.modules = heap.at(interpreter + heap.layout.interpreter_modules) if interpreter else NOBODY
    if modules == NOBODY or not _is_modules(heap, modules):
        modules = found.modules = search_modules(heap)
        found.add(modules, "sys.modules", Group.MODULES, counted=False)
    else:
        found.add(modules, "sys.modules", Group.MODULES, counted=False)
        _add_interpreter(heap, found, interpreter)
    _add_static(heap, found)
    _add_interned(heap, found)
    return found


def _add_interned(heap: Heap, found: Found) -> None:
    """Since 3.12 interned strings live for ever; what nothing else holds is held by the table of them."""
    if heap.layout.minor < (3, 12):
        return
    objects = heap.objects
    is_str = heap.classes.kinds[objects.row] == Kind.STR
    held = np.zeros(len(objects), bool)
    held[heap.edges.targets] = True
    immortal = heap.image.words[objects.index] & np.uint64(0xFFFFFFFF) >= np.uint64(_IMMORTAL)
    for node in np.flatnonzero(is_str & immortal & ~held & ~objects.static).tolist():
        found.add(node, "interned strings", Group.INTERPRETER, counted=False)


def _is_modules(heap: Heap, node: int) -> bool:
    """Whether a dict is ``sys.modules``: ``sys`` and ``builtins`` are among its keys."""
    if heap.kind(node) is not Kind.DICT:
        return False
    keys = {heap.text(key) for key in heap.edges.of(node).numbers.tolist() if key != NOBODY}
    return {"sys", "builtins"} <= keys


def search_modules(heap: Heap) -> int:
    """``sys.modules`` without knowing where the interpreter keeps it; NOBODY when there is no such dict."""
    module = np.array([one.name == "module" for one in heap.classes.raw], bool)[heap.objects.row]
    edges = heap.edges
    values = (edges.links == Link.VALUE) & module[edges.targets]
    holders, counts = np.unique(edges.sources[values], return_counts=True)
    for node in holders[np.argsort(-counts, kind="stable")][:20].tolist():
        if _is_modules(heap, node):
            return int(node)
    return NOBODY


def _add_interpreter(heap: Heap, found: Found, interpreter: int) -> None:
    layout = heap.layout
    named = {
        layout.interpreter_modules: "sys.modules",
        layout.interpreter_builtins: "builtins",
        layout.interpreter_sysdict: "sys.__dict__",
    }
    for offset, node in _state(heap, interpreter, layout.interpreter_size):
        if offset == layout.interpreter_modules:
            found.references[node] += 1
        else:
            found.add(node, named.get(offset, "interpreter state"), Group.INTERPRETER)
    thread = heap.image.word(interpreter + layout.interpreter_threads)
    seen: set[int] = set()
    while thread and thread not in seen and len(seen) < _MOST_THREADS:
        seen.add(thread)
        name = f"thread {_thread_number(heap, thread, len(seen))}"
        for offset, node in _state(heap, thread, layout.thread_size):
            what = "thread dict" if offset == layout.thread_dict else "state"
            if offset == layout.thread_frame:
                found.references[node] += 1
            else:
                found.add(node, f"{name} {what}", Group.INTERPRETER)
        for node, variable in _running(heap, thread):
            found.add(node, f"{name} {variable}", Group.FRAMES)
        for node, function in _frame_objects(heap, thread):
            found.add(node, f"{name} {function}", Group.FRAMES, counted=False)
        thread = heap.image.word(thread + layout.thread_next)


def _state(heap: Heap, address: int, size: int) -> Iterator[tuple[int, int]]:
    """Offsets and nodes of what a C structure refers to."""
    data = heap.image.read(address, min(size, _MOST_STATE_BYTES) & ~7)
    nodes = heap.numbering.lookup(np.frombuffer(data, np.uint64))
    for word in np.flatnonzero(nodes >= 0).tolist():
        yield word * 8, int(nodes[word])


def _thread_number(heap: Heap, thread: int, ordinal: int) -> str:
    """The system's number of a thread (3.11 and newer), else ``#`` and which it is."""
    offset = heap.layout.thread_native_id
    number = heap.number(thread + offset, 8) & 0xFFFFFFFF if offset != ABSENT else 0
    return str(number) if number else f"#{ordinal}"


def running_frames(image: Image, layout: Layout, thread: int) -> Iterator[int]:
    """Addresses of the frames of a thread, innermost first (3.11 and newer: older have objects)."""
    if not layout.has_new_frames:
        return
    if layout.thread_frame != ABSENT:
        frame = image.word(thread + layout.thread_frame)
    else:
        frame = image.word(image.word(thread + layout.thread_cframe) + layout.cframe_frame)
    for _ in range(_MOST_FRAMES):
        if not frame:
            return
        yield frame
        frame = image.word(frame + layout.frame_previous)


def _running(heap: Heap, thread: int) -> Iterator[tuple[int, str]]:
    """Local variables of the functions that a thread runs."""
    for frame in running_frames(heap.image, heap.layout, thread):
        code = heap.at(frame + heap.layout.frame_code)
        if code != NOBODY and heap.kind(code) is Kind.CODE and not _is_border(heap, frame):
            yield from _variables(heap, frame, code)


def _is_border(heap: Heap, frame: int) -> bool:
    """Since 3.12: the frame, on the stack of C, from which C code called Python. It has no variables."""
    if heap.layout.minor < (3, 12):
        return False
    return heap.number(frame + heap.layout.frame_stacktop + _OWNER_BEHIND_STACKTOP, 1) == _OWNED_BY_C_STACK


def _frame_objects(heap: Heap, thread: int) -> Iterator[tuple[int, str]]:
    """Until 3.10: frames of the functions that a thread runs, innermost first."""
    layout = heap.layout
    if layout.has_new_frames:
        return
    node = heap.at(thread + layout.thread_frame)
    for _ in range(_MOST_FRAMES):
        if node == NOBODY or heap.kind(node) is not Kind.FRAME:
            return
        at = heap.address(node)
        code = heap.at(at + layout.frameobject_code)
        name = heap.text(heap.at(heap.address(code) + layout.co_name)) if code != NOBODY else None
        yield node, f"{name or '?'}()"
        node = heap.at(at + _FRAME_BACK)


def _variables(heap: Heap, frame: int, code: int) -> Iterator[tuple[int, str]]:
    layout, image = heap.layout, heap.image
    at = heap.address(code)
    name = heap.text(heap.at(at + layout.co_name)) or "?"
    count = heap.number(at + layout.co_nlocalsplus, 4)
    names = image.word(at + layout.co_localsplusnames) + layout.tuple_items
    most = count + heap.number(at + layout.co_stacksize, 4)
    top = heap.number(frame + layout.frame_stacktop, 4)
    slots = top if top <= most else most  # of the function that runs just now it is not known
    data = image.read(frame + layout.frame_localsplus, slots * 8)
    nodes = heap.numbering.lookup(np.frombuffer(data, np.uint64))
    for slot in np.flatnonzero(nodes >= 0).tolist():
        variable = heap.text(heap.at(names + 8 * slot)) if slot < count else None
        what = f"local {variable!r}" if variable else "value stack"
        yield int(nodes[slot]), f"{name}() {what}"
    for offset in range(0, layout.frame_localsplus, 8):
        if offset in (layout.frame_previous, layout.frame_globals, layout.frame_builtins):
            continue  # not held
        if (node := heap.at(frame + offset)) != NOBODY:
            yield node, f"{name}() frame"


def stacks_to_read(image: Image, layout: Layout, runtime: int) -> Iterator[int]:
    """Addresses on stacks of threads to be read beside the image, each before the next is asked for.

    There 3.11 and 3.12 keep which frame is in use, and since 3.12 there are frames from which C code called Python.
    """
    if not layout.has_new_frames or not runtime:
        return
    thread = image.word(image.word(runtime + layout.runtime_main) + layout.interpreter_threads)
    seen: set[int] = set()
    while thread and thread not in seen and len(seen) < _MOST_THREADS:
        seen.add(thread)
        if layout.thread_cframe != ABSENT:
            yield image.word(thread + layout.thread_cframe)
        for frame in running_frames(image, layout, thread):
            if image.find_one(frame) < 0:
                yield frame
                yield frame + layout.frame_localsplus
        thread = image.word(thread + layout.thread_next)


def _add_static(heap: Heap, found: Found) -> None:
    """Words in the data of files that belong to no object but refer to one."""
    image, objects = heap.image, heap.objects
    ends = objects.index + ((objects.body_bytes + 7) >> 3)
    for number, region in enumerate(image.regions):
        if not (region.is_static or region.near_file):
            continue
        first, last = int(image.first_words[number]), int(image.first_words[number + 1])
        begin, end = np.searchsorted(objects.index, [first, last])
        covered = np.zeros(last - first + 1, np.int64)
        np.add.at(covered, objects.index[begin:end] - first, 1)
        np.add.at(covered, np.minimum(ends[begin:end], last) - first, -1)
        free = np.cumsum(covered[:-1]) <= 0
        nodes = heap.numbering.lookup(image.words[first:last][free])
        path = region.path or (image.regions[number - 1].path if number else "")
        name = f"C variable in {os.path.basename(path)}" if path else "C variable"
        for node in nodes[nodes >= 0].tolist():
            found.add(int(node), name, Group.STATIC)
