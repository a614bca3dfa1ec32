"""How memtui and a fresh agent find each other: by fetching a socket, or where that is refused, by listening."""

from __future__ import annotations

import os
import socket
from typing import Protocol

from memtui.channel.fetch import Fetched, check_supported
from memtui.channel.identity import Place
from memtui.channel.listen import Listener
from memtui.errors import RefusedError

CHANNEL_VARIABLE = "MEMTUI_CHANNEL"
"""``socket``: memtui listens also where it could fetch (for tests)."""


class Meeting(Protocol):
    """A way to one connection with the agent of one process."""

    @property
    def place(self) -> Place | None:
        """Where the agent has to call; None when it makes the channel itself."""
        ...

    def poll(self) -> socket.socket | None:
        """The connection, None while the agent is not there. Raises RefusedError, and OSError when it has ended."""
        ...

    def close(self) -> None:
        """Give up or be done: nothing is left in the file system."""
        ...


def meet(pid: int, token: str) -> Meeting:
    """The best way there is on this machine. Raises RefusedError when there is none."""
    return Fetched(pid, token) if can_fetch() else Listener(pid, token)


def can_fetch() -> bool:
    """Whether sockets are fetched here: the kernel can (Linux 5.6), no filter forbids it, the user wants it."""
    if os.environ.get(CHANNEL_VARIABLE) == "socket":
        return False
    try:
        check_supported()
    except RefusedError:
        return False
    return True
