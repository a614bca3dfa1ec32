"""Finding out the exact version of a CPython from outside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from memtui.errors import RefusedError
from memtui.observe.maps import Mapping
from memtui.observe.memory import RemoteMemory, UnreadableError

_IN_NAME = re.compile(r"python([23])\.([0-9]+)")
_EXTENSION_MODULE = re.compile(r"/lib-dynload/[^/]+\.cpython-(3)([0-9]+)[a-z]*-")
_DIRECTORY = re.compile(r"/python(3)\.([0-9]+)t?/lib-dynload/")
_LIBRARY_DIRECTORY = re.compile(rb"python(3)\.([0-9]{1,2})t?\0")
_LONGER_NUMBER = {bytes([character]) for character in b".0123456789"}


def find_version(
    pid: int, memory: RemoteMemory, maps: Sequence[Mapping], library: str, py_version: int | None
) -> tuple[int, ...]:
    """Major, minor and (where it can be found) patch number of the CPython that ``library`` contains.

    ``py_version`` is the address of the constant ``Py_Version``, exported since 3.11. Older ones tell their minor
    version by a file name or their own search path, and the patch number by the text that ``sys.version`` is made of.
    Raises :class:`RefusedError` when nothing tells the version.
    """
    if py_version is not None:
        packed = memory.pointer(py_version)
        return packed >> 24 & 255, packed >> 16 & 255, packed >> 8 & 255
    constants = _constants(memory, maps, library)
    minor = version_in_names(library, [mapping.path for mapping in maps]) or version_in_text(constants)
    if minor is None:
        raise RefusedError(
            f"The version of the Python in process {pid} cannot be found out.",
            why=f"Neither {library} nor the modules it has loaded say it.",
        )
    patch = patch_in_text(constants, minor)
    return minor if patch is None else (*minor, patch)


def version_in_names(library: str, paths: Sequence[str]) -> tuple[int, int] | None:
    """Major and minor version by the name of the library or program, else by the standard library's modules."""
    match = _IN_NAME.search(PurePosixPath(library).name)
    for pattern in (_EXTENSION_MODULE, _DIRECTORY):
        match = match or next((found for path in paths if (found := pattern.search(path))), None)
    return (int(match[1]), int(match[2])) if match else None


def version_in_text(constants: bytes) -> tuple[int, int] | None:
    """Major and minor version by the search path that was compiled in."""
    found = {(int(match[1]), int(match[2])) for match in _LIBRARY_DIRECTORY.finditer(constants)}
    return found.pop() if len(found) == 1 else None


def patch_in_text(constants: bytes, minor: tuple[int, int]) -> int | None:
    """The patch number by the version text that was compiled in; None when there is none, or more than one."""
    # A pattern that begins with plain text is searched for much faster; what comes before is looked at afterwards.
    pattern = re.compile(rb"%d\.%d\.([0-9]{1,2})(?:(?:a|b|rc)[0-9]+)?\+?\0" % minor)
    found = {
        int(match[1])
        for match in pattern.finditer(constants)
        if constants[match.start() - 1 : match.start()] not in _LONGER_NUMBER
    }
    return found.pop() if len(found) == 1 else None


def _constants(memory: RemoteMemory, maps: Sequence[Mapping], library: str) -> bytes:
    pieces = []
    for mapping in maps:
        if mapping.path == library and mapping.permissions.startswith("r-"):
            # A mapping may reach beyond the end of its file, where nothing can be read.
            with suppress(UnreadableError):
                pieces.append(memory.read(mapping.start, mapping.end - mapping.start))
    return b"\0".join(pieces)
