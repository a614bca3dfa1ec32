"""Variables of functions: those in frame objects and generators, with their names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memtui.heap.picture import Kind, Link
from memtui.heap.read.frames import half
from memtui.heap.read.image import Image, Indices
from memtui.heap.read.layout import ABSENT, Layout
from memtui.heap.read.owned import Owned
from memtui.heap.read.stretches import Names, Stretches


def collect_frames(owned: Owned) -> None:
    """Variables of frame objects and of generators, by name, and what lies on their value stacks."""
    rows = owned.of_kind(Kind.FRAME, Kind.GENERATOR)
    if owned.layout.has_new_frames:
        _collect_new(owned, rows)
    else:
        _collect_old(owned, rows)


def _collect_new(owned: Owned, rows: Indices) -> None:
    image, layout, objects = owned.image, owned.layout, owned.objects
    index = objects.index[rows]
    base = owned.classes.body_bytes[objects.row[rows]]
    slots_at = index + base // 8
    end = index + ((objects.body_bytes[rows] + 7) >> 3)
    frame = slots_at - layout.frame_localsplus // 8
    # The byte in front of a generator's frame is its state; 1 and more: finished, its frame holds old values.
    finished = (owned.classes.kinds[objects.row[rows]] == Kind.GENERATOR) & (
        (image.words[frame - 1] >> np.uint64(24)).astype(np.uint8).astype(np.int8) >= 1
    )
    owned.add(Stretches(Link.FIELD, rows, index + 2, np.minimum(frame, end) - index - 2, is_body=True))
    _add_frame_fields(owned, rows, frame, finished, frame < end)
    used = np.where(finished, 0, np.maximum(end - slots_at, 0))
    names = variable_names(owned.image, owned.layout, image.find(image.words[frame + layout.frame_code // 8]))
    owned.add(Stretches(Link.LOCAL, rows, slots_at, used, names=names))


def _add_frame_fields(
    owned: Owned, rows: Indices, frame: Indices, finished: NDArray[np.bool_], there: NDArray[np.bool_]
) -> None:
    """What frames hold beside variables: not their globals and builtins. Since 3.12 a finished one keeps its code."""
    layout = owned.layout
    for offset in range(0, layout.frame_localsplus, 8):
        if offset in (layout.frame_globals, layout.frame_builtins, layout.frame_previous):
            continue
        kept = there & ~finished if offset != layout.frame_code or layout.minor < (3, 12) else there
        owned.add(Stretches(Link.FIELD, rows[kept], frame[kept] + offset // 8, np.ones(int(kept.sum()), np.int64)))


def variable_names(image: Image, layout: Layout, code: Indices) -> Names:
    """Names of the variables of code objects that begin at these words (-1: unknown)."""
    known = (code >= 0) & (code + layout.co_nlocalsplus // 8 + 8 < len(image.words))
    code = np.where(known, code, 0)
    names = image.find(image.words[code + layout.co_localsplusnames // 8])
    starts = np.where(known & (names >= 0), names + layout.tuple_items // 8, -1)
    return Names(starts, 1, np.where(starts >= 0, half(image, code, layout.co_nlocalsplus), 0))


def _collect_old(owned: Owned, rows: Indices) -> None:
    """Until 3.10: slots are behind the frame object, in the order variables, cells, free variables, value stack."""
    objects = owned.objects
    is_frame = owned.classes.kinds[objects.row[rows]] == Kind.FRAME
    generators = rows[~is_frame]
    index = objects.index[generators]
    end = index + ((objects.body_bytes[generators] + 7) >> 3)
    owned.add(Stretches(Link.FIELD, generators, index + 2, end - index - 2, is_body=True))
    rows = rows[is_frame]
    _add_head(owned, rows)
    _add_slots(owned, rows)


def _add_head(owned: Owned, rows: Indices) -> None:
    """What a frame object holds beside its slots: from ``f_back`` to ``f_locals``, and ``f_trace``."""
    layout, index = owned.layout, owned.objects.index[rows]
    count = (layout.frameobject_valuestack - layout.frameobject_back) // 8
    owned.add(Stretches(Link.FIELD, rows, index + layout.frameobject_back // 8, np.full(len(rows), count)))
    owned.add(Stretches(Link.FIELD, rows, index + layout.frameobject_trace // 8, np.ones(len(rows), np.int64)))


def _add_slots(owned: Owned, rows: Indices) -> None:
    layout, image = owned.layout, owned.image
    index = owned.objects.index[rows]
    at = index + layout.frameobject_localsplus // 8
    end = index + ((owned.objects.body_bytes[rows] + 7) >> 3)
    code = owned.pointed(rows, layout.frameobject_code)
    for offset in (layout.co_varnames, layout.co_cellvars, layout.co_freevars):
        names = np.where(code >= 0, image.find(image.words[np.maximum(code, 0) + offset // 8]), -1)
        count = np.where(names >= 0, image.words[np.maximum(names, 0) + 2].astype(np.int64), 0)
        count = np.clip(count, 0, np.maximum(end - at, 0))
        owned.add(Stretches(Link.LOCAL, rows, at, count, names=Names(names + layout.tuple_items // 8)))
        at = at + count
    used = np.clip(_stack_depth(owned, rows), 0, np.maximum(end - at, 0))
    owned.add(Stretches(Link.LOCAL, rows, at, used, names=Names(np.full(len(rows), -1, np.int64))))


def _stack_depth(owned: Owned, rows: Indices) -> Indices:
    """Values on the stack of frames that wait; of those that run it is not written down, and taken as none."""
    layout = owned.layout
    if layout.frameobject_stackdepth != ABSENT:
        return (owned.field(rows, layout.frameobject_stackdepth) & 0xFFFFFFFF).astype(np.int32).astype(np.int64)
    top, bottom = owned.field(rows, layout.frameobject_stacktop), owned.field(rows, layout.frameobject_valuestack)
    return np.where(top > 0, (top - bottom) >> 3, 0)
