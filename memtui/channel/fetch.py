"""Fetching memtui's end of the channel out of the target: no port, no file, no shared namespace.

The agent makes a socket pair and names one end's number in an anonymous memory file; whoever may ptrace the process
can copy that end with ``pidfd_getfd`` (Linux 5.6), nobody else can.
"""

from __future__ import annotations

import ctypes
import os
import socket

from memtui.errors import RefusedError

_SYS_PIDFD_GETFD = 438
_libc = ctypes.CDLL(None, use_errno=True)


def announced(pid: int, token: str) -> int | None:
    """Number, in the target, of the announced end; None while it is not announced."""
    prefix = f"/memfd:memtui-{token}-"
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        try:
            link = os.readlink(f"{folder}/{name}")
        except OSError:
            continue
        if link.startswith(prefix):
            return int(link[len(prefix) :].split(" ")[0])
    return None


def fetch(pid: int, number: int) -> socket.socket:
    """A copy of the target's socket ``number``. Raises RefusedError when the kernel does not allow it."""
    pidfd = os.pidfd_open(pid)
    try:
        mine = _libc.syscall(_SYS_PIDFD_GETFD, pidfd, number, 0)
        if mine < 0:
            error = os.strerror(ctypes.get_errno())
            raise RefusedError(
                f"The channel to the agent in {pid} cannot be fetched.",
                why=f"pidfd_getfd: {error}.",
                next_step="It needs Linux 5.6 and the right to ptrace the process; try as root.",
            )
    finally:
        os.close(pidfd)
    return socket.socket(fileno=mine)
