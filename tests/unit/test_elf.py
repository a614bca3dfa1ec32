from __future__ import annotations

import ctypes
import io
import os
import struct

import pytest

from memtui.observe.elf import ElfError, WordSizeError, exported
from memtui.observe.maps import MappedFile, Mapping, read_maps

BASE = 0x1000
NAMES = (b"alpha", b"beta", b"undefined")
VALUES = {b"alpha": 0x1111, b"beta": 0x2222, b"undefined": 0}


def sysv_hash(name: bytes) -> int:
    value = 0
    for byte in name:
        value = (value << 4) + byte
        high = value & 0xF0000000
        if high:
            value ^= high >> 24
        value &= ~high
    return value


def build(kind: int = 3, hash_tag: int = 4) -> bytes:
    """A tiny library with one segment, four symbols and a classic hash table of one bucket."""
    strings = b"\0" + b"\0".join(NAMES) + b"\0"
    symbols = bytes(24)
    for name in NAMES:
        section = 1 if VALUES[name] else 0
        symbols += struct.pack("<IBBHQQ", strings.index(b"\0" + name) + 1, 0x12, 0, section, VALUES[name], 8)
    table = struct.pack("<8I", 1, 4, 1, 0, 2, 3, 0, 0)
    at_symbols = 64 + 2 * 56
    at_table = at_symbols + len(symbols)
    at_strings = at_table + len(table)
    at_dynamic = at_strings + len(strings)
    dynamic = b"".join(
        struct.pack("<qQ", tag, value)
        for tag, value in (
            (6, BASE + at_symbols),
            (5, BASE + at_strings),
            (hash_tag, BASE + at_table),
            (0, 0),
            (5, 1),
        )
    )
    size = at_dynamic + len(dynamic)
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", kind, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, size, size, 0x1000)
    dynamic_header = struct.pack("<IIQQQQQQ", 2, 6, at_dynamic, BASE + at_dynamic, 0, len(dynamic), len(dynamic), 8)
    return header + load + dynamic_header + symbols + table + strings + dynamic


def test_symbols_that_are_defined_are_found_and_no_others() -> None:
    symbols = exported(io.BytesIO(build()), ["alpha", "beta", "undefined", "gamma", "alph"])
    assert symbols.values == {"alpha": 0x1111, "beta": 0x2222}
    assert symbols.is_position_independent


def test_the_bias_comes_from_the_mapping_of_the_code() -> None:
    symbols = exported(io.BytesIO(build()), ["alpha"])
    maps = [
        Mapping(0x30000, 0x31000, "r--p", 0, "/lib/x.so", 1),
        Mapping(0x50000, 0x51000, "r-xp", 0, "/lib/x.so", 1),
        Mapping(0x70000, 0x71000, "r-xp", 0, "/lib/y.so", 2),
    ]
    assert symbols.bias(maps, "/lib/x.so") == 0x50000 - BASE
    with pytest.raises(ElfError, match="not loaded"):
        symbols.bias(maps[:1], "/lib/x.so")


def test_a_program_at_a_fixed_address_has_no_bias() -> None:
    symbols = exported(io.BytesIO(build(kind=2)), ["alpha"])
    assert not symbols.is_position_independent
    assert symbols.bias([], "/bin/x") == 0


def test_a_library_without_a_hash_table_exports_nothing() -> None:
    assert exported(io.BytesIO(build(hash_tag=0x7FFF)), ["alpha"]).values == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no ELF"),
        (b"#!/bin/sh\n", "no ELF"),
        (b"\x7fELF\x02\x02" + bytes(58), "big-endian"),
        (b"\x7fELF\x02\x01" + bytes(58), "no program or library"),
        (b"\x7fELF\x02\x01", "ends too early"),
    ],
)
def test_foreign_files(content: bytes, words: str) -> None:
    with pytest.raises(ElfError, match=words):
        exported(io.BytesIO(content), ["alpha"])


def test_a_32_bit_file() -> None:
    with pytest.raises(WordSizeError, match="64-bit"):
        exported(io.BytesIO(b"\x7fELF\x01\x01" + bytes(58)), ["alpha"])


def test_a_damaged_file_gives_an_error_wherever_it_is_cut_or_changed() -> None:
    whole = build()
    for size in range(len(whole)):
        try:
            found = exported(io.BytesIO(whole[:size]), ["alpha"]).values
        except ElfError:
            continue
        assert found in ({}, {"alpha": 0x1111})
    for position in range(len(whole)):
        changed = whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :]
        try:
            exported(io.BytesIO(changed), ["alpha", "beta"])
        except ElfError:
            continue


NAMES_OF_LIBC = ("malloc", "getpid", "environ", "no_such_function")


def test_the_c_library_gives_the_addresses_that_the_dynamic_linker_gives() -> None:
    maps = read_maps(os.getpid())
    path = next(one.path for one in maps if os.path.basename(one.path).startswith(("libc.so", "libc-", "ld-musl")))
    with open(path, "rb") as file:
        symbols = exported(file, NAMES_OF_LIBC)
    expected = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p).value
    assert symbols.values["getpid"] + symbols.bias(maps, path) == expected
    assert "no_such_function" not in symbols.values
    own = [one for one in maps if one.path == path]
    with MappedFile(os.getpid(), path, own) as mapped:
        assert exported(mapped, NAMES_OF_LIBC) == symbols  # type: ignore[arg-type]
