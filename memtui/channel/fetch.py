"""Fetching memtui's end of the channel out of the target: no port, no file, no shared namespace.

The agent makes a socket pair and names one end's number in an anonymous memory file; whoever may ptrace the process
can copy that end with ``pidfd_getfd`` (Linux 5.6), nobody else can.
"""

from __future__ import annotations

import ctypes
import os
import socket

from memtui.channel.identity import Place, peer_of
from memtui.errors import RefusedError

_SYS_PIDFD_OPEN, _SYS_PIDFD_GETFD = 434, 438
_libc = ctypes.CDLL(None, use_errno=True)


class Fetched:
    """The channel that the agent of process ``pid`` makes itself, and announces under ``token``."""

    place: Place | None = None

    def __init__(self, pid: int, token: str) -> None:
        self._pid, self._token = pid, token

    def poll(self) -> socket.socket | None:
        """The fetched end; None while none is announced. Raises RefusedError, and OSError when the process ended."""
        number = announced(self._pid, self._token)
        return None if number is None else fetch(self._pid, number, self._token)

    def close(self) -> None:
        """Nothing to do: there is only what the agent made."""


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


def check_supported() -> None:
    """Raise RefusedError when this kernel, or a filter over memtui, does not allow to fetch a socket."""
    with socket.socket() as any_socket:
        os.close(_copy(os.getpid(), any_socket.fileno(), "A channel to the agent cannot be fetched."))


def fetch(pid: int, number: int, token: str) -> socket.socket:
    """A copy of the target's socket ``number``. Raises RefusedError when the kernel does not allow it."""
    mine = _copy(pid, number, f"The channel to the agent in {pid} cannot be fetched.")
    if announced(pid, token) != number:
        os.close(mine)  # the offer was withdrawn: by now the number may be any of the target's own files
        raise RefusedError(f"The agent in {pid} did not wait for memtui.", next_step="Try again.")
    connection = socket.socket(fileno=mine)
    if peer_of(connection)[0] != pid:
        connection.close()
        raise RefusedError(f"The channel that {pid} offers was not made by itself.")
    return connection


def _copy(pid: int, number: int, complaint: str) -> int:
    pidfd = _libc.syscall(_SYS_PIDFD_OPEN, pid, 0)
    mine = _libc.syscall(_SYS_PIDFD_GETFD, pidfd, number, 0) if pidfd >= 0 else -1
    error = os.strerror(ctypes.get_errno())
    if pidfd >= 0:
        os.close(pidfd)
    if mine < 0:
        raise RefusedError(
            complaint,
            why=f"pidfd_getfd: {error}.",
            next_step="It needs Linux 5.6 and the right to ptrace the process; try as root.",
        )
    return int(mine)
