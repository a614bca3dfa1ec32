"""Constants of a program, such as names of types, read from the files it has mapped: they are not in the image."""

from __future__ import annotations

import bisect
import os
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import BinaryIO

from memtui.errors import MemtuiError
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

    def __enter__(self) -> Binaries:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files.values():
            file.close()

    def read(self, address: int, size: int) -> bytes:
        """Bytes of a mapped file; b"" where no file is mapped."""
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
        try:
            files[path] = open(os.fspath(instead.get(path, path)), "rb")
        except OSError:
            continue
    return Binaries(maps, files)
