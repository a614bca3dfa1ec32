"""Asking the agent of one process, whoever holds the connection to it."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import Any, Protocol

from memtui.attach.inject import attach_agent
from memtui.attach.ways import Via
from memtui.errors import ChannelError
from memtui.protocol import Frame

ANSWER_SECONDS = 60.0
"""So long the import of memray may take in a process."""
_GONE_SECONDS = 1.0


class Talk(Protocol):
    """The way to an agent that is in process ``pid``."""

    @property
    def pid(self) -> int:
        """The process."""
        ...

    def ask(self, do: str, **arguments: Any) -> Frame:
        """Its reply, also when it refuses. Raises ChannelError, TargetDiedError."""
        ...

    def leave(self) -> None:
        """Take out of the process what was asked for here."""
        ...


class OwnAgent:
    """A connection of its own: puts the agent in, or joins it; it leaves with :meth:`leave`.

    Raises RefusedError, TargetDiedError, ChannelError.
    """

    def __init__(self, pid: int, via: Via = "auto", experimental: bool = False) -> None:
        self._attached = attach_agent(pid, via, experimental)

    @property
    def pid(self) -> int:
        """The process."""
        return self._attached.pid

    def ask(self, do: str, **arguments: Any) -> Frame:
        """Its reply. Raises ChannelError, TargetDiedError."""
        number = self._attached.link.request(do, **arguments)
        while True:
            reply = self._attached.link.wait_for(("reply",), ANSWER_SECONDS)
            if reply.get("id") == number:
                return reply

    def leave(self) -> None:
        """Let the agent go, and wait shortly until it is gone."""
        link = self._attached.link
        with closing(link):
            try:
                link.request("detach")
                while True:
                    link.wait_for(("reply",), ANSWER_SECONDS)
            except ChannelError:
                pass
        thread = f"/proc/{self.pid}/task/{self._attached.hello.get('thread')}"
        end = time.monotonic() + _GONE_SECONDS
        while self._attached.hello.get("viewers") == 1 and os.path.exists(thread) and time.monotonic() < end:
            time.sleep(0.005)
