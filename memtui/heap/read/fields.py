"""Names of the fields in which objects keep references: ``.func`` instead of "at byte 16"."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from memtui.heap.picture import Kind, Link
from memtui.heap.read.classes import Classes
from memtui.heap.read.image import Image
from memtui.heap.read.layout import ABSENT, Layout
from memtui.heap.read.objects import Objects
from memtui.heap.read.owned import CACHED_BY_CODE
from memtui.heap.read.stretches import Gathered

_MEMBER_TYPE, _MEMBER_NAME, _MEMBER_DEFINITION, _DEFINED_OFFSET = 16, 24, 40, 16
"""Offsets in ``PyMemberDescrObject`` and ``PyMemberDef`` (``descrobject.h``)."""
_MANAGED_DICT = -24
_CACHED = (".co_code", ".co_varnames", ".co_cellvars", ".co_freevars")
_WITH_ENTRIES = ("hamt_bitmap_node", "hamt_array_node", "hamt_collision_node")
"""Nodes of the tree that the variables of a context are kept in (``Python/hamt.c``)."""
_SPAN = 1 << 24
_BELOW = 1 << 10

MemberNames = Mapping[tuple[int, int], str]
"""By class and offset: what the descriptors of the class say."""


@cache
def _tables() -> dict[str, dict[str, dict[int, str]]]:
    versions = json.loads(Path(__file__).with_suffix(".json").read_bytes())["versions"]
    return {
        version: {kind: {offset: name for name, offset in fields.items()} for kind, fields in kinds.items()}
        for version, kinds in versions.items()
    }


def name_fields(
    image: Image,
    classes: Classes,
    layout: Layout,
    objects: Objects,
    edges: Gathered,
    text: Callable[[int], str | None],
) -> tuple[Gathered, tuple[str, ...]]:
    """Edges of which those from fields have the number of a name, and the names. ``text`` gives the str of a node."""
    mine = np.flatnonzero(edges.links == Link.FIELD)
    keys = objects.row[edges.sources[mine]] * _SPAN + edges.numbers[mine] + _BELOW
    found, which = np.unique(keys, return_inverse=True)
    members = _members(image, classes, objects, text)
    known = _tables().get("{}.{}".format(*layout.minor), {})
    names: dict[str, int] = {}
    numbers = np.zeros(len(found), np.int32)
    for at, key in enumerate(found.tolist()):
        name = _name(classes, layout, known, members, key // _SPAN, key % _SPAN - _BELOW)
        numbers[at] = names.setdefault(name, len(names))
    edges.numbers[mine] = numbers[which]
    return edges, tuple(names)


def _name(
    classes: Classes,
    layout: Layout,
    known: Mapping[str, Mapping[int, str]],
    members: MemberNames,
    row: int,
    offset: int,
) -> str:
    if offset in (_MANAGED_DICT, classes.raw[row].dict_offset):
        return ".__dict__"
    if classes.raw[row].dict_offset < 0 and classes.kinds[row] in (Kind.INT, Kind.TUPLE, Kind.BYTES):
        return ".__dict__"  # counted from the end; it is the only thing there
    for above in classes.lineage(row):
        one = classes.raw[above]
        if one.name == "type" and offset in (special := _of_types(layout)):
            return special[offset]
        if one.name == "code" and offset >= CACHED_BY_CODE:
            return _CACHED[(offset - CACHED_BY_CODE) // 8]
        if layout.has_new_frames and classes.kinds[row] in (Kind.FRAME, Kind.GENERATOR):
            in_frame = _of_frames(layout).get(offset - one.body_bytes + layout.frame_localsplus)
            if in_frame is not None:
                return in_frame
        if one.name in _WITH_ENTRIES:
            return "<entry>"
        name = known.get(one.name, {}).get(offset) or members.get((one.address, offset))
        if name:
            return name if name.startswith("<") else f".{name}"
    return f".<+{offset}>"


@cache
def _of_types(layout: Layout) -> dict[int, str]:
    """Fields of type objects."""
    named = {
        layout.tp_dict: ".__dict__", layout.tp_base: ".__base__", layout.tp_bases: ".__bases__",
        layout.tp_mro: ".__mro__", layout.tp_subclasses: ".<subclasses>", layout.tp_cache: ".<cache>",
        layout.ht_name: ".__name__", layout.ht_qualname: ".__qualname__", layout.ht_slots: ".__slots__",
    }  # fmt: skip
    if layout.ht_module != ABSENT:
        named[layout.ht_module] = ".<module>"
    return named


@cache
def _of_frames(layout: Layout) -> dict[int, str]:
    """Fields of the frame that generators and frame objects end in (``pycore_frame.h``)."""
    return {
        layout.frame_code: ".f_code", layout.frame_globals - 8: ".<function>",
        layout.frame_builtins + 8: ".f_locals", layout.frame_object: ".<frame>",
    }  # fmt: skip


def _members(
    image: Image, classes: Classes, objects: Objects, text: Callable[[int], str | None]
) -> dict[tuple[int, int], str]:
    """From member descriptors, which ``__slots__`` and most types in C have."""
    kinds = [row for row, one in enumerate(classes.raw) if one.name == "member_descriptor"]
    found: dict[tuple[int, int], str] = {}
    for address in image.addresses(objects.index[np.isin(objects.row, kinds)]).tolist():
        definition = image.word(address + _MEMBER_DEFINITION)
        name = text(image.word(address + _MEMBER_NAME))
        offset = image.word(definition + _DEFINED_OFFSET) if definition else 0
        if name and 0 < offset < _SPAN - _BELOW:
            found[image.word(address + _MEMBER_TYPE), offset] = name
    return found
