"""What a process has mapped into its memory, and the files behind it as the process itself sees them."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from memtui.errors import RefusedError
from memtui.observe.access import read_proc
from memtui.observe.memory import RemoteMemory

_ESCAPED = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mapping:
    """One line of ``/proc/PID/maps``. ``path``: empty for anonymous memory, bracketed for the kernel's own."""

    start: int
    end: int
    permissions: str
    offset: int
    path: str
    inode: int

    @property
    def is_file(self) -> bool:
        """Whether a file is behind it, deleted or not."""
        return self.path.startswith("/") and self.inode != 0


def read_maps(pid: int) -> list[Mapping]:
    """The mappings of a process in order of address; empty for zombies and kernel threads.

    Raises :class:`TargetDiedError` or :class:`RefusedError`.
    """
    return parse_maps(read_proc(pid, "maps", "memory map"))


def parse_maps(text: bytes) -> list[Mapping]:
    """The mappings that ``text``, in the format of ``/proc/PID/maps``, describes."""
    return [_parse_line(line) for line in text.splitlines()]


def _parse_line(line: bytes) -> Mapping:
    fields = line.split(None, 5)
    start, end = fields[0].split(b"-")
    path = _ESCAPED.sub(lambda match: bytes([int(match[1], 8)]), fields[5]) if len(fields) > 5 else b""
    return Mapping(
        int(start, 16), int(end, 16), fields[1].decode(), int(fields[2], 16), os.fsdecode(path), int(fields[4])
    )


def mapped_files(maps: Sequence[Mapping]) -> list[str]:
    """Each mapped file once, in order of address."""
    return list(dict.fromkeys(mapping.path for mapping in maps if mapping.is_file))


def open_mapped(pid: int, maps: Sequence[Mapping], path: str) -> BinaryIO:
    """Open a mapped file as the target sees it, in whatever mount namespace it lives, also when it was deleted.

    The very file that is mapped is opened (a newer one in its place is told apart by its inode); where that file
    cannot be had, its bytes are read from the target's memory. Raises :class:`RefusedError` when neither works.
    """
    own = [mapping for mapping in maps if mapping.path == path and mapping.is_file]
    if not own:
        raise RefusedError(f"Process {pid} has no file {path} mapped.")
    first = own[0]
    candidates = (
        f"/proc/{pid}/root{path}",
        f"/proc/{pid}/exe",
        f"/proc/{pid}/map_files/{first.start:x}-{first.end:x}",
    )
    for candidate in candidates:
        file = _open_inode(candidate, first.inode)
        if file is not None:
            return file
    return cast(BinaryIO, MappedFile(pid, path, own))


def _open_inode(path: str, inode: int) -> BinaryIO | None:
    try:
        # Something else may be at the path by now; without O_NONBLOCK a FIFO would make this wait for ever.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_ino == inode:
        return open(fd, "rb")
    os.close(fd)
    return None


class MappedFile(io.RawIOBase):
    """A file read back from where it is mapped: only the mapped parts have bytes, and those may be relocated."""

    def __init__(self, pid: int, path: str, mappings: Sequence[Mapping]) -> None:
        super().__init__()
        self.path = path
        self.mappings = mappings
        self._memory = RemoteMemory(pid)
        # Read-only parts first: where two mappings share a page of the file, the writable one may have changed.
        self._ordered = sorted(mappings, key=lambda mapping: "w" in mapping.permissions)
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position in the file."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to an absolute position."""
        if whence != os.SEEK_SET:
            raise io.UnsupportedOperation("only absolute positions")
        self._position = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes; fewer where the file is not mapped."""
        pieces = []
        while size > 0 and (piece := self._piece(self._position, size)):
            pieces.append(piece)
            self._position += len(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _piece(self, position: int, size: int) -> bytes:
        for mapping in self._ordered:
            length = mapping.end - mapping.start
            inside = position - mapping.offset
            if 0 <= inside < length and mapping.permissions.startswith("r"):
                return self._memory.read(mapping.start + inside, min(size, length - inside))
        return b""

    def close(self) -> None:
        """Let go of the process."""
        self._memory.close()
        super().close()
