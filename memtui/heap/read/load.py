"""Reading the memory of a frozen or stopped process into an :class:`Image`, and no more of it than is needed."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memtui.errors import TargetDiedError
from memtui.heap.read.binaries import Binaries
from memtui.heap.read.image import PAGE_BYTES, Image, Region, Words
from memtui.observe.maps import Mapping

_PIECE_BYTES = 8 << 20
_CHUNK_BYTES = 64 << 10
_SMALL_BYTES = 1 << 20
KEEP_ALL_BYTES = 768 << 20
"""Up to so much memory everything is kept; of more, only what could be references."""
_GUARD_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image, and what became of the rest: ``skipped_bytes`` held nothing that looks like a reference."""

    image: Image
    read_bytes: int
    skipped_bytes: int


def load_image(
    memory_fd: int,
    pagemap_fd: int,
    maps: Sequence[Mapping],
    binaries: Binaries,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Loaded:
    """Read what can hold objects from open ``/proc/PID/mem`` and ``/proc/PID/pagemap``.

    Raises :class:`TargetDiedError` when the process is gone.
    """
    regions = list(_present(pagemap_fd, candidates(maps, binaries.variables_end)))
    total = sum(one.end - one.start for one in regions)
    words = _reserve(total)
    view = words.view(np.uint8).data
    bounds = _bounds(regions) if total > KEEP_ALL_BYTES else None
    kept: list[Region] = []
    at = done = 0
    for region in regions:
        for start in range(region.start, region.end, _PIECE_BYTES):
            end = min(start + _PIECE_BYTES, region.end)
            size = end - start
            _read_all(memory_fd, view[at : at + size], start)
            piece = Region(start, end, region.path, region.near_file)
            if bounds is not None and not region.is_static:
                at += _keep_pointers(words[at // 8 : (at + size) // 8], piece, bounds, kept)
            else:
                _append(kept, piece)
                at += size
            done += size
            progress(done / total)
    return Loaded(Image(words[: at // 8], kept, binaries.read), total, total - at)


def candidates(maps: Sequence[Mapping], variables_end: Callable[[str], int]) -> Iterator[Region]:
    """Private memory that may hold objects or what belongs to them: what can be written, without stacks of threads.

    Also the data of libraries that was made read-only after relocation: it holds pointers.
    """
    for number, one in enumerate(maps):
        before = maps[number - 1] if number else None
        behind = maps[number + 1] if number + 1 < len(maps) else None
        if one.permissions[3:4] != "p" or one.path.startswith(("/dev/", "[v", "[stack")):
            continue
        if one.permissions[:2] == "rw":
            if not _is_thread_stack(one, before):
                yield from _parts(one, before, variables_end)
        elif one.permissions[:3] == "r--" and behind is not None and _is_relocated(one, behind):
            yield Region(one.start, one.end, one.path)


def _parts(one: Mapping, before: Mapping | None, variables_end: Callable[[str], int]) -> Iterator[Region]:
    """A mapping; the variables of the file in front of it, if it begins with such, by themselves."""
    border = one.start
    if before is not None and before.is_file and before.end == one.start and one.path in ("", "[heap]"):
        border = min(one.end, -(-variables_end(before.path) // PAGE_BYTES) * PAGE_BYTES)
    if border > one.start:
        yield Region(one.start, border, one.path, near_file=True)
    if max(border, one.start) < one.end:
        yield Region(max(border, one.start), one.end, one.path)


def _is_thread_stack(one: Mapping, before: Mapping | None) -> bool:
    """Stacks begin with a guard that nobody can touch. (Arenas of malloc are followed, not preceded, by such.)"""
    if one.path or before is None or before.path or before.end != one.start:
        return False
    return before.permissions[:3] == "---" and before.end - before.start <= _GUARD_BYTES


def _is_relocated(one: Mapping, behind: Mapping) -> bool:
    return one.is_file and behind.path == one.path and behind.permissions[:2] == "rw" and behind.start == one.end


def _present(pagemap_fd: int, regions: Iterator[Region]) -> Iterator[Region]:
    """The parts that are in memory or swapped out: pages never touched (most of an arena) are left out."""
    for region in regions:
        if region.end - region.start <= _SMALL_BYTES or region.is_static:
            yield region
            continue
        count = (region.end - region.start) // PAGE_BYTES
        entries = np.frombuffer(os.pread(pagemap_fd, count * 8, region.start // PAGE_BYTES * 8), np.uint64)
        there = np.concatenate([[False], entries >> np.uint64(62) != 0, [False]])
        edges = np.flatnonzero(there[1:] != there[:-1]).reshape(-1, 2)
        for first, last in edges.tolist():
            start, end = region.start + first * PAGE_BYTES, region.start + last * PAGE_BYTES
            yield Region(start, end, region.path, region.near_file and start == region.start)


def _reserve(size: int) -> Words:
    """Room for all of it, in pages that take no memory before they are written."""
    if not size:
        return np.empty(0, np.uint64)
    return np.frombuffer(mmap.mmap(-1, size), np.uint64)


def _read_all(fd: int, buffer: memoryview, start: int) -> None:
    """Fill ``buffer``; a page that is not there any more (a guard inside a mapping) is zeros."""
    done = 0
    while done < len(buffer):
        try:
            got = os.preadv(fd, [buffer[done:]], start + done)
        except OSError:
            got = -1
        if not got:
            raise TargetDiedError("The process ended while its memory was read.")
        if got < 0:
            rest = min(PAGE_BYTES - (start + done) % PAGE_BYTES, len(buffer) - done)
            buffer[done : done + rest] = bytes(rest)
            got = rest
        done += got


def _bounds(regions: Sequence[Region]) -> NDArray[np.uint64]:
    return np.array([address for one in regions for address in (one.start, one.end)], np.uint64)


def _keep_pointers(words: Words, piece: Region, bounds: NDArray[np.uint64], kept: list[Region]) -> int:
    """Move the chunks in which something looks like a pointer to the front; returns their size in bytes."""
    low, high = bounds[0], bounds[-1]
    maybe = words - low < high - low
    per_chunk = _CHUNK_BYTES // 8
    to = 0
    for first in range(0, len(words), per_chunk):
        chunk = words[first : first + per_chunk]
        likely = chunk[maybe[first : first + per_chunk]]
        if len(likely) and (np.searchsorted(bounds, likely, side="right") & 1).any():
            start = piece.start + first * 8
            _append(kept, Region(start, start + len(chunk) * 8, piece.path, piece.near_file))
            if to != first:
                words[to : to + len(chunk)] = chunk
            to += len(chunk)
    return to * 8


def _append(kept: list[Region], piece: Region) -> None:
    last = kept[-1] if kept else None
    if last is not None and last.end == piece.start and (last.path, last.near_file) == (piece.path, piece.near_file):
        kept[-1] = Region(last.start, piece.end, piece.path, piece.near_file)
    else:
        kept.append(piece)
