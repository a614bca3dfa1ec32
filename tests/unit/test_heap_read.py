"""The reader's ground: addresses to words and back, key tables of every version, pools, tables of offsets."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memtui.errors import RefusedError
from memtui.heap.read.classes import READY, find_classes
from memtui.heap.read.dicts import read_keys
from memtui.heap.read.image import PAGE_BYTES, Image, Region, ranges
from memtui.heap.read.layout import ABSENT, Layout, layout_for
from memtui.heap.read.pools import HEAD_BYTES, blocks_at, pool_bytes

VERSIONS = tuple((3, minor) for minor in range(8, 14))
WORDS_IN_PAGE = PAGE_BYTES // 8
GAPS = (1, 2, 1000, 1 << 25)
"""In pages; the last is so far that the next region has a page table of its own."""


@st.composite
def images(draw: st.DrawFn) -> Image:
    """A few regions with gaps between them, small and huge; each word is its own address."""
    page, regions = draw(st.integers(1, 1000)), []
    for number in range(draw(st.integers(1, 5))):
        count = draw(st.integers(1, 4))
        path = draw(st.sampled_from(["", "[heap]", "/lib/x.so"]))
        regions.append(Region(page * PAGE_BYTES, (page + count) * PAGE_BYTES, f"{path}{number if path else ''}"))
        page += count + draw(st.sampled_from((0, *GAPS)))
    words = np.concatenate([np.arange(one.start, one.end, 8, dtype=np.uint64) for one in regions])
    return Image(words, regions, lambda address, size: b"")


@given(images(), st.lists(st.integers(0, (1 << 64) - 1), max_size=20))
def test_addresses_and_words(image: Image, others: list[int]) -> None:
    everything = np.arange(len(image.words))
    assert (image.addresses(everything) == image.words).all()
    assert (image.find(image.words) == everything).all()
    assert (image.find(image.words + np.uint64(4)) == -1).all()
    borders = [one.start - 8 for one in image.regions] + [one.end for one in image.regions]
    for address in [*others, *borders, *image.words[::97].tolist()]:
        inside = any(one.start <= address < one.end for one in image.regions) and address % 8 == 0
        found = image.find_one(address)
        assert (found >= 0) == inside
        assert found == int(image.find(np.array([address], np.uint64))[0])
        assert image.word(address & ~7) == (address & ~7 if image.find_one(address & ~7) >= 0 else 0)
        if inside:
            region = image.regions[int(image.region_of(np.array([found]))[0])]
            assert region.start <= address < region.end


@given(images())
def test_what_follows_without_a_gap(image: Image) -> None:
    for number, region in enumerate(image.regions):
        last = number
        while last + 1 < len(image.regions) and image.regions[last + 1].start == image.regions[last].end:
            last += 1
        length = image.regions[last].end - region.start
        assert image.seamless_ends[number] - image.first_words[number] == length // 8


@given(images(), st.lists(st.integers(0, 1 << 40), max_size=20))
def test_the_first_word_from_an_address(image: Image, others: list[int]) -> None:
    borders = [at + more for one in image.regions for at in (one.start, one.end) for more in (-8, -1, 0, 1, 8)]
    addresses = np.array([*others, *borders], np.uint64)
    assert image.first_from(addresses).tolist() == np.searchsorted(image.words, addresses).tolist()


@given(st.lists(st.integers(0, 7), max_size=30))
def test_ranges(counts: list[int]) -> None:
    positions, owners = ranges(np.array(counts, np.int64))
    wanted = [(owner, position) for owner, count in enumerate(counts) for position in range(count)]
    assert list(zip(owners.tolist(), positions.tolist(), strict=True)) == wanted


def keys_of(layout: Layout, log2_size: int, used: int, unicode: bool) -> list[int]:
    """The words of a table of keys as that version of CPython lays it out, entries numbered from 1000."""
    size = 1 << log2_size
    width = 1 if size <= 0xFF else 2 if size <= 0xFFFF else 4
    data = bytearray(layout.dk_indices + size * width + 24 * size)
    put = lambda offset, value: data.__setitem__(slice(offset, offset + 8), value.to_bytes(8, "little"))  # noqa: E731
    put(layout.dk_nentries, used)
    put(layout.dk_usable, size * 2 // 3 - used)
    if layout.dk_size != ABSENT:
        put(layout.dk_size, size)
    else:
        data[layout.dk_log2_size] = log2_size
        data[layout.dk_log2_index_bytes] = log2_size + width.bit_length() - 1
        data[layout.dk_kind] = int(unicode)
    entry = 16 if unicode else 24
    for number in range(used):
        put(layout.dk_indices + size * width + entry * number + (entry - 16), 1000 + number)
    return np.frombuffer(bytes(data), np.uint64).tolist()


@given(st.sampled_from(VERSIONS), st.integers(3, 17), st.data(), st.booleans())
def test_tables_of_keys(minor: tuple[int, int], log2_size: int, data: st.DataObject, unicode: bool) -> None:
    layout = layout_for(minor)
    unicode &= layout.dk_kind != ABSENT
    used = data.draw(st.integers(0, min(50, (1 << log2_size) * 2 // 3)))
    table = keys_of(layout, log2_size, used, unicode)
    image = image_of(table)
    keys = read_keys(image, layout, np.array([0]))
    assert keys.counts.tolist() == [used]
    assert keys.slots.tolist() == keys.room.tolist() == [(1 << log2_size) * 2 // 3]
    assert bool(keys.hashed[0]) is not unicode
    first = int(keys.entries[0]) + int(keys.hashed[0])
    stride = 2 + int(keys.hashed[0])
    assert [table[first + stride * number] for number in range(used)] == [1000 + number for number in range(used)]


def image_of(words: list[int]) -> Image:
    """One region with these words at its beginning."""
    size = -(-len(words) // WORDS_IN_PAGE) * WORDS_IN_PAGE
    padded = np.zeros(size, np.uint64)
    padded[: len(words)] = np.array(words, np.uint64)
    return Image(padded, [Region(PAGE_BYTES, PAGE_BYTES + size * 8, "")], lambda address, size: b"")


@given(st.sampled_from(VERSIONS), st.integers(0, 31), st.integers(0, 300))
def test_blocks_of_pools(minor: tuple[int, int], size_class: int, distance: int) -> None:
    layout = layout_for(minor)
    size, block = pool_bytes(layout), (size_class + 1) * 16
    words = np.zeros(2 * size // 8, np.uint64)
    words[4] = size_class << 32
    words[5] = (size - block) << 32
    image = Image(words, [Region(size, 3 * size, "")], lambda address, size: b"")
    address = np.array([size + HEAD_BYTES + distance * 8], np.uint64)
    found, into = blocks_at(image, layout, address)
    assert (found[0], into[0]) == ((block, distance * 8 % block) if HEAD_BYTES + distance * 8 < size else (0, 0))
    behind, _ = blocks_at(image, layout, address + np.uint64(size))
    assert behind[0] == 0, "zeros are no pool"


@given(st.binary(min_size=1, max_size=2000), st.integers(0, 2**32 - 1))
def test_random_memory_has_no_types(data: bytes, seed: int) -> None:
    words = np.random.default_rng(seed).integers(0, 1 << 63, 4 * WORDS_IN_PAGE, np.uint64)
    words[: len(data) // 8] = np.frombuffer(data[: len(data) // 8 * 8], np.uint64)
    image = image_of(words.tolist())
    with pytest.raises(RefusedError, match="was found 0 times"):
        find_classes(image, layout_for((3, 11)))


@pytest.mark.parametrize("minor", VERSIONS)
def test_tables_are_whole(minor: tuple[int, int]) -> None:
    layout = layout_for(minor)
    numbers = [getattr(layout, one.name) for one in fields(Layout) if one.name not in ("minor", "compiled_from")]
    assert all(isinstance(number, int) and (number == ABSENT or 0 <= number < 1 << 20) for number in numbers)
    assert layout.has_new_frames == (layout.frame_code != ABSENT) == (layout.frameobject_code == ABSENT)


LEAST_OF_A_TYPE = {"body": 16, "item": 0, "base": 0}


@pytest.mark.parametrize(
    ("changed", "is_type"),
    [({}, True), ({"body": 14}, False), ({"item": (1 << 64) - 1}, False), ({"base": 0xB}, False)],
)
def test_what_lies_in_free_memory_is_no_type(changed: dict[str, int], is_type: bool) -> None:
    """A count and the address of ``type``, with other objects behind it, as 3.11 left it beside HTTP servers."""
    layout = layout_for((3, 11))
    words = [0] * WORDS_IN_PAGE
    start = image_of(words).regions[0].start

    def put(at: int, body: int, item: int, base: int) -> None:
        words[at : at + 2] = [1, start]
        words[at + layout.tp_name // 8] = start + 8 * 400
        words[at + layout.tp_basicsize // 8], words[at + layout.tp_itemsize // 8] = body, item
        words[at + layout.tp_flags // 8], words[at + layout.tp_base // 8] = READY, base

    words[400] = int.from_bytes(b"type", "little")
    put(0, 904, 40, 0)
    put(200, **{**LEAST_OF_A_TYPE, **changed})
    found = find_classes(image_of(words), layout)
    assert found.addresses.tolist() == [start, start + 8 * 200][: 1 + is_type]
