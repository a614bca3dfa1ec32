"""Reading the memory of a running process, without stopping it."""

from __future__ import annotations

import errno
import os
import struct

from memtui.errors import TargetDiedError, TargetError
from memtui.observe.access import reading
from memtui.observe.held import HeldFile

_HIGHEST_ADDRESS = 1 << 63
_NOT_MAPPED = (errno.EIO, errno.EFAULT)


class UnreadableError(TargetError):
    """An address at which the target has no memory."""


class RemoteMemory(HeldFile):
    """The address space of one process, through ``/proc/PID/mem``; close it, or use it in a ``with`` block.

    It stays bound to the program that ran when it was opened: after an exec or the end of the process every read
    raises :class:`TargetDiedError`. Opening raises :class:`RefusedError` when reading is not permitted.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(pid, f"/proc/{pid}/mem", 0, "memory")

    def read(self, address: int, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises :class:`UnreadableError` where there is no memory."""
        data = bytearray(size)
        got = self.read_into(memoryview(data), address)
        if got < size:
            raise self._unreadable(address + got)
        return bytes(data)

    def read_into(self, buffer: memoryview, address: int) -> int:
        """Fill ``buffer``; returns how many bytes there were. Raises :class:`UnreadableError` when there is none."""
        if not 0 < address < _HIGHEST_ADDRESS - len(buffer):
            raise self._unreadable(address)
        try:
            with reading(self.pid, "memory"):
                got = os.preadv(self._fd, [buffer], address)
        except OSError as error:
            if error.errno in _NOT_MAPPED:
                raise self._unreadable(address) from error
            raise
        if not got and len(buffer):
            raise TargetDiedError(f"The program that ran in process {self.pid} has ended.")
        return got

    def unpack(self, layout: struct.Struct, address: int) -> tuple[int, ...]:
        """The integers of ``layout`` at ``address``."""
        return layout.unpack(self.read(address, layout.size))

    def pointer(self, address: int) -> int:
        """An unsigned 64-bit number, such as a pointer."""
        return int.from_bytes(self.read(address, 8), "little")

    def u32(self, address: int) -> int:
        """An unsigned 32-bit number."""
        return int.from_bytes(self.read(address, 4), "little")

    def i32(self, address: int) -> int:
        """A signed 32-bit number, such as a C int."""
        return int.from_bytes(self.read(address, 4), "little", signed=True)

    def i64(self, address: int) -> int:
        """A signed 64-bit number, such as a ``Py_ssize_t``."""
        return int.from_bytes(self.read(address, 8), "little", signed=True)

    def _unreadable(self, address: int) -> UnreadableError:
        return UnreadableError(f"Process {self.pid} has no readable memory at {address:#x}.")
