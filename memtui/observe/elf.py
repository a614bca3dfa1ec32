"""Exported symbols of 64-bit ELF files: programs and shared libraries.

Names are looked up the way the dynamic linker does it, through the hash table of the dynamic section. That reads a
few kilobytes of a file of any size, and needs neither section headers nor debug information.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from memtui.errors import RefusedError
from memtui.observe.maps import MappedFile
from memtui.observe.maps import Mapping as MemoryMapping

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_DYNAMIC = struct.Struct("<qQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_PT_LOAD, _PT_DYNAMIC = 1, 2
_PF_X, _PF_W = 1, 2
_ET_EXEC, _ET_DYN = 2, 3
_DT_NULL, _DT_HASH, _DT_STRTAB, _DT_SYMTAB, _DT_GNU_HASH = 0, 4, 5, 6, 0x6FFFFEF5
_MAX_PROGRAM_HEADERS = 1024
_MAX_DYNAMIC_BYTES = 1 << 16
_MAX_CHAIN = 1 << 20


class ElfError(RefusedError):
    """A file that is no 64-bit ELF file, or one that is damaged."""


class WordSizeError(ElfError):
    """An ELF file that is not a 64-bit one."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the file that is loaded: where in the file, and where in memory before the bias is added."""

    address: int
    offset: int
    file_size: int
    memory_size: int
    executable: bool
    writable: bool


@dataclass(frozen=True, slots=True)
class ElfSymbols:
    """Exported symbols as the file has them: ``values`` by name, those that are defined in it only.

    The address in a process is the value plus :meth:`bias`.
    """

    values: Mapping[str, int]
    is_position_independent: bool
    segments: tuple[Segment, ...]

    def bias(self, maps: Sequence[MemoryMapping], path: str) -> int:
        """What is to be added to a value to get its address in the process with these maps.

        Raises :class:`ElfError` when the file is not mapped as a program or library.
        """
        if not self.is_position_independent:
            return 0
        # A program may also have the file mapped as data, so the mapping of the code is the surest anchor.
        for segment in sorted(self.segments, key=lambda one: not one.executable):
            for mapping in maps:
                if mapping.path == path and _holds(mapping, segment):
                    return mapping.start + segment.offset - mapping.offset - segment.address
        raise ElfError(f"{path} is not loaded as a program or library.")


def exported(file: BinaryIO, names: Iterable[str]) -> ElfSymbols:
    """Look ``names`` up among the symbols that ``file`` defines and exports.

    Raises :class:`ElfError` for anything but a sound 64-bit little-endian ELF program or library.
    """
    try:
        return _Image(file).lookup(names)
    except struct.error as error:
        raise ElfError("The ELF file is damaged: it ends too early.") from error


def _holds(mapping: MemoryMapping, segment: Segment) -> bool:
    if segment.executable and "x" not in mapping.permissions:
        return False
    return mapping.offset <= segment.offset < mapping.offset + mapping.end - mapping.start


