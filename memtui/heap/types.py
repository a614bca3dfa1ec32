"""Type objects in the memory of a process: telling them apart from anything else, and their names."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress

from memtui.observe.memory import RemoteMemory, UnreadableError
from memtui.observe.offsets import ObjectOffsets

_TYPE_OF_OBJECT = 8
_HEAP_TYPE, _READY, _TRACKED, _TEXT, _METACLASS = 1 << 9, 1 << 12, 1 << 14, 1 << 28, 1 << 31
_ENTRY, _HASHED_ENTRY = struct.Struct("<QQ"), struct.Struct("<8xQQ")
_MAX_METACLASSES = 8
_MAX_NAME_BYTES = 1024
_MAX_ENTRIES = 100_000
_NAME_PIECE = 64
_PAGE_BYTES = 4096
_GENERAL_KEYS = 0
_INDEX_WIDTHS = ((0xFF, 1), (0xFFFF, 2), (0xFFFFFFFF, 4))
_ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}


class TypeReader:
    """Types of one process. What it was asked is remembered."""

    def __init__(self, memory: RemoteMemory, offsets: ObjectOffsets) -> None:
        self._memory, self._offsets = memory, offsets
        self._known: dict[int, bool] = {}
        self._texts: dict[int, str | None] = {}

    def is_tracked_type(self, address: int) -> bool:
        """Whether the type of objects that the collector tracks is at ``address``."""
        known = self._known.get(address)
        if known is None:
            known = self._known[address] = self._look_at(address)
        return known

    def name(self, address: int) -> str:
        """``module.qualname`` of a type, as Python itself says it; its plain name where that cannot be read.

        Raises :class:`UnreadableError` when the type is there no more.
        """
        plain = self._plain_name(address) or "?"
        if not self._flags(address) & _HEAP_TYPE:
            return plain if "." in plain else f"builtins.{plain}"
        with suppress(UnreadableError):
            return self._qualified(address) or plain
        return plain

    def _look_at(self, address: int) -> bool:
        wanted = _READY | _TRACKED
        try:
            return (
                self._flags(address) & wanted == wanted
                and self._is_metaclass(self._memory.pointer(address + _TYPE_OF_OBJECT))
                and bool(self._plain_name(address))
            )
        except UnreadableError:
            return False

    def _is_metaclass(self, address: int) -> bool:
        """Whether ``address`` is ``type`` (which is its own type) or one of its subclasses."""
        for _ in range(_MAX_METACLASSES):
            if not self._flags(address) & _METACLASS:
                return False
            above = self._memory.pointer(address + _TYPE_OF_OBJECT)
            if above == address:
                return True
            address = above
        return False

    def _flags(self, address: int) -> int:
        return self._memory.pointer(address + self._offsets.type_flags)

    def _plain_name(self, address: int) -> str:
        """``tp_name``; empty when it is no printable text."""
        data = b""
        at = self._memory.pointer(address + self._offsets.type_name)
        while b"\0" not in data and len(data) < _MAX_NAME_BYTES:
            # A name may end just before memory that cannot be read, so no piece goes over the end of a page.
            size = min(_NAME_PIECE, _PAGE_BYTES - at % _PAGE_BYTES)
            data += self._memory.read(at, size)
            at += size
        try:
            name = data.partition(b"\0")[0].decode()
        except UnicodeDecodeError:
            return ""
        return name if name.isprintable() else ""

    def _qualified(self, address: int) -> str | None:
        name = self._text(self._memory.pointer(address + self._offsets.type_qualname))
        module = self._item(self._memory.pointer(address + self._offsets.type_dict), "__module__")
        return f"{module}.{name}" if module and name else None

    def _item(self, address: int, wanted: str) -> str | None:
        """A ``str`` in a dict whose keys are mostly ``str``; None when there is none."""
        offsets = self._offsets
        if not address or self._memory.pointer(address + offsets.dict_values):
            return None
        for key, value in self._entries(self._memory.pointer(address + offsets.dict_keys)):
            if key and value and self._text(key) == wanted:
                return self._text(value)
        return None

    def _entries(self, keys: int) -> Iterator[tuple[int, ...]]:
        """Addresses of keys and values, in their order."""
        offsets, memory = self._offsets, self._memory
        count = memory.i64(keys + offsets.keys_entry_count)
        if not 0 <= count <= _MAX_ENTRIES:
            return
        has_hash = True
        if offsets.keys_log2_index_bytes is not None and offsets.keys_kind is not None:
            indices = 1 << (memory.u32(keys + offsets.keys_log2_index_bytes) & 63)
            has_hash = memory.u32(keys + offsets.keys_kind) & 0xFF == _GENERAL_KEYS
        else:
            assert offsets.keys_size is not None
            slots = memory.i64(keys + offsets.keys_size)
            indices = slots * next((width for most, width in _INDEX_WIDTHS if slots <= most), 8)
        entry = _HASHED_ENTRY if has_hash else _ENTRY
        yield from entry.iter_unpack(memory.read(keys + offsets.keys_indices + indices, count * entry.size))

    def _text(self, address: int) -> str | None:
        """A ``str`` of the usual, compact form; None for anything else."""
        if address not in self._texts:
            self._texts[address] = self._read_text(address)
        return self._texts[address]

    def _read_text(self, address: int) -> str | None:
        offsets, memory = self._offsets, self._memory
        if not self._flags(memory.pointer(address + _TYPE_OF_OBJECT)) & _TEXT:
            return None
        state = memory.u32(address + offsets.str_state)
        length = memory.i64(address + offsets.str_length)
        width = (state & offsets.str_kind_mask) // offsets.str_kind_unit
        if not state & offsets.str_compact_mask or width not in _ENCODINGS or not 0 < length <= _MAX_NAME_BYTES:
            return None
        start = offsets.str_ascii_data if state & offsets.str_ascii_mask else offsets.str_compact_data
        try:
            text = memory.read(address + start, length * width).decode(_ENCODINGS[width])
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() else None
