"""A question that another thread puts to the agent through the session, and waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from memtui.errors import ChannelError
from memtui.protocol import Frame


class AgentQuestion:
    """What to ask (``do`` and its ``arguments``), and the reply once it is there."""

    def __init__(self, do: str, arguments: dict[str, Any]) -> None:
        self.do, self.arguments = do, arguments
        self._over = threading.Event()
        self._reply: Frame | None = None

    def answer(self, reply: Frame) -> None:
        """The agent has answered, or refused."""
        self._reply = reply
        self._over.set()

    def fail(self) -> None:
        """No reply will come."""
        self._over.set()

    def wait(self, seconds: float) -> Frame:
        """The reply. Raises ChannelError when none comes."""
        if not self._over.wait(seconds):
            raise ChannelError("The agent does not answer.")
        if self._reply is None:
            raise ChannelError("The connection to the agent is over.")
        return self._reply


class SessionTalk:
    """Implements :class:`memtui.native.talk.Talk` over the session's own connection to the agent in ``pid``.

    ``deliver`` hands a question to the session's thread. After :meth:`close` every question fails.
    """

    def __init__(self, pid: int, deliver: Callable[[AgentQuestion], None], patience_seconds: float) -> None:
        self._pid, self._deliver, self._patience_seconds = pid, deliver, patience_seconds
        self._lock = threading.Lock()
        self._asked: AgentQuestion | None = None
        self._closed = False

    @property
    def pid(self) -> int:
        """The process."""
        return self._pid

    def ask(self, do: str, **arguments: Any) -> Frame:
        """Its reply, also when it refuses. Raises ChannelError."""
        question = AgentQuestion(do, arguments)
        with self._lock:
            if self._closed:
                raise ChannelError("The session is over.")
            self._asked = question
        self._deliver(question)
        return question.wait(self._patience_seconds)

    def leave(self) -> None:
        """Have the agent let go of the recording; it stays for the session."""
        try:
            self.ask("native_release")
        except ChannelError:
            pass  # it is gone, and with it what was to be released

    def close(self) -> None:
        """Nothing is asked any more: what waits gets no reply."""
        with self._lock:
            self._closed = True
            asked = self._asked
        if asked is not None:
            asked.fail()
