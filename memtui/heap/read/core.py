"""Core files: the memory of a process as ``gcore`` or a crash left it.

The format is ELF (``elf(5)``); a note names the files that were mapped (``fs/binfmt_elf.c`` of Linux). What is only
read is not in a core, so the program and its libraries must still be on this machine.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from memtui.errors import MemtuiError, RefusedError, UsageError
from memtui.heap.facts import Facts
from memtui.heap.read.binaries import Binaries, binaries_of_files
from memtui.heap.read.image import PAGE_BYTES, Image, Region
from memtui.heap.read.layout import Layout, layout_for
from memtui.heap.read.load import Loaded, candidates
from memtui.observe.maps import Mapping
from memtui.observe.version import version_in_names, version_in_text

_LOAD, _NOTE, _CORE = 1, 4, 4
_NT_PRPSINFO, _NT_FILE = 3, 0x46494C45
_EXECUTABLE, _WRITABLE, _READABLE = 1, 2, 4
_PSINFO_PID, _PSINFO_ARGUMENTS, _ARGUMENTS_BYTES = 24, 56, 80
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_MOST_HEADERS = 0xFFFF


@dataclass(frozen=True, slots=True)
class CoreHeap:
    """A core file, ready to be read. ``binaries`` must be closed."""

    loaded: Loaded
    binaries: Binaries
    facts: Facts
    runtime: int
    layout: Layout


@dataclass(frozen=True, slots=True)
class _Segment:
    start: int
    end: int
    offset: int
    flags: int


class _Core:
    """The headers and notes of a core file."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.segments: list[_Segment] = []
        self.files: list[tuple[int, int, int, str]] = []
        self.pid = 0
        self.command = ""
        size = os.fstat(self._fd).st_size
        head = os.pread(self._fd, 64, 0)
        if len(head) < 64 or head[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", head, 16)[0] != _CORE:
            raise UsageError(f"{path} is no core file of a 64-bit program.", next_step="Make one: gcore PID")
        (table,) = struct.unpack_from("<Q", head, 32)
        (count,) = struct.unpack_from("<H", head, 56)
        if count == _MOST_HEADERS:
            raise UsageError(f"{path} has more parts than memtui can read.")
        data = os.pread(self._fd, count * _PROGRAM_HEADER.size, table)
        for kind, flags, offset, address, _, file_size, _, _ in _PROGRAM_HEADER.iter_unpack(data):
            if offset + file_size > size:
                raise UsageError(f"{path} is cut off.", why="Parts that it lists are behind its end.")
            if kind == _LOAD and file_size:
                self.segments.append(_Segment(address, address + file_size, offset, flags))
            elif kind == _NOTE:
                self._read_notes(os.pread(self._fd, file_size, offset))
        self.segments.sort(key=lambda one: one.start)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def read_into(self, buffer: memoryview, address: int) -> None:
        """Fill ``buffer`` from a part that holds all of it."""
        one = next(one for one in self.segments if one.start <= address < one.end)
        done = 0
        while done < len(buffer):
            got = os.preadv(self._fd, [buffer[done:]], one.offset + address - one.start + done)
            if not got:
                raise UsageError("The core file is cut off.")
            done += got

    def pages(self, wanted: set[int]) -> list[tuple[int, bytes]]:
        """All pages of parts at these addresses, which are few: constants that ``gcore`` writes, too."""
        found = []
        for one in self.segments:
            if one.start in wanted:
                data = bytearray(one.end - one.start)
                self.read_into(memoryview(data), one.start)
                found += [
                    (one.start + at, bytes(data[at : at + PAGE_BYTES])) for at in range(0, len(data), PAGE_BYTES)
                ]
        return found

    def maps(self) -> list[Mapping]:
        """As ``/proc/PID/maps`` would have been, of what the core and its list of files tell."""
        maps = []
        for one in self.segments:
            path, offset = self._file_at(one.start)
            letters = "".join(
                letter if one.flags & bit else "-"
                for letter, bit in (("r", _READABLE), ("w", _WRITABLE), ("x", _EXECUTABLE))
            )
            maps.append(Mapping(one.start, one.end, f"{letters}p", offset, path, int(bool(path))))
        known = {one.start for one in self.segments}
        for start, end, offset, path in self.files:
            if start not in known:
                maps.append(Mapping(start, end, "r-xp", offset, path, 1))
        return sorted(maps, key=lambda one: one.start)

    def _file_at(self, address: int) -> tuple[str, int]:
        for start, end, offset, path in self.files:
            if start <= address < end:
                return path, offset + address - start
        return "", 0

    def _read_notes(self, data: bytes) -> None:
        at = 0
        while at + 12 <= len(data):
            name_size, size, kind = struct.unpack_from("<III", data, at)
            begin = at + 12 + ((name_size + 3) & ~3)
            content = data[begin : begin + size]
            at = begin + ((size + 3) & ~3)
            if kind == _NT_FILE:
                self.files = _parse_files(content)
            elif kind == _NT_PRPSINFO and size >= _PSINFO_ARGUMENTS + _ARGUMENTS_BYTES:
                (self.pid,) = struct.unpack_from("<i", content, _PSINFO_PID)
                self.command = content[_PSINFO_ARGUMENTS:].split(b"\0")[0].decode(errors="replace").strip()


def _parse_files(content: bytes) -> list[tuple[int, int, int, str]]:
    count, page = struct.unpack_from("<QQ", content)
    names = content[16 + 24 * count :].split(b"\0")
    rows = [struct.unpack_from("<QQQ", content, 16 + 24 * number) for number in range(count)]
    return [
        (start, end, offset * page, os.fsdecode(name))
        for (start, end, offset), name in zip(rows, names, strict=False)
    ]


def read_core(path: str, exe: str | None) -> CoreHeap:
    """The memory in a core file. ``exe``: the Python program it is of, where the path in the core leads elsewhere.

    Raises :class:`UsageError` (no core file, or a damaged one), :class:`RefusedError` (no Python that memtui knows).
    """
    try:
        core = _Core(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except struct.error as error:
        raise UsageError(f"{path} is a damaged core file.") from error
    try:
        return _open_heap(core, path, exe)
    finally:
        core.close()


def _open_heap(core: _Core, path: str, exe: str | None) -> CoreHeap:
    maps = core.maps()
    program = core.files[0][3] if core.files else ""
    binaries = binaries_of_files(maps, {program: exe} if exe else {})
    found = binaries.address_of("_PyRuntime")
    if found is None:
        raise RefusedError(
            f"No Python was found in {path}.",
            why="None of the programs and libraries it names is on this machine and contains CPython.",
            next_step="Say where it is: memtui snapshot --core FILE --exe PYTHON",
        )
    library, runtime = found
    layout = layout_for(_version(binaries, library, maps))
    loaded = _load(core, maps, binaries)
    kept = {region.start for region in loaded.image.regions}
    small = {one.start for one in maps if one.start not in kept and one.permissions[:3] != "r-x"}
    for address, page in core.pages(small):
        binaries.add_page(address, page)
    written = datetime.fromtimestamp(os.stat(path).st_mtime, timezone.utc)
    facts: Facts = {
        "target": {
            "pid": core.pid,
            "command": core.command.split(),
            "python": ".".join(map(str, layout.minor)),
            "started_at": None,
        },
        "taken_at": written.isoformat().replace("+00:00", "Z"),
        "source": "core file",
        "stop_seconds": None,
        "rss_bytes": None,
        "uss_bytes": None,
        "pss_bytes": None,
        "swap_bytes": None,
        "memory": None,
        "threads": None,
        "notes": [f"Read from the core file {Path(path).name}."],
    }
    return CoreHeap(loaded, binaries, facts, runtime, layout)


def _version(binaries: Binaries, library: str, maps: list[Mapping]) -> tuple[int, int]:
    packed = binaries.address_of("Py_Version")
    if packed is not None:
        number = int.from_bytes(binaries.read(packed[1], 4), "little")
        if number >> 24 == 3:
            return 3, number >> 16 & 255
    texts = b"".join(binaries.read(one.start, one.end - one.start) for one in maps if one.path == library)
    found = version_in_names(library, [one.path for one in maps]) or version_in_text(texts)
    if found is None:
        raise RefusedError("The version of the Python in this core file cannot be found out.")
    return found


def _load(core: _Core, maps: list[Mapping], binaries: Binaries) -> Loaded:
    regions: list[Region] = list(candidates(maps, binaries.variables_end))
    total = sum(one.end - one.start for one in regions)
    try:
        words = np.frombuffer(mmap.mmap(-1, max(total, PAGE_BYTES)), np.uint64)[: total // 8]
    except OSError as error:
        raise MemtuiError("There is not enough memory to read this core file.") from error
    view = words.view(np.uint8).data
    at = 0
    for one in regions:
        size = one.end - one.start
        core.read_into(view[at : at + size], one.start)
        at += size
    return Loaded(Image(words, regions, binaries.read), total, 0)
