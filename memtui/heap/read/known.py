"""Known answers: what must be at certain places when the table of offsets is that of the Python that is read.

Each question is put to all objects of a kind, or to thousands of them; each field of :class:`Layout` that the reader
uses is in at least one. ``checks.py`` says what comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import NOBODY, Kind, Link
from memtui.heap.read.classes import HAVE_GC, HEAP_TYPE
from memtui.heap.read.dicts import read_keys
from memtui.heap.read.image import Indices, Words
from memtui.heap.read.layout import ABSENT
from memtui.heap.read.objects import in_front_bytes
from memtui.heap.read.pools import blocks_at
from memtui.heap.read.roots import Heap

Answers = NDArray[Any]
"""One of each case: true where it is as it should be."""
Question = tuple[str, Answers, float, int]
"""Its name, the answers, which share of them must be right, and how many are the fewest that prove anything."""

MOST_LOOKED_AT = 20_000
_MANY, _ONE = 20, 1
_AS_ASYNC_BEHIND_ITEMSIZE = 40
"""``tp_as_async`` of a class leads to the methods right behind the ``PyTypeObject`` in it (``type_new``)."""
_BUFFER_BEHIND_ALLOCATED = 32
_LARGEST_THREAD_NUMBER = 1 << 22


def about_types(heap: Heap) -> Iterator[Question]:
    """Sizes that types give of themselves, and the fields of type objects."""
    yield "types are as long as they should be", _lengths(heap), 1.0, _ONE
    layout, classes = heap.layout, heap.classes
    on_heap = classes.addresses[classes.has(HEAP_TYPE)]
    everyone = classes.addresses
    yield "classes have bases", _leads_to(heap, everyone, layout.tp_bases, Kind.TUPLE), 0.9, _MANY
    yield "classes are no base of themselves", _own_base(heap), 0.9, _MANY
    yield "classes are first in their own order of resolution", _mro(heap), 0.9, _MANY
    yield "classes have no cache", _at(heap, everyone, layout.tp_cache) == 0, 0.9, _MANY
    yield "classes have subclasses in a dict", _leads_to(heap, on_heap, layout.tp_subclasses, Kind.DICT), 0.9, _ONE
    yield "classes have attributes in a dict", _leads_to(heap, on_heap, layout.tp_dict, Kind.DICT), 0.9, _MANY
    yield "classes have their names", _names(heap, on_heap), 0.6, _ONE
    yield "slots of classes are tuples", _leads_to(heap, on_heap, layout.ht_slots, Kind.TUPLE), 0.9, _ONE
    yield "classes begin with a type", _methods_behind(heap, on_heap), 0.6, _ONE
    yield "keys that classes share are keys", _shared_keys(heap, on_heap), 0.9, _ONE
    if layout.ht_module != ABSENT:
        yield "classes have modules", _leads_to_type(heap, on_heap, layout.ht_module, "module"), 0.9, _ONE
    if layout.ht_getitem != ABSENT:
        yield "classes remember functions", _leads_to_type(heap, on_heap, layout.ht_getitem, "function"), 0.9, _ONE


def about_containers(heap: Heap) -> Iterator[Question]:
    """Tables of lists, dicts and sets; callbacks of weak references; strings in blocks as large as they are."""
    layout = heap.layout
    rows = sample(heap, Kind.LIST)
    length = field(heap, rows, 16)
    yield "lists have room for their items", length <= field(heap, rows, layout.list_allocated), 0.995, _MANY
    rows = rows[length > 0]
    yield "lists have their items in a table", heap.image.find(field(heap, rows, layout.list_items)) >= 0, 0.9, _MANY
    yield "dicts have as many free entries as there is room for", _free_entries(heap), 0.9, _MANY
    rows = sample(heap, Kind.SET)
    small = rows[field(heap, rows, layout.set_mask) == 7]
    inside = field(heap, small, layout.set_table) == _addresses(heap, small) + np.uint64(layout.set_smalltable)
    yield "small sets have their table inside", inside, 0.8, _ONE
    rows = sample(heap, Kind.WEAKREF)
    callbacks = field(heap, rows, layout.weakref_callback)
    lead = heap.numbering.lookup(callbacks) != NOBODY
    yield "callbacks of weak references are objects", lead[callbacks != 0], 0.9, _ONE
    for kind in (Kind.STR, Kind.GENERATOR):
        if kind is Kind.STR or layout.has_new_frames:
            yield f"blocks are as large as a {kind.name.lower()}", _blocks(heap, kind), 0.9, _MANY
    yield "encoded texts have a length", _encoded(heap), 0.9, _ONE


def about_elements(heap: Heap) -> Iterator[Question]:
    """Those of sets, which need the references."""
    rows = sample(heap, Kind.SET)
    counts = np.bincount(heap.edges.sources[heap.edges.links == Link.ELEMENT], minlength=len(heap.objects))
    used = field(heap, rows, heap.layout.set_used).astype(np.int64)
    # What was removed leaves a mark behind that is an object, too.
    yield "sets have as many elements as they say", (used <= counts[rows])[used > 0], 0.9, _ONE
    mark = field(heap, rows, heap.layout.set_used) <= field(heap, rows, heap.layout.set_mask)
    yield "sets have room for their elements", mark, 0.98, _ONE
    empty = rows[counts[rows] == 0]
    yield "sets without elements say so", field(heap, empty, heap.layout.set_used) == 0, 0.9, _ONE


def about_code(heap: Heap) -> Iterator[Question]:
    """Names, and how many variables there are."""
    layout = heap.layout
    rows = sample(heap, Kind.CODE)
    yield "code has a name", _kinds_at(heap, field(heap, rows, layout.co_name)) == Kind.STR, 0.9, _MANY
    yield "code has a file", _kinds_at(heap, field(heap, rows, layout.co_filename)) == Kind.STR, 0.9, _MANY
    if layout.co_localsplusnames != ABSENT:
        names = field(heap, rows, layout.co_localsplusnames)
        yield (
            "code has names for its variables",
            _tuple_of(heap, names, _half(heap, rows, layout.co_nlocalsplus)),
            0.98,
            _MANY,
        )
        yield "names of code end its qualified names", _qualified(heap, rows[:: max(1, len(rows) // 500)]), 0.8, _MANY
    else:
        names = field(heap, rows, layout.co_varnames)
        yield (
            "code has names for its variables",
            _tuple_of(heap, names, _half(heap, rows, layout.co_stacksize - 4)),
            0.98,
            _MANY,
        )
        for offset in (layout.co_cellvars, layout.co_freevars):
            kinds = _kinds_at(heap, field(heap, rows, offset))
            yield "code has names for its cells", kinds == Kind.TUPLE, 0.9, _MANY
    if layout.co_cached != ABSENT:
        cache = field(heap, rows, layout.co_cached)
        yield "code has a cache or none", (cache == 0) | (heap.image.find(cache) >= 0), 0.9, _MANY


def sample(heap: Heap, kind: Kind) -> Indices:
    """Objects of a kind, and not too many of them."""
    rows = np.flatnonzero(heap.classes.kinds[heap.objects.row] == kind)
    return rows[:: max(1, len(rows) // MOST_LOOKED_AT)]


def field(heap: Heap, rows: Indices, offset: int) -> Words:
    """The word at an offset of each object."""
    last = len(heap.image.words) - 1
    words: Words = heap.image.words[np.minimum(heap.objects.index[rows] + (offset >> 3), last)]
    return words


def _half(heap: Heap, rows: Indices, offset: int) -> Indices:
    words = field(heap, rows, offset) >> np.uint64(32 * (offset >> 2 & 1))
    halves: Indices = (words & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return halves


def _at(heap: Heap, addresses: Words, offset: int) -> Words:
    """The word at an offset from each address; 0 where there is none."""
    found = heap.image.find(addresses + np.uint64(offset))
    return np.where(found >= 0, heap.image.words[np.maximum(found, 0)], np.uint64(0))


def _addresses(heap: Heap, rows: Indices) -> Words:
    return heap.image.addresses(heap.objects.index[rows])


def _kinds_at(heap: Heap, pointers: Words) -> Indices:
    """Kind of the object at each address; -1 where none begins."""
    nodes = heap.numbering.lookup(pointers)
    return np.where(nodes >= 0, heap.classes.kinds[heap.objects.row[np.maximum(nodes, 0)]].astype(np.int64), -1)


def _leads_to(heap: Heap, addresses: Words, offset: int, kind: Kind) -> Answers:
    """Of those that are no null pointer (or small number): whether they lead to an object of a kind."""
    pointers = _at(heap, addresses, offset)
    answers: Answers = _kinds_at(heap, pointers[pointers > np.uint64(4096)]) == kind
    return answers


def _leads_to_type(heap: Heap, addresses: Words, offset: int, name: str) -> Answers:
    pointers = _at(heap, addresses, offset)
    nodes = heap.numbering.lookup(pointers[pointers != 0])
    right = np.array([one.name == name for one in heap.classes.raw], bool)
    answers: Answers = (nodes >= 0) & right[heap.objects.row[np.maximum(nodes, 0)]]
    return answers


def _lengths(heap: Heap) -> Answers:
    layout = heap.layout
    raw = {one.name: one for one in reversed(heap.classes.raw)}
    wanted = {
        "object": 16, "type": layout.heap_type_size, "dict": layout.dict_size, "str": layout.unicode_size,
        "list": layout.list_size, "set": layout.set_size, "frozenset": layout.set_size, "tuple": layout.tuple_items,
        "bytes": layout.bytes_data + 1, "bytearray": layout.bytearray_allocated + _BUFFER_BEHIND_ALLOCATED,
        "weakref": layout.weakref_size, "weakref.ReferenceType": layout.weakref_size,
    }  # fmt: skip
    if layout.has_new_frames:
        wanted["frame"] = layout.frameobject_own + layout.frame_localsplus
    else:
        wanted["frame"] = layout.frameobject_localsplus + 8
    right = [raw[name].body_bytes == size for name, size in wanted.items() if name in raw]
    object_, type_, code = raw.get("object"), raw.get("type"), raw.get("code")
    right.append(layout.unicode_size == layout.compact_size + 8)
    right.append(object_ is not None and object_.base == 0)
    right.append(type_ is not None and object_ is not None and type_.base == object_.address)
    right.append(type_ is not None and type_.weaklist_offset == layout.tp_weaklist)
    right.append(type_ is not None and type_.dict_offset == layout.tp_dict)
    right.append(code is not None and code.weaklist_offset == layout.co_weakreflist)
    return np.array(right, bool)


def _mro(heap: Heap) -> Answers:
    addresses = heap.classes.addresses
    mro = _at(heap, addresses, heap.layout.tp_mro)
    ready = mro != 0
    answers: Answers = _at(heap, mro[ready], heap.layout.tuple_items) == addresses[ready]
    return answers if ready.any() else np.zeros(_MANY, bool)


def _own_base(heap: Heap) -> Answers:
    addresses = heap.classes.addresses
    bases = _at(heap, addresses, heap.layout.tp_bases)
    ready = bases > np.uint64(4096)
    answers: Answers = _at(heap, bases[ready], heap.layout.tuple_items) != addresses[ready]
    return answers


def _names(heap: Heap, addresses: Words) -> Answers:
    """``__name__`` ends what C knows as the name, and ``__qualname__``."""
    right = []
    for address in addresses[:: max(1, len(addresses) // 500)].tolist():
        known = heap.classes.raw[heap.classes.by_address[address]].name.rpartition(".")[2]
        name = heap.text(heap.at(address + heap.layout.ht_name))
        qualified = heap.text(heap.at(address + heap.layout.ht_qualname))
        ends = name is not None and qualified is not None and qualified.rpartition(".")[2] == name.rpartition(".")[2]
        right.append(name is not None and name.rpartition(".")[2] == known and ends)
    return np.array(right, bool)


def _methods_behind(heap: Heap, addresses: Words) -> Answers:
    offset = heap.layout.tp_itemsize + _AS_ASYNC_BEHIND_ITEMSIZE
    answers: Answers = _at(heap, addresses, offset) == addresses + np.uint64(heap.layout.type_size)
    return answers


def _shared_keys(heap: Heap, addresses: Words) -> Answers:
    """Where they lead: keys that are strings."""
    pointers = _at(heap, addresses, heap.layout.ht_cached_keys)
    start = heap.image.find(pointers[pointers != 0])
    keys = read_keys(heap.image, heap.layout, np.maximum(start, 0))
    some = (keys.counts > 0) & (start >= 0)
    first = np.minimum(keys.entries + keys.hashed, len(heap.image.words) - 1)
    strings = _kinds_at(heap, heap.image.words[first]) == Kind.STR
    answers: Answers = (start >= 0) & (~some | strings) & (keys.slots > 0)
    return answers


def _free_entries(heap: Heap) -> Answers:
    """Entries in use and free ones are two thirds of the table."""
    layout = heap.layout
    rows = sample(heap, Kind.DICT)
    rows = rows[(field(heap, rows, layout.ma_values) == 0) & (field(heap, rows, layout.ma_used) > 0)]
    start = heap.image.find(field(heap, rows, layout.ma_keys))
    keys = read_keys(heap.image, layout, np.maximum(start, 0))
    answers: Answers = (start >= 0) & (keys.slots == keys.room)
    return answers


def _blocks(heap: Heap, kind: Kind) -> Answers:
    """Of objects in pools: the block is the smallest that has room; a string that shrank may have a larger one."""
    rows = sample(heap, kind)
    rows = rows[~heap.objects.static[rows]]
    if kind is Kind.STR:
        rows = rows[~heap.classes.has(HAVE_GC)[heap.objects.row[rows]]]
        rows = rows[(field(heap, rows, heap.layout.str_state) >> np.uint64(5)) & np.uint64(1) == 1]
    in_front = in_front_bytes(heap.classes, heap.layout)[heap.objects.row[rows]]
    block, _ = blocks_at(heap.image, heap.layout, _addresses(heap, rows))
    size = heap.objects.body_bytes[rows] if kind is Kind.STR else heap.objects.size_bytes[rows]
    needed = (size + in_front + 15) & ~15
    largest = needed + needed // 3 + 16 if kind is Kind.STR else needed
    answers: Answers = ((block >= needed) & (block <= largest))[block > 0]
    return answers


def _encoded(heap: Heap) -> Answers:
    """A string that is not ASCII keeps its UTF-8 form and how long that is, or neither."""
    rows = sample(heap, Kind.STR)
    state = field(heap, rows, heap.layout.str_state)
    rows = rows[(state >> np.uint64(5)) & np.uint64(3) == 1]
    text, size = field(heap, rows, heap.layout.str_utf8), field(heap, rows, heap.layout.str_utf8_length)
    length = field(heap, rows, heap.layout.str_length)
    some = (text != 0) | (size != 0)
    answers: Answers = ((text > np.uint64(4096)) & (size >= length) & (size <= length * np.uint64(4)))[some]
    return answers


def _tuple_of(heap: Heap, pointers: Words, counts: Indices) -> Answers:
    answers: Answers = (_kinds_at(heap, pointers) == Kind.TUPLE) & (
        _at(heap, pointers, 16).astype(np.int64) == counts
    )
    return answers


def _qualified(heap: Heap, rows: Indices) -> Answers:
    layout = heap.layout
    right = []
    for row in rows.tolist():
        at = heap.address(row)
        name, qualified = heap.text(heap.at(at + layout.co_name)), heap.text(heap.at(at + layout.co_qualname))
        right.append(name is not None and qualified is not None and qualified.rpartition(".")[2] == name)
    return np.array(right, bool)
