"""Which function of a shared object an address lies in, from its symbol tables; no debug information is needed."""

from __future__ import annotations

import mmap
import struct
from bisect import bisect_right
from collections.abc import Iterator

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_SHT_SYMTAB, _SHT_DYNSYM = 2, 11
_FUNCTIONS = (2, 10)
"""STT_FUNC and STT_GNU_IFUNC."""
_MAX_SYMBOLS = 4_000_000


class Functions:
    """The functions of the ELF file at ``path``; none where it cannot be read or is damaged."""

    def __init__(self, path: str) -> None:
        self._functions: list[tuple[int, int, str]] = []
        try:
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
                self._functions = sorted(set(_functions(image)))
        except (OSError, ValueError, struct.error):
            pass
        self._starts = [start for start, _, _ in self._functions]

    def at(self, address: int) -> str | None:
        """Name of the function at ``address`` (as in the file, without the bias); None where there is none."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start, size, name = self._functions[index]
        return name if address < start + max(size, 1) else None

    def has(self, name: str) -> bool:
        """Whether there is a function of that name."""
        return any(one == name for _, _, one in self._functions)


def _functions(image: mmap.mmap) -> Iterator[tuple[int, int, str]]:
    header = _HEADER.unpack_from(image)
    if header[0][:6] != b"\x7fELF\x02\x01":
        return
    table, entry_size, count = header[6], header[11], header[12]
    if entry_size != _SECTION.size:
        return
    sections = [_SECTION.unpack_from(image, table + index * _SECTION.size) for index in range(count)]
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind in (_SHT_SYMTAB, _SHT_DYNSYM) and link < len(sections):
            strings, strings_size = sections[link][4], sections[link][5]
            yield from _read_table(image, offset, min(size, _MAX_SYMBOLS * _SYMBOL.size), strings, strings_size)


def _read_table(
    image: mmap.mmap, offset: int, size: int, strings: int, strings_size: int
) -> Iterator[tuple[int, int, str]]:
    whole = image[offset : offset + size // _SYMBOL.size * _SYMBOL.size]
    for name, info, _, section, value, length in _SYMBOL.iter_unpack(whole):
        if info & 15 in _FUNCTIONS and section and value and name < strings_size:
            end = image.find(b"\0", strings + name)
            yield value, length, image[strings + name : end].decode("utf-8", "replace")
