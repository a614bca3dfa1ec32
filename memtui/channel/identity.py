"""Who is at the other end of a local socket, by the kernel's word, and as whom the target would see memtui."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable
from pathlib import Path

Place = tuple[bytes, int, int]
"""Path of a socket as the target sees it, and the process id and user id that have to be listening there."""

_CREDENTIALS = struct.Struct("=iII")
_OVERFLOW_UID = Path("/proc/sys/kernel/overflowuid")
_DEFAULT_OVERFLOW_UID = 65534


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Process id and user id of whoever made the other end; the pid is 0 when it is not visible from here."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return pid, uid


def self_seen_by(pid: int) -> tuple[int, int]:
    """Process id and user id of memtui as process ``pid`` sees them; the pid is 0 when it cannot see memtui."""
    visible = _same_namespace(pid, "pid")
    uid = os.geteuid()
    if not _same_namespace(pid, "user"):
        lines = Path(f"/proc/{pid}/uid_map").read_text("ascii").splitlines()
        uid = map_user(uid, ([int(word) for word in line.split()] for line in lines))
    return os.getpid() if visible else 0, uid


def map_user(uid: int, ranges: Iterable[list[int]]) -> int:
    """What ``uid`` is called inside a user namespace; ``ranges`` are the numbers of its ``uid_map``, line by line."""
    for inside, outside, length in ranges:
        if outside <= uid < outside + length:
            return inside + uid - outside
    return _overflow_uid()


def _overflow_uid() -> int:
    try:
        return int(_OVERFLOW_UID.read_text("ascii"))
    except (OSError, ValueError):
        return _DEFAULT_OVERFLOW_UID


def _same_namespace(pid: int, kind: str) -> bool:
    return os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/self/ns/{kind}")
