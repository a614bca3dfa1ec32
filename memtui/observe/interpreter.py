"""Which CPython runs in a process, and where its exported functions and data are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from memtui.errors import RefusedError
from memtui.observe.access import reading
from memtui.observe.elf import WordSizeError, exported
from memtui.observe.maps import Mapping as MemoryMapping
from memtui.observe.maps import mapped_files, open_mapped, read_maps
from memtui.observe.memory import RemoteMemory
from memtui.observe.offsets import SELF_DESCRIBING, read_debug_offsets
from memtui.observe.version import find_version

OLDEST = (3, 8)
"""The oldest CPython memtui works with."""

_NAMES = (
    "_PyRuntime",
    "Py_AddPendingCall",
    "PyRun_SimpleString",
    "PyGILState_Ensure",
    "PyGILState_Release",
    "Py_IsInitialized",
)
_VERSION = "Py_Version"
_PYTHON_2_ONLY = "PyString_FromString"
_PYPY = ("PyPyRun_SimpleString", "rpython_startup_code")
_PYPY_NAME = re.compile("pypy")
_PYTHON_NAME = re.compile(r"python[0-9.]*")
_WATCH_CPYTHON = "Run the program with CPython to watch it."
_ALL = (*_NAMES, _VERSION, _PYTHON_2_ONLY, *_PYPY)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A CPython in a process. ``library`` is the mapped path of libpython or of the program that contains it.

    ``version`` has two numbers where the third could not be found out. ``symbols`` are addresses in the process.
    """

    pid: int
    library: str
    version: tuple[int, ...]
    symbols: Mapping[str, int]
    free_threaded: bool = False

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor version, as ``(3, 11)``."""
        return self.version[0], self.version[1]

    @property
    def version_text(self) -> str:
        """As ``3.11.7``."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A mapped file and the addresses in the process of the looked-up symbols it exports."""

    path: str
    addresses: Mapping[str, int]


def find_interpreter(pid: int) -> Interpreter:
    """The CPython that runs in ``pid``.

    Raises :class:`RefusedError`, with a sentence for each reason, when there is none that memtui can work with.
    """
    maps = read_maps(pid)
    exe = _executable(pid)
    loaded = _find_python(pid, maps, exe)
    if loaded is None:
        raise _no_python(pid, exe, maps)
    if _is_pypy(loaded):
        raise RefusedError(
            f"Process {pid} runs PyPy.", why="memtui reads the memory of CPython only.", next_step=_WATCH_CPYTHON
        )
    if _PYTHON_2_ONLY in loaded.addresses:
        raise _too_old(pid, "2")
    with RemoteMemory(pid) as memory:
        version = find_version(pid, memory, maps, loaded.path, loaded.addresses.get(_VERSION))
        if version[:2] < OLDEST:
            raise _too_old(pid, ".".join(map(str, version)))
        if "_PyRuntime" not in loaded.addresses:
            raise _hidden(pid)
        runtime = loaded.addresses["_PyRuntime"]
        free_threaded = version[:2] >= SELF_DESCRIBING and read_debug_offsets(memory, runtime).free_threaded
    symbols = {name: address for name, address in loaded.addresses.items() if name in _NAMES}
    return Interpreter(pid, loaded.path, version, symbols, free_threaded)


def _executable(pid: int) -> str:
    with reading(pid, "program"):
        return os.readlink(f"/proc/{pid}/exe")


def _find_python(pid: int, maps: Sequence[MemoryMapping], exe: str) -> _Loaded | None:
    """The file that contains CPython: the program, libpython, or (a program that embeds it) any other library."""
    program = _load(pid, maps, exe)
    if program is not None and "Py_IsInitialized" in program.addresses:
        return program
    code = {mapping.path for mapping in maps if "x" in mapping.permissions}
    files = [path for path in mapped_files(maps) if path in code and path != exe]
    for path in sorted(files, key=lambda path: "libpython" not in path):
        library = _load(pid, maps, path)
        if library is not None and ("Py_IsInitialized" in library.addresses or _is_pypy(library)):
            # A program may hold copies of a library's data: then its own are the ones in use.
            return _Loaded(path, {**library.addresses, **(program.addresses if program else {})})
    return program if program is not None and _is_pypy(program) else None


def _load(pid: int, maps: Sequence[MemoryMapping], path: str) -> _Loaded | None:
    """None for what is no 64-bit ELF file or cannot be opened."""
    try:
        with open_mapped(pid, maps, path) as file:
            symbols = exported(file, _ALL)
        bias = symbols.bias(maps, path)
    except (RefusedError, OSError):
        return None
    return _Loaded(path, {name: value + bias for name, value in symbols.values.items()})


def _is_pypy(loaded: _Loaded) -> bool:
    return any(name in loaded.addresses for name in _PYPY)


def _no_python(pid: int, exe: str, maps: Sequence[MemoryMapping]) -> RefusedError:
    if not maps:
        return RefusedError(f"Process {pid} has no memory to look at.", why="It is ending or has just started.")
    if _is_32_bit(pid, maps, exe):
        return RefusedError(f"Process {pid} runs a 32-bit program.", why="memtui works with 64-bit ones only.")
    name = PurePosixPath(exe).name
    if _PYPY_NAME.search(name):
        return RefusedError(
            f"Process {pid} runs PyPy.", why="memtui reads the memory of CPython only.", next_step=_WATCH_CPYTHON
        )
    if _PYTHON_NAME.match(name) or any("/lib-dynload/" in mapping.path for mapping in maps):
        return _hidden(pid)
    return RefusedError(
        f"Process {pid} ({name}) is no Python process.",
        why="No file it has loaded contains CPython.",
        next_step="To find one: memtui ps",
    )


def _is_32_bit(pid: int, maps: Sequence[MemoryMapping], exe: str) -> bool:
    try:
        with open_mapped(pid, maps, exe) as file:
            exported(file, ())
    except WordSizeError:
        return True
    except (RefusedError, OSError):
        return False
    return False


def _hidden(pid: int) -> RefusedError:
    return RefusedError(
        f"The Python in process {pid} does not export its symbols.",
        why="It was linked statically with hidden symbols, so memtui cannot find its data.",
        next_step="Run the program with another build of CPython.",
    )


def _too_old(pid: int, version: str) -> RefusedError:
    return RefusedError(
        f"Process {pid} runs Python {version}.",
        why=f"memtui works with CPython {OLDEST[0]}.{OLDEST[1]} and newer.",
        next_step="Run the program with a newer Python.",
    )