class _Image:
    """An ELF file, addressed by virtual addresses."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        header = self._at(0, _HEADER.size)
        _check_format(header)
        _, kind, _, _, _, table, _, _, _, entry_size, count, _, _, _ = _HEADER.unpack(header)
        if kind not in (_ET_EXEC, _ET_DYN) or entry_size != _PROGRAM_HEADER.size or count > _MAX_PROGRAM_HEADERS:
            raise ElfError("The ELF file is no program or library.")
        self.is_position_independent = kind == _ET_DYN
        self.segments: tuple[Segment, ...] = ()
        self._dynamic: tuple[int, int] | None = None
        for entry in _PROGRAM_HEADER.iter_unpack(self._at(table, entry_size * count)):
            type_, flags, offset, address, _, file_size, memory_size, _ = entry
            if type_ == _PT_LOAD:
                executable, writable = bool(flags & _PF_X), bool(flags & _PF_W)
                self.segments += (Segment(address, offset, file_size, memory_size, executable, writable),)
            elif type_ == _PT_DYNAMIC:
                self._dynamic = offset, min(file_size, _MAX_DYNAMIC_BYTES)
        # In memory the dynamic linker may have added the bias to the addresses of the dynamic section.
        self._relocated_by = self._symbols({}).bias(file.mappings, file.path) if isinstance(file, MappedFile) else 0

    def lookup(self, names: Iterable[str]) -> ElfSymbols:
        """The symbols of these names."""
        tags = self._tags()
        values = {}
        if {_DT_SYMTAB, _DT_STRTAB} <= tags.keys():
            for name in names:
                value = self._find(tags, name.encode())
                if value is not None:
                    values[name] = value
        return self._symbols(values)

    def _symbols(self, values: Mapping[str, int]) -> ElfSymbols:
        return ElfSymbols(values, self.is_position_independent, self.segments)

    def _tags(self) -> dict[int, int]:
        if self._dynamic is None:
            return {}
        data = self._at(*self._dynamic)
        whole = data[: len(data) // _DYNAMIC.size * _DYNAMIC.size]
        tags: dict[int, int] = {}
        for tag, value in _DYNAMIC.iter_unpack(whole):
            if tag == _DT_NULL:
                break
            tags.setdefault(tag, value)
        return tags

    def _find(self, tags: dict[int, int], name: bytes) -> int | None:
        if _DT_GNU_HASH in tags:
            candidates = self._gnu_candidates(tags[_DT_GNU_HASH], name)
        elif _DT_HASH in tags:
            candidates = self._sysv_candidates(tags[_DT_HASH], name)
        else:
            return None
        for index in candidates:
            entry = self._read(tags[_DT_SYMTAB] + index * _SYMBOL.size, _SYMBOL.size)
            name_offset, _, _, section, value, _ = _SYMBOL.unpack(entry)
            if section and value and self._read(tags[_DT_STRTAB] + name_offset, len(name) + 1) == name + b"\0":
                return int(value)
        return None

    def _gnu_candidates(self, table: int, name: bytes) -> Iterable[int]:
        buckets, first, bloom_words, _ = self._u32s(table, 4)
        if not buckets:
            return
        wanted = _gnu_hash(name)
        bucket_table = table + 16 + bloom_words * 8
        (index,) = self._u32s(bucket_table + wanted % buckets * 4, 1)
        if index < first:
            return
        chain_table = bucket_table + buckets * 4
        for _ in range(_MAX_CHAIN):
            (value,) = self._u32s(chain_table + (index - first) * 4, 1)
            if value | 1 == wanted | 1:
                yield index
            if value & 1:
                return
            index += 1

    def _sysv_candidates(self, table: int, name: bytes) -> Iterable[int]:
        buckets, _ = self._u32s(table, 2)
        if not buckets:
            return
        bucket_table = table + 8
        chain_table = bucket_table + buckets * 4
        (index,) = self._u32s(bucket_table + _sysv_hash(name) % buckets * 4, 1)
        for _ in range(_MAX_CHAIN):
            if not index:
                return
            yield index
            (index,) = self._u32s(chain_table + index * 4, 1)

    def _u32s(self, address: int, count: int) -> tuple[int, ...]:
        return struct.unpack(f"<{count}I", self._read(address, 4 * count))

    def _read(self, address: int, size: int) -> bytes:
        if self._relocated_by and address >= self._relocated_by:
            address -= self._relocated_by
        for segment in self.segments:
            if 0 <= address - segment.address < segment.file_size:
                return self._at(segment.offset + address - segment.address, size)
        raise ElfError(f"The ELF file is damaged: nothing is at {address:#x}.")

    def _at(self, offset: int, size: int) -> bytes:
        if offset >= 1 << 63:
            raise ElfError("The ELF file is damaged: an offset is out of range.")
        self._file.seek(offset)
        return self._file.read(size)


def _check_format(header: bytes) -> None:
    if header[:4] != b"\x7fELF":
        raise ElfError("The file is no ELF file.")
    if header[4:5] != b"\x02":
        raise WordSizeError("The ELF file is not a 64-bit one.")
    if header[5:6] != b"\x01":
        raise ElfError("The ELF file is for a big-endian machine.")


def _gnu_hash(name: bytes) -> int:
    value = 5381
    for byte in name:
        value = (value * 33 + byte) & 0xFFFFFFFF
    return value


def _sysv_hash(name: bytes) -> int:
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ high >> 24) & ~high & 0xFFFFFFFF
    return value
