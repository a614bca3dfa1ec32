"""Following a file that another process appends to."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_IN_MODIFY = 0x2


class Tail:
    """Reads what is appended to ``path``, from its beginning on. ``fd`` turns readable when something is (inotify).

    ``fd`` is None when the kernel gives no more inotify instances; ``read`` works all the same.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.fd = _watch(path)

    def read(self, limit_bytes: int) -> bytes:
        """What was appended since the last time, at most ``limit_bytes`` of it."""
        data = os.read(self._file, limit_bytes)
        # The notice is taken only when nothing is left, so that ``fd`` stays readable until everything was read.
        if len(data) < limit_bytes and self.fd is not None:
            try:
                os.read(self.fd, 65536)
                data += os.read(self._file, limit_bytes - len(data))
            except BlockingIOError:
                pass
        return data

    def close(self) -> None:
        """Stop following."""
        os.close(self._file)
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def _watch(path: Path) -> int | None:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0:
        return None
    if libc.inotify_add_watch(fd, os.fsencode(path), _IN_MODIFY) < 0:
        os.close(fd)
        return None
    return fd
