"""The conversation with the agent over a connected socket."""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from memtui.errors import ChannelError, NoAnswerError
from memtui.protocol import HEADER, MAX_FRAME_FROM_AGENT_BYTES, VERSION, Decoder, Frame, FrameError, encode

_READ_BYTES = 65536
_SEND_SECONDS = 5.0
_READ_AT_ONCE_BYTES = 1024 * 1024
"""At most this much is taken in before it is looked at: what comes from the target must not fill memtui's memory."""
_KEPT_BYTES = 4 * MAX_FRAME_FROM_AGENT_BYTES
_KEPT_FRAMES = 10_000


class AgentLink:
    """One viewer's connection. Not thread-safe: it belongs to the session's thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._decoder = Decoder()
        self._frames: deque[Frame] = deque()
        self._last_id = 0
        self._read_bytes = 0

    def fileno(self) -> int:
        """For selectors; -1 once closed."""
        return self._socket.fileno()

    def request(self, do: str, **arguments: Any) -> int:
        """Send a request; returns its id, which the reply carries. Raises ChannelError."""
        self._last_id += 1
        # From how old a request is the agent sees how long it waits for the GIL.
        self.send(encode({"id": self._last_id, "do": do, "sent": time.monotonic(), **arguments}))
        return self._last_id

    def send_bytes(self, body: bytes) -> None:
        """Send one frame of raw bytes (source text of the agent)."""
        self.send(HEADER.pack(len(body)) + body)

    def send(self, data: bytes) -> None:
        """Send everything within a few seconds. Raises ChannelError."""
        end = time.monotonic() + _SEND_SECONDS
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                if not select.select([], [self._socket], [], max(0.0, end - time.monotonic()))[1]:
                    raise ChannelError("The agent does not read its requests.") from None
            except OSError as error:
                raise ChannelError("The connection to the agent was cut.", why=f"{error.strerror}.") from error

    def receive(self) -> Iterator[Frame]:
        """The frames that have arrived, without waiting. Raises ChannelError at the end of the connection."""
        broken = self._read()
        while self._frames:
            yield self._frames.popleft()
        if broken:
            raise broken

    def wait_for(self, kinds: tuple[str, ...], seconds: float) -> Frame:
        """The next frame of one of these types ("hello", "reply", …); others that arrive meanwhile are kept.

        Raises NoAnswerError when none comes in time, ChannelError when too much else comes, or the connection ends.
        """
        end = time.monotonic() + seconds
        most = self._read_bytes + _KEPT_BYTES
        while True:
            broken = self._read()
            for frame in self._frames:
                if frame.get("t") in kinds:
                    self._frames.remove(frame)
                    return frame
            if broken:
                raise broken
            if self._read_bytes > most or len(self._frames) > _KEPT_FRAMES:
                raise ChannelError("The agent sends more than it was asked for.")
            if not select.select([self._socket], [], [], max(0.0, end - time.monotonic()))[0]:
                raise NoAnswerError("The agent does not answer.")

    def check_version(self, hello: Frame) -> None:
        """Raises ChannelError when the agent in the target speaks another version of the protocol."""
        if hello.get("version") != VERSION:
            raise ChannelError(
                f"The agent in the process speaks version {hello.get('version')}, this memtui version {VERSION}.",
                next_step="Quit the other memtui first, or use the same version.",
            )

    def close(self) -> None:
        """Close this end; the agent notices and leaves when it was the last viewer."""
        self._socket.close()

    def _read(self) -> ChannelError | None:
        """Take in what has arrived; returns how the connection ended, if it did."""
        most = self._read_bytes + _READ_AT_ONCE_BYTES
        while self._read_bytes < most:
            try:
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    return ChannelError("The connection to the agent was cut.")
                self._read_bytes += len(data)
                self._frames.extend(self._decoder.feed(data))
            except BlockingIOError:
                return None
            except OSError as error:
                return ChannelError("The connection to the agent was cut.", why=f"{error.strerror}.")
            except FrameError as error:
                return ChannelError("The agent sent what is no frame.", why=f"It was {error}.")
        return None
