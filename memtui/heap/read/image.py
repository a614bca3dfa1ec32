"""The memory of a process that stands still, as one array of words with a way from addresses to words and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Indices = NDArray[np.int64]

PAGE_BYTES = 4096
_WORDS_IN_PAGE = PAGE_BYTES // 8
_FAR_APART_BYTES = 1 << 33
"""Regions with so much nothing between them get page tables of their own."""

ReadOnly = Callable[[int, int], bytes]
"""Reads memory that is not in the image, as constants of programs: address, size; b"" where there is nothing."""


@dataclass(frozen=True, slots=True)
class Region:
    """Memory that is in the image, page by page without gaps. ``path``: file behind it, or a name in brackets."""

    start: int
    end: int
    path: str
    near_file: bool = False
    """Anonymous, but right behind the data of a file: variables of C code that begin as zero."""

    @property
    def is_static(self) -> bool:
        """Data of a program or library: nothing in it is ever freed."""
        return self.path.startswith("/")


class Image:
    """Words of all regions, one region behind the other in the order of their addresses."""

    def __init__(self, words: Words, regions: Sequence[Region], read_only: ReadOnly) -> None:
        self.words = words
        self.regions = tuple(regions)
        self._read_only = read_only
        starts = np.array([one.start for one in regions], np.int64)
        ends = np.array([one.end for one in regions], np.int64)
        self.first_words: Indices = np.concatenate([[0], np.cumsum((ends - starts) >> 3)]).astype(np.int64)
        """Index of the first word of each region, and one behind the last."""
        joined = np.append(starts[1:] == ends[:-1], False)
        self.seamless_ends: Indices = _last_of_runs(self.first_words[1:], joined)
        """By region: one behind the last word of what follows it without a gap in the addresses."""
        self._starts: Words = starts.astype(np.uint64)
        self._shifts = starts - (self.first_words[:-1] << 3)
        self._clusters, self._pages = _page_table(self.regions, self.first_words)
        self._page_view, self._word_view = self._pages.data, words.data  # many times as fast for single words

    def find(self, addresses: Words) -> Indices:
        """Index of the word at each address; -1 where the image has none or the address is not one of a word."""
        found = np.full(len(addresses), -1, np.int64)
        for start, end, first_page in self._clusters:
            inside = np.flatnonzero(addresses - np.uint64(start) < np.uint64(end - start))
            if len(inside):
                at = (addresses[inside] - np.uint64(start)).astype(np.int64)
                pages = self._pages[first_page + (at >> 12)].astype(np.int64)
                word = (pages << 9) + ((at & 4095) >> 3)
                found[inside] = np.where((pages >= 0) & (at & 7 == 0), word, -1)
        return found

    def find_one(self, address: int) -> int:
        """Index of the word at ``address``, or -1."""
        for start, end, first_page in self._clusters:
            if start <= address < end:
                at = address - start
                page = self._page_view[first_page + (at >> 12)]
                return (page << 9) + ((at & 4095) >> 3) if page >= 0 and not at & 7 else -1
        return -1

    def addresses(self, indices: Indices) -> Words:
        """Where the words are in the process."""
        regions = np.searchsorted(self.first_words, indices, side="right") - 1
        addresses: Words = ((indices << 3) + self._shifts[regions]).astype(np.uint64)
        return addresses

    def first_from(self, addresses: Words) -> Indices:
        """Index of the first word at or behind each address."""
        regions = np.searchsorted(self._starts, addresses, side="right") - 1
        into = (addresses - self._starts[np.maximum(regions, 0)] + np.uint64(7)) >> np.uint64(3)
        found: Indices = np.minimum(self.first_words[regions] + into.astype(np.int64), self.first_words[regions + 1])
        return np.where(regions >= 0, found, 0)

    def region_of(self, indices: Indices) -> Indices:
        """Number of the region of each word."""
        regions: Indices = np.searchsorted(self.first_words, indices, side="right") - 1
        return regions

    def read(self, address: int, size: int) -> bytes:
        """Bytes from wherever they are; b"" where they cannot be had."""
        first, last = self.find_one(address & ~7), self.find_one((address + size - 1) & ~7)
        if first >= 0 and last - first == ((address + size - 1) >> 3) - (address >> 3):
            return self.words[first : last + 1].tobytes()[address & 7 : (address & 7) + size]
        return self._read_only(address, size)

    def word(self, address: int) -> int:
        """The 64-bit number at ``address``; 0 where there is none."""
        index = self.find_one(address)
        if index >= 0:
            word: int = self._word_view[index]
            return word
        return int.from_bytes(self.read(address, 8), "little")

    def text(self, address: int) -> str | None:
        """The C string at ``address``; None when there is no printable one of at most 1,000 bytes."""
        if address <= PAGE_BYTES:
            return None
        data = b""
        while b"\0" not in data and len(data) < 1000:
            at = address + len(data)
            piece = self.read(at, min(128, PAGE_BYTES - at % PAGE_BYTES))  # one piece never ends in another page
            if not piece:
                return None
            data += piece
        try:
            text = data.partition(b"\0")[0].decode()
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() else None


def _last_of_runs(values: Indices, joined: NDArray[np.bool_]) -> Indices:
    """For each value the last one of its run; ``joined``: the next one is in the same run."""
    last = np.flatnonzero(~joined)
    found: Indices = values[last[np.searchsorted(last, np.arange(len(values)))]]
    return found


def _page_table(
    regions: Sequence[Region], first_words: Indices
) -> tuple[list[tuple[int, int, int]], NDArray[np.int32]]:
    """Clusters of regions (start, end, first page in the table), and for each page its number in the image or -1."""
    spans: list[list[int]] = []
    for region in regions:
        if spans and region.start - spans[-1][1] < _FAR_APART_BYTES:
            spans[-1][1] = region.end
        else:
            spans.append([region.start, region.end])
    clusters, total = [], 0
    for start, end in spans:
        clusters.append((start, end, total))
        total += (end - start) // PAGE_BYTES
    pages = np.full(total, -1, np.int32)
    cluster = 0
    for number, region in enumerate(regions):
        while region.start >= clusters[cluster][1]:
            cluster += 1
        start, _, first_page = clusters[cluster]
        at = first_page + (region.start - start) // PAGE_BYTES
        count = (region.end - region.start) // PAGE_BYTES
        pages[at : at + count] = int(first_words[number]) // _WORDS_IN_PAGE + np.arange(count)
    return clusters, pages


def ranges(counts: Indices) -> tuple[Indices, Indices]:
    """For counts ``[2, 0, 3]``: positions ``[0 1 0 1 2]`` and whose they are ``[0 0 2 2 2]``."""
    owners = np.repeat(np.arange(len(counts)), counts)
    ends = np.cumsum(counts)
    positions = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
    return positions, owners
