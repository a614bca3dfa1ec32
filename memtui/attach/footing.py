"""What a process must have for one of its threads to be borrowed for bare system calls: three places in its code."""

from __future__ import annotations

import os

from memtui.attach.native import arch
from memtui.errors import RefusedError
from memtui.observe.elf import ElfError, exported
from memtui.observe.maps import Mapping, open_mapped, read_maps
from memtui.observe.memory import RemoteMemory, UnreadableError

_C_LIBRARIES = ("libc.so", "libc-2", "ld-musl", "libc.musl")
_EXIT = "_exit"
_WANTED = ("syscall_ret", "restore_rt")


def find_footing(pid: int) -> dict[str, int]:
    """Addresses in process ``pid``: ``syscall_ret``, ``restore_rt`` (see Architecture.GADGETS) and ``_exit``.

    Raises RefusedError when its C library is not one memtui knows, TargetDiedError.
    """
    maps = read_maps(pid)
    found: dict[str, int] = {}
    with RemoteMemory(pid) as memory:
        for path in _code_files(maps):
            if _EXIT not in found:
                found |= _exit_of(pid, maps, path)
            for mapping in maps:
                if mapping.path == path and "x" in mapping.permissions:
                    found = _gadgets(memory, mapping) | found
            if len(found) == len(_WANTED) + 1:
                return found
    raise RefusedError(f"No call can be made in process {pid}.", why="Its C library is not one memtui knows.")


def _code_files(maps: list[Mapping]) -> list[str]:
    """Where to look, in this order: the C library, the kernel's own code, then programs that contain one."""
    names = dict.fromkeys(one.path for one in maps if "x" in one.permissions)
    libraries = [one for one in names if os.path.basename(one).startswith(_C_LIBRARIES)]
    return [*libraries, "[vdso]", *(one for one in names if one.startswith("/") and one not in libraries)]


def _exit_of(pid: int, maps: list[Mapping], path: str) -> dict[str, int]:
    if not path.startswith("/"):
        return {}
    try:
        with open_mapped(pid, maps, path) as file:
            symbols = exported(file, (_EXIT,))
            return {name: value + symbols.bias(maps, path) for name, value in symbols.values.items()}
    except ElfError:
        return {}


def _gadgets(memory: RemoteMemory, mapping: Mapping) -> dict[str, int]:
    try:
        code = memory.read(mapping.start, mapping.end - mapping.start)
    except UnreadableError:
        return {}
    found = {}
    for name in _WANTED:
        places = (_find(code, pattern) for pattern in arch.GADGETS[name])
        at = next((at for at in places if at is not None), None)
        if at is not None:
            found[name] = mapping.start + at
    return found


def _find(code: bytes, pattern: bytes) -> int | None:
    at = code.find(pattern)
    while at >= 0 and at % arch.INSTRUCTION_ALIGNMENT:
        at = code.find(pattern, at + 1)
    return at if at >= 0 else None
