"""Constants of a program, such as names of types, read from the files it has mapped: they are not in the image."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO

from memtui.errors import MemtuiError
from memtui.heap.read.image import PAGE_BYTES
from memtui.observe.elf import exported
from memtui.observe.maps import Mapping, open_mapped


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
        try:
            symbols = exported(self._files[path], ())
            bias = symbols.bias(self._mappings, path)
        except (KeyError, OSError, MemtuiError):
            return 0
        return bias + max((one.address + one.memory_size for one in symbols.segments), default=0)

    def address_of(self, name: str) -> tuple[str, int] | None:
        """The file that exports a symbol, and where that is in memory; None when none does."""
        for path, file in self._files.items():
            try:
                symbols = exported(file, (name,))
                if name in symbols.values:
                    return path, symbols.values[name] + symbols.bias(self._mappings, path)
            except (OSError, MemtuiError):
                continue
        return None

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
        with suppress(OSError):
            files[path] = open(instead.get(path, path), "rb")  # noqa: SIM115 - closed with all of them
    return Binaries(maps, files)
