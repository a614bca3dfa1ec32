"""A reader whose table of offsets is wrong in one number refuses, or the number did not matter."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from heap_images import PROGRAMS, Frozen, frozen
from interpreters import Interpreter, current

from memtui.errors import RefusedError
from memtui.heap.picture import Picture
from memtui.heap.read.image import Image
from memtui.heap.read.layout import ABSENT, Layout, layout_for

VERSIONS = ((3, 8), (3, 9), (3, 10), (3, 11), (3, 12), (3, 13))
SHIFT_BYTES = 8


def fingerprint(picture: Picture) -> str:
    """Of everything that was read."""
    nodes, edges = picture.nodes, picture.edges
    columns = (
        nodes.addresses, nodes.sizes, nodes.types, nodes.lengths, nodes.flags, edges.starts, edges.targets,
        edges.links, edges.numbers, picture.roots.nodes, picture.roots.groups, picture.texts.data,
        picture.texts.starts, picture.numbers.values, picture.duplicates.nodes, picture.limits.most,
    )  # fmt: skip
    digest = hashlib.sha256(repr((picture.types.names, picture.field_names, picture.roots.names)).encode())
    for column in columns:
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def accepted(heap: Frozen, layout: Layout) -> Picture | None:
    """What is read with this table; None when it is refused."""
    try:
        return heap.read(layout)
    except RefusedError:
        return None


def check_shifts(heap: Frozen) -> None:
    right = fingerprint(heap.read(heap.layout))
    lies, refused = [], 0
    for one in fields(Layout):
        value = getattr(heap.layout, one.name)
        if one.name in ("minor", "compiled_from") or value == ABSENT:
            continue
        picture = accepted(heap, replace(heap.layout, **{one.name: value + SHIFT_BYTES}))
        if picture is None:
            refused += 1
        elif fingerprint(picture) != right:
            lies.append(one.name)
    assert lies == []
    assert refused > 50


def check_other_tables(heap: Frozen) -> None:
    for minor in VERSIONS:
        if minor != heap.layout.minor:
            assert accepted(heap, layout_for(minor)) is None, minor


@pytest.mark.timeout(300)
def test_each_wrong_number_is_refused_or_does_not_matter() -> None:
    with frozen(current().path, str(PROGRAMS / "heap_leaks.py"), "40") as heap:
        check_shifts(heap)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_wrong_number_is_refused_or_does_not_matter_everywhere(interpreter: Interpreter) -> None:
    with frozen(interpreter.path, str(PROGRAMS / "heap_leaks.py"), "40") as heap:
        check_shifts(heap)


def test_the_tables_of_other_versions_are_refused(interpreter: Interpreter) -> None:
    with frozen(interpreter.path, str(PROGRAMS / "heap_leaks.py"), "40") as heap:
        check_other_tables(heap)


def test_a_quick_picture_is_checked_too() -> None:
    with frozen(current().path, "-c", "print(1, flush=True); input()") as heap:
        assert heap.read(heap.layout, quick=True).facts["checks"]
        for name in ("tp_basicsize", "tp_base", "ascii_size", "heap_type_size", "list_allocated"):
            with pytest.raises(RefusedError):
                heap.read(replace(heap.layout, **{name: getattr(heap.layout, name) + SHIFT_BYTES}), quick=True)


def test_variables_of_c_code_that_look_like_a_huge_tuple_hold_nothing() -> None:
    """A count, a class and a number, at the end of a library's data: modules that Cython makes have such."""
    with frozen(current().path, "-c", "import ctypes; print(1, flush=True); input()") as heap:
        before = heap.read(heap.layout)
        address = before.nodes.addresses[before.types.nodes[before.types.names.index("tuple")]]
        words, starts = heap.image.words.copy(), heap.image.first_words
        changed = 0
        for number, (region, behind) in enumerate(pairwise(heap.image.regions)):
            place = slice(starts[number + 1] - 8, starts[number + 1] - 5)
            if region.is_static and region.end < behind.start and not words[place].any():
                words[place] = 90_000, address, 100_000
                changed += 1
        assert changed
        image = Image(words, heap.image.regions, heap.image.read)
        after = replace(heap, image=image).read(heap.layout)
    assert len(after.edges) == len(before.edges)
    assert (after.nodes.addresses == before.nodes.addresses).all()
