"""The second way to a channel, for where a socket cannot be fetched: the agent calls on a socket that memtui opened.

The socket lies in a fresh directory that only the target's user may enter, somewhere in the target's own file system
(``/proc/PID/root``), so it is found from any mount, network or process namespace. Both sides ask the kernel who the
other one is. Directory and socket are removed as soon as the agent is connected, or when memtui gives up.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress

from memtui.channel.identity import Place, peer_of, self_seen_by
from memtui.errors import RefusedError
from memtui.observe.access import read_proc
from memtui.observe.process import ProcessReader

_CANDIDATES = ("/tmp", "/var/tmp", "/dev/shm")
_SOCKET = "s"
_LONGEST_PATH = 107
_BACKLOG = 8
_DIRECTORY_FLAGS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Listener:
    """A socket in a directory of its own that waits for the agent of process ``pid``; close it in any case.

    Opening raises RefusedError when there is no directory for it.
    """

    def __init__(self, pid: int, token: str) -> None:
        self._pid = pid
        self._name = f"memtui-{token}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._parent = self._directory = -1
        try:
            with ProcessReader(pid) as process:
                status = process.status()
            owner = int(status["Uid"].split()[3]), int(status["Gid"].split()[3])
            path = self._open(owner)
            self.place: Place = (os.fsencode(path), *self_seen_by(pid))
        except BaseException:
            self.close()
            raise

    def poll(self) -> socket.socket | None:
        """The connection, once the agent has called; anybody else who calls is sent away.

        Raises FileNotFoundError when the process has ended.
        """
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                os.stat(f"/proc/{self._pid}")
                return None
            if peer_of(connection)[0] == self._pid:
                self.close()
                return connection
            connection.close()

    def close(self) -> None:
        """Remove socket and directory; closing twice does no harm."""
        self._socket.close()
        if self._directory >= 0:
            with suppress(OSError):
                os.unlink(_SOCKET, dir_fd=self._directory)
            with suppress(OSError):
                os.rmdir(self._name, dir_fd=self._parent)
        for fd in (self._directory, self._parent):
            if fd >= 0:
                os.close(fd)
        self._parent = self._directory = -1

    def _open(self, owner: tuple[int, int]) -> str:
        """Listen in the first directory that allows it. Returns the socket's path as the target sees it."""
        reasons: list[str] = []
        for folder in _folders(self._pid):
            path = f"{folder}/{self._name}/{_SOCKET}"
            if len(os.fsencode(path)) > _LONGEST_PATH:
                reasons.append(f"{folder}: too long a path")
                continue
            try:
                self._parent = _walk(self._pid, folder)
                os.mkdir(self._name, 0o700, dir_fd=self._parent)
                self._directory = os.open(self._name, _DIRECTORY_FLAGS, dir_fd=self._parent)
                self._listen(owner)
                return path
            except OSError as error:
                reasons.append(f"{folder}: {error.strerror}")
                self._take_back()
        raise RefusedError(
            f"No socket for the agent can be made where process {self._pid} would find it.",
            why=f"{'; '.join(reasons)}.",
            next_step="Make a directory that you and the process may write to, such as its /tmp.",
        )

    def _listen(self, owner: tuple[int, int]) -> None:
        self._socket.bind(f"/proc/self/fd/{self._directory}/{_SOCKET}")
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)
        if owner[0] != os.geteuid():
            # The directory last: until then nobody but memtui can have touched what is in it.
            os.chown(_SOCKET, *owner, dir_fd=self._directory, follow_symlinks=False)
            os.chown(f"/proc/self/fd/{self._directory}", *owner)

    def _take_back(self) -> None:
        self.close()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)


def _folders(pid: int) -> Iterator[str]:
    """Where a temporary directory may be made, as the target sees it: its own choice first."""
    for entry in read_proc(pid, "environ", "environment").split(b"\0"):
        if entry.startswith(b"TMPDIR=/"):
            yield os.fsdecode(entry[len(b"TMPDIR=") :]).rstrip("/")
    yield from _CANDIDATES


def _walk(pid: int, folder: str) -> int:
    """Open a directory of the target; a symbolic link on the way could lead out of its root and is not followed."""
    fd = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in folder.split("/"):
        if part in ("", "."):
            continue
        above = fd
        try:
            if part == "..":
                raise NotADirectoryError(errno.ENOTDIR, "a path that leads up again")
            fd = os.open(part, _DIRECTORY_FLAGS, dir_fd=above)
        finally:
            os.close(above)
    return fd
