"""Constants of a program, such as names of types, read from the files it has mapped: they are not in the image."""

from __future__ import annotations

import bisect
import os
import struct
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import BinaryIO

from memtui.errors import MemtuiError
from memtui.heap.read.image import PAGE_BYTES
from memtui.observe.maps import Mapping, open_mapped

_LOADED = 1
"""``PT_LOAD`` of ``elf.h``."""


class Binaries:
    """The files behind mappings that are only read; close it, or use it in a ``with`` block.

    They are opened at once, so that they are at hand when the process has ended meanwhile.
    """

    def __init__(self, mappings: Iterable[Mapping], files: dict[str, BinaryIO]) -> None:
        self._files = files
        self._mappings = sorted(
            (one for one in mappings if one.path in files and one.permissions.startswith("r")),
            key=lambda one: one.start,
        )
        self._starts = [one.start for one in self._mappings]
        self._pages: dict[int, bytes] = {}

    def __enter__(self) -> Binaries:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def add_page(self, address: int, data: bytes) -> None:
        """Remember a page of memory that is in no file and not in the image."""
        self._pages[address & ~(PAGE_BYTES - 1)] = data

    def variables_end(self, path: str) -> int:
        """Where the variables of a mapped file end, those included that begin as zero; 0 when that is not known.

        Behind its data the kernel may have put memory of the program's own without a gap.
        """
        own = [one for one in self._mappings if one.path == path]
        try:
            segments = _segments(self._files[path])
        except (KeyError, OSError, ValueError, struct.error, MemtuiError):
            return 0
        first = min(own, key=lambda one: one.start, default=None)
        if first is None or not segments:
            return 0
        bias = first.start - first.offset - (segments[0][0] - segments[0][1])
        return bias + max(address + size for address, _, size in segments)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of a mapped file; b"" where no file is mapped."""
        page = self._pages.get(address & ~(PAGE_BYTES - 1))
        if page is not None:
            return page[address % PAGE_BYTES :][:size]
        at = bisect.bisect_right(self._starts, address) - 1
        if at < 0 or address + size > self._mappings[at].end:
            return b""
        mapping = self._mappings[at]
        file = self._files[mapping.path]
        try:
            file.seek(mapping.offset + address - mapping.start)
            return file.read(size)
        except (OSError, MemtuiError):
            return b""


def _segments(file: BinaryIO) -> list[tuple[int, int, int]]:
    """Of the parts of an ELF file that are loaded: address, offset in the file, size in memory."""
    file.seek(0)
    head = file.read(64)
    if head[:5] != b"\x7fELF\x02":
        raise ValueError("no 64-bit ELF file")
    (table,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    file.seek(table)
    data = file.read(size * count)
    rows = [struct.unpack_from("<IIQQQQQ", data, size * number) for number in range(count)]
    return [(row[3], row[2], row[6]) for row in rows if row[0] == _LOADED]


def binaries_of(pid: int, maps: Sequence[Mapping]) -> Binaries:
    """Those of a process: all files from which it runs code."""
    files: dict[str, BinaryIO] = {}
    for path in {one.path for one in maps if one.is_file and "x" in one.permissions}:
        try:
            files[path] = open_mapped(pid, maps, path)
        except (MemtuiError, OSError):
            continue  # names in it stay unknown
    return Binaries(maps, files)


def binaries_of_files(maps: Sequence[Mapping], instead: dict[str, str]) -> Binaries:
    """Those of a core file, from this machine: ``instead`` has other places for some of them."""
    files: dict[str, BinaryIO] = {}
    for path in {one.path for one in maps if one.path}:
        try:
            files[path] = open(os.fspath(instead.get(path, path)), "rb")
        except OSError:
            continue
    return Binaries(maps, files)
