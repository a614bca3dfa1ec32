"""The pure parts of a scan: which memory is looked at, and what in it counts as an object."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest

from memtui.errors import TargetDiedError
from memtui.heap.pieces import OVERLAP_BYTES, PieceReader
from memtui.heap.regions import PAGE_BYTES, PRESENT, SWAPPED, Span, searched, writable
from memtui.heap.scan import TypeCounter, count_types
from memtui.observe.maps import parse_maps
from memtui.observe.memory import UnreadableError

MAPS = b"""\
00400000-00401000 r-xp 00000000 08:01 7 /usr/bin/python3
00401000-00403000 rw-p 00001000 08:01 7 /usr/bin/python3
00403000-00404000 rw-p 00000000 00:00 0
01000000-01004000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000002000 rw-p 00000000 00:00 0
7f0000002000-7f0000004000 rw-p 00000000 00:00 0 [anon:arena]
7f0000004000-7f0000005000 ---p 00000000 00:00 0
7f0000006000-7f0000008000 rw-s 00000000 00:01 9 /dev/shm/shared
7f0000009000-7f000000a000 rw-p 00000000 08:01 8 /srv/data.bin
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]
"""

LOW, HIGH = 0x7F00_0000_0000, 0x7F00_0010_0000
TYPE, OTHER = HIGH - 512, HIGH - 1024
SPANS: list[Span] = [(LOW, HIGH)]


def test_what_a_link_may_point_into() -> None:
    assert writable(parse_maps(MAPS)) == [
        (0x401000, 0x404000),
        (0x1000000, 0x1004000),
        (0x7F0000000000, 0x7F0000004000),
        (0x7F0000009000, 0x7F000000A000),
        (0x7FFC00000000, 0x7FFC00021000),
    ]


def test_where_objects_are_looked_for() -> None:
    assert searched(parse_maps(MAPS)) == [
        (0x403000, 0x404000),
        (0x1000000, 0x1004000),
        (0x7F0000000000, 0x7F0000004000),
    ]


def counted(*words: int, spans: list[Span] = SPANS) -> dict[int, int]:
    """What is counted in these words; the overlap is added."""
    memory = np.array([*words, *[0] * (len(words) % 2 + OVERLAP_BYTES // 8)], np.uint64)
    return count_types([memory], spans, {TYPE, OTHER}.__contains__)


def test_an_object_is_two_links_a_count_and_a_type() -> None:
    assert counted(LOW + 64, LOW + 128, 1, TYPE) == {TYPE: 1}
    assert counted(0, 0, LOW + 64, LOW + 128, 1, TYPE, 7, 7) == {TYPE: 1}
    assert counted(LOW + 64, LOW + 128, 1, TYPE, LOW, LOW, 2**32 - 1, OTHER, LOW, LOW, 3, TYPE) == {TYPE: 2, OTHER: 1}


@pytest.mark.parametrize(
    "words",
    [
        pytest.param((0, 0, 1, TYPE), id="not tracked"),
        pytest.param((LOW + 64, LOW + 128, 0, TYPE), id="freed"),
        pytest.param((LOW + 64, LOW + 128, 2**32, TYPE), id="no count of references"),
        pytest.param((LOW + 64, LOW + 128, 1, TYPE + 8), id="no type"),
        pytest.param((LOW + 64, LOW + 128, 1, TYPE + 1), id="no address of a type"),
        pytest.param((HIGH + 64, LOW + 128, 1, TYPE), id="the next one is nowhere"),
        pytest.param((LOW + 64, LOW - 128, 1, TYPE), id="the one before is nowhere"),
        pytest.param((LOW + 68, LOW + 128, 1, TYPE), id="the next one lies askew"),
        pytest.param((LOW + 64, LOW + 132, 1, TYPE), id="the one before lies askew"),
        pytest.param((7, LOW + 64, LOW + 128, 1, TYPE, 7), id="not 16-aligned"),
    ],
)
def test_what_is_no_object(words: tuple[int, ...]) -> None:
    assert counted(*words) == {}


def test_an_object_that_is_being_collected_has_a_count_for_its_link() -> None:
    collecting = 2
    assert counted(LOW + 64, 5 << 2 | collecting, 5, TYPE) == {TYPE: 1}
    assert counted(LOW + 64 | 1, 1 << 2 | collecting | 1, 5, TYPE) == {TYPE: 1}
    assert counted(LOW + 64, 6 << 2 | collecting, 5, TYPE) == {}
    assert counted(LOW + 64, 5 << 2, 5, TYPE) == {}


def test_small_pointers_and_hashes_are_no_counts_in_a_program_at_low_addresses() -> None:
    low_spans = [(0x400000, 0x500000), *SPANS]
    assert counted(LOW + 64, LOW + 128, 9, TYPE, spans=low_spans) == {TYPE: 1}
    assert counted(LOW + 64, LOW + 128, 0x400010, TYPE, spans=low_spans) == {}
    low_type = 0x4FFF00
    low_words = np.array([LOW + 64, LOW + 128, low_type >> 4, low_type, 0, 0], np.uint64)
    assert count_types([low_words], low_spans, lambda kind: True) == {}


def test_the_gap_between_two_mappings_is_no_memory() -> None:
    spans = [(LOW, LOW + 4096), (HIGH - 4096, HIGH)]
    assert counted(LOW + 64, HIGH - 64, 1, TYPE, spans=spans) == {TYPE: 1}
    assert counted(LOW + 8192, HIGH - 64, 1, TYPE, spans=spans) == {}


def test_an_object_over_the_end_of_a_piece_is_counted_once() -> None:
    whole = np.array([0, 0, LOW + 64, LOW + 128, 1, TYPE, 0, 0], np.uint64)
    counter = TypeCounter(SPANS, {TYPE}.__contains__)
    counter.add(whole[:6])
    counter.add(whole[4:])
    assert counter.counts == {TYPE: 1}


class Memory:
    """Stands in for a process: memory from ``START`` on; some pages are not there, some are swapped out."""

    START = 1 << 32

    def __init__(self, pages: int, absent: set[int] = frozenset(), swapped: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        self.pages = pages
        self.absent, self.swapped = absent, swapped
        self.data = np.arange(1, pages * PAGE_BYTES // 8 + 1, dtype=np.uint64).tobytes()
        self.asked: set[int] = set()
        self.gone: set[int] = set()

    def read_into(self, buffer: memoryview, address: int) -> int:
        start = address - self.START
        touched = range(start // PAGE_BYTES, (start + len(buffer) - 1) // PAGE_BYTES + 1)
        self.asked |= set(touched)
        if touched[0] in self.gone:
            raise UnreadableError("gone")
        ends = [page * PAGE_BYTES - start for page in touched if page in self.gone]
        size = min([len(buffer), *ends])
        buffer[:size] = self.data[start : start + size]
        return size

    def read(self, start: int, end: int) -> bytes:
        first = (start - self.START) // PAGE_BYTES
        entries = [
            SWAPPED if page in self.swapped else 0 if page in self.absent else PRESENT
            for page in range(first, (end - self.START) // PAGE_BYTES)
        ]
        return np.array(entries, np.uint64).tobytes()


def pieces_of(memory: Memory) -> tuple[list[Any], PieceReader]:
    span = (memory.START, memory.START + memory.pages * PAGE_BYTES)
    reader = PieceReader(cast(Any, memory), cast(Any, memory), [span])
    return [piece.copy() for piece in reader], reader


def test_every_word_is_read_once_and_pieces_overlap() -> None:
    memory = Memory(2500)
    pieces, reader = pieces_of(memory)
    words = np.concatenate([piece[: -OVERLAP_BYTES // 8] for piece in pieces])
    assert words.tobytes() == memory.data
    assert all(one[-2:].tolist() == other[:2].tolist() for one, other in pairwise(pieces))
    assert pieces[-1][-2:].tolist() == [0, 0]
    assert len(pieces) == 3
    assert len(memory.data) <= reader.bytes_read <= len(memory.data) + 3 * OVERLAP_BYTES


def test_pages_that_are_not_in_memory_are_left_alone() -> None:
    absent = {0, 1, 5, *range(1500, 2499)}
    swapped = {7, 8, 1400}
    memory = Memory(2500, absent, swapped)
    pieces, reader = pieces_of(memory)
    assert memory.asked == set(range(2500)) - absent - swapped
    assert reader.swapped_bytes == 3 * PAGE_BYTES
    seen = np.concatenate([piece[: -OVERLAP_BYTES // 8] for piece in pieces])
    expected = np.frombuffer(memory.data, np.uint64).reshape(2500, -1)[sorted(memory.asked)]
    assert seen[seen != 0].tolist() == expected.ravel().tolist()


def test_memory_that_is_given_back_meanwhile_reads_as_nothing() -> None:
    memory = Memory(10, absent={4})
    memory.gone = {0, 1, 6}
    (piece,), _ = pieces_of(memory)
    by_page = piece[:-2].reshape(10, -1)
    assert [bool(page.all()) for page in by_page] == [number not in (0, 1, 4, 6) for number in range(10)]
    assert [bool(page.any()) for page in by_page] == [number not in (0, 1, 4, 6) for number in range(10)]


def test_the_end_of_the_process_is_not_taken_for_a_gap() -> None:
    memory = Memory(3)

    def ended(buffer: memoryview, address: int) -> int:
        raise TargetDiedError("ended")

    memory.read_into = ended  # type: ignore[method-assign]
    with pytest.raises(TargetDiedError):
        pieces_of(memory)
