"""Where each version of CPython keeps what memtui reads, in bytes; 64-bit Linux."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from memtui.errors import RefusedError
from memtui.observe.memory import RemoteMemory

SELF_DESCRIBING = (3, 13)
"""Since this version a process itself says where its structures are."""

_DEBUG_COOKIE = b"xdebugpy"
_DEBUG_OFFSETS = struct.Struct("<8s10Q")


@dataclass(frozen=True, slots=True)
class ObjectOffsets:
    """Types, and the dicts and strs that their names are in.

    Until 3.10 the keys of a dict give ``keys_size``, the number of their slots; from 3.11 on the width of their
    indices and their kind. A ``str``'s state is one 32-bit number; ``str_kind_unit`` is what kind 1 is in it.
    """

    type_name: int
    type_flags: int
    type_dict: int
    type_qualname: int
    dict_keys: int
    dict_values: int
    keys_entry_count: int
    keys_indices: int
    keys_size: int | None
    keys_log2_index_bytes: int | None
    keys_kind: int | None
    str_length: int
    str_state: int
    str_kind_mask: int
    str_kind_unit: int
    str_compact_mask: int
    str_ascii_mask: int
    str_ascii_data: int
    str_compact_data: int


@dataclass(frozen=True, slots=True)
class Offsets:
    """Offsets of one minor version. ``gc_owner``, ``runtime`` or ``interpreter``, is where the collector is."""

    compiled_from: str
    gc_owner: str
    runtime_main_interpreter: int
    runtime_initialized: int
    runtime_finalizing: int
    gc: int
    gc_size: int
    gc_enabled: int
    gc_generations: int
    gc_generation_size: int
    gc_threshold: int
    gc_count: int
    gc_permanent: int
    gc_collecting: int
    gc_stats: int
    gc_stats_size: int
    gc_long_lived_total: int
    gc_long_lived_pending: int
    objects: ObjectOffsets


@dataclass(frozen=True, slots=True)
class DebugOffsets:
    """The part of CPython's ``_Py_DebugOffsets`` that memtui needs."""

    minor: tuple[int, int]
    free_threaded: bool
    runtime_finalizing: int
    runtime_interpreters: int
    interpreter_id: int
    interpreter_next: int
    interpreter_gc: int


def offsets_for(minor: tuple[int, int]) -> Offsets:
    """The offsets of CPython ``minor``. Raises :class:`RefusedError` for a version that memtui does not know."""
    found = _table().get(minor)
    if found is None:
        known = sorted(_table())
        raise RefusedError(
            f"The memory of Python {minor[0]}.{minor[1]} cannot be read from outside.",
            why="memtui knows its layout in CPython {}.{} to {}.{}.".format(*known[0], *known[-1]),
        )
    return found


@cache
def _table() -> dict[tuple[int, int], Offsets]:
    versions = json.loads(Path(__file__).with_suffix(".json").read_bytes())["versions"]
    table = {}
    for version, fields in versions.items():
        major, minor = version.split(".")
        objects = ObjectOffsets(**fields.pop("objects"))
        table[int(major), int(minor)] = Offsets(**fields, objects=objects)
    return table


def read_debug_offsets(memory: RemoteMemory, runtime: int) -> DebugOffsets:
    """What the CPython whose ``_PyRuntime`` is at ``runtime`` says of itself.

    Raises :class:`RefusedError` when nothing of the kind is there.
    """
    fields = _DEBUG_OFFSETS.unpack(memory.read(runtime, _DEBUG_OFFSETS.size))
    cookie, version, free_threaded, _, finalizing, interpreters, _, id_, next_, _, gc = fields
    if cookie != _DEBUG_COOKIE:
        raise RefusedError(
            f"The Python in process {memory.pid} does not say where its data is.",
            why="Its table for debuggers is missing; this is an unusual build.",
        )
    minor = version >> 24 & 255, version >> 16 & 255
    return DebugOffsets(minor, bool(free_threaded), finalizing, interpreters, id_, next_, gc)
