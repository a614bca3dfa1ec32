"""How each version of CPython lays out objects, frames and its interpreter, in bytes; 64-bit Linux, with the GIL.

The numbers are in ``layout.json``, compiled from each version's headers. A field is named after the member of the C
structure: ``tp_`` of ``PyTypeObject``, ``ht_`` of ``PyHeapTypeObject``, ``ma_`` of ``PyDictObject``, ``dk_`` of its
keys, ``co_`` of ``PyCodeObject``, ``frame_`` of ``_PyInterpreterFrame``, ``frameobject_`` of ``PyFrameObject``,
``thread_`` of ``PyThreadState``; ABSENT where a version has no such member.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from memtui.errors import RefusedError

ABSENT = -1
"""Offset of a member that a version does not have."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One minor version. ``minor`` is as ``(3, 11)``."""

    minor: tuple[int, int]
    compiled_from: str
    tp_name: int
    tp_basicsize: int
    tp_itemsize: int
    tp_flags: int
    tp_dict: int
    tp_base: int
    tp_bases: int
    tp_mro: int
    tp_cache: int
    tp_subclasses: int
    tp_weaklist: int
    tp_weaklistoffset: int
    tp_dictoffset: int
    type_size: int
    heap_type_size: int
    ht_name: int
    ht_qualname: int
    ht_slots: int
    ht_cached_keys: int
    ht_module: int
    ht_getitem: int
    ma_used: int
    ma_keys: int
    ma_values: int
    dict_size: int
    dk_usable: int
    dk_nentries: int
    dk_indices: int
    dk_size: int
    dk_log2_size: int
    dk_log2_index_bytes: int
    dk_kind: int
    values_first: int
    list_items: int
    list_allocated: int
    list_size: int
    tuple_items: int
    set_used: int
    set_mask: int
    set_table: int
    set_smalltable: int
    set_size: int
    weakref_object: int
    weakref_callback: int
    weakref_size: int
    str_length: int
    str_state: int
    ascii_size: int
    compact_size: int
    unicode_size: int
    str_utf8: int
    str_utf8_length: int
    bytes_data: int
    bytearray_allocated: int
    co_name: int
    co_filename: int
    co_stacksize: int
    co_weakreflist: int
    co_qualname: int
    co_localsplusnames: int
    co_nlocalsplus: int
    co_code_adaptive: int
    co_cached: int
    co_varnames: int
    co_cellvars: int
    co_freevars: int
    function_code: int
    function_qualname: int
    frame_code: int
    frame_previous: int
    frame_globals: int
    frame_builtins: int
    frame_object: int
    frame_stacktop: int
    frame_localsplus: int
    frameobject_frame: int
    frameobject_own: int
    frameobject_code: int
    frameobject_localsplus: int
    frameobject_back: int
    frameobject_valuestack: int
    frameobject_stacktop: int
    frameobject_stackdepth: int
    frameobject_trace: int
    runtime_main: int
    interpreter_size: int
    thread_size: int
    thread_next: int
    thread_id: int
    thread_dict: int
    interpreter_threads: int
    thread_native_id: int
    thread_frame: int
    thread_cframe: int
    cframe_frame: int
    interpreter_modules: int
    interpreter_builtins: int
    interpreter_sysdict: int

    @property
    def has_new_frames(self) -> bool:
        """Frames are no objects any more: since 3.11."""
        return self.minor >= (3, 11)

    @property
    def has_inline_values(self) -> bool:
        """Instances keep attributes in an array of values, without a dict: since 3.11."""
        return self.minor >= (3, 11)


def layout_for(minor: tuple[int, int]) -> Layout:
    """The layout of CPython ``minor``. Raises :class:`RefusedError` for a version that memtui does not know."""
    found = _table().get(minor)
    if found is None:
        known = sorted(_table())
        raise RefusedError(
            f"The heap of Python {minor[0]}.{minor[1]} cannot be read from outside.",
            why="memtui knows how CPython {}.{} to {}.{} lay out their objects.".format(*known[0], *known[-1]),
        )
    return found


@cache
def _table() -> dict[tuple[int, int], Layout]:
    versions: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_suffix(".json").read_bytes())["versions"]
    table = {}
    for version, fields in versions.items():
        major, minor = version.split(".")
        known: dict[str, Any] = {name: ABSENT if value is None else value for name, value in fields.items()}
        table[int(major), int(minor)] = Layout((int(major), int(minor)), **known)
    return table
