"""Variables of functions: those in frame objects and generators, with their names."""

from __future__ import annotations

import numpy as np

from memtui.heap.picture import Kind, Link
from memtui.heap.read.frames import half
from memtui.heap.read.image import Image, Indices
from memtui.heap.read.layout import Layout
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
    assert layout.frame_localsplus is not None and layout.frame_code is not None
    index = objects.index[rows]
    base = owned.classes.body_bytes[objects.row[rows]]
    slots_at = index + base // 8
    end = index + ((objects.body_bytes[rows] + 7) >> 3)
    head_end = np.minimum(slots_at, end)
    owned.add(Stretches(Link.FIELD, rows, index + 2, head_end - index - 2, is_body=True))
    frame = slots_at - layout.frame_localsplus // 8
    # The byte in front of a generator's frame is its state; 1 and more: finished, its slots hold old values.
    finished = (owned.classes.kinds[objects.row[rows]] == Kind.GENERATOR) & (
        (image.words[frame - 1] >> np.uint64(24)).astype(np.uint8).astype(np.int8) >= 1
    )
    used = np.where(finished, 0, np.maximum(end - slots_at, 0))
    names = variable_names(owned.image, owned.layout, image.find(image.words[frame + layout.frame_code // 8]))
    owned.add(Stretches(Link.LOCAL, rows, slots_at, used, names=names))


def variable_names(image: Image, layout: Layout, code: Indices) -> Names:
    """Names of the variables of code objects that begin at these words (-1: unknown)."""
    assert layout.co_localsplusnames is not None and layout.co_nlocalsplus is not None
    known = (code >= 0) & (code + layout.co_nlocalsplus // 8 + 8 < len(image.words))
    code = np.where(known, code, 0)
    names = image.find(image.words[code + layout.co_localsplusnames // 8])
    starts = np.where(known & (names >= 0), names + layout.tuple_items // 8, -1)
    return Names(starts, 1, np.where(starts >= 0, half(image, code, layout.co_nlocalsplus), 0))


def _collect_old(owned: Owned, rows: Indices) -> None:
    """Until 3.10: slots are behind the frame object, in the order variables, cells, free variables, value stack."""
    layout, objects, image = owned.layout, owned.objects, owned.image
    assert layout.frameobject_localsplus is not None and layout.frameobject_code is not None
    assert layout.co_varnames is not None and layout.co_cellvars is not None and layout.co_freevars is not None
    index = objects.index[rows]
    end = index + ((objects.body_bytes[rows] + 7) >> 3)
    is_frame = owned.classes.kinds[objects.row[rows]] == Kind.FRAME
    head_end = np.where(is_frame, np.minimum(end, index + layout.frameobject_localsplus // 8), end)
    owned.add(Stretches(Link.FIELD, rows, index + 2, head_end - index - 2, is_body=True))
    rows, at, end = rows[is_frame], head_end[is_frame], end[is_frame]
    code = owned.pointed(rows, layout.frameobject_code)
    for offset in (layout.co_varnames, layout.co_cellvars, layout.co_freevars):
        names = np.where(code >= 0, image.find(image.words[np.maximum(code, 0) + offset // 8]), -1)
        count = np.where(names >= 0, image.words[np.maximum(names, 0) + 2].astype(np.int64), 0)
        count = np.clip(count, 0, end - at)
        owned.add(Stretches(Link.LOCAL, rows, at, count, names=Names(names + layout.tuple_items // 8)))
        at = at + count
    owned.add(Stretches(Link.LOCAL, rows, at, end - at, names=Names(np.full(len(rows), -1, np.int64))))
