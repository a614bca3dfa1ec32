"""What travels between memtui and the agent: frames and the shape of their contents.

A frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON, always an object. The agent carries its
own copy of these few lines (it may not import memtui); the tests run both against each other.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

VERSION = 1
"""Version of the conversation. An agent and a viewer of different versions refuse each other in words."""

HEADER = struct.Struct(">I")
MAX_FRAME_FROM_AGENT_BYTES = 16 * 1024 * 1024
MAX_FRAME_TO_AGENT_BYTES = 1024 * 1024

Frame = dict[str, Any]


class FrameError(ValueError):
    """Bytes that are no frame of this protocol."""


def encode(frame: Frame, limit_bytes: int = MAX_FRAME_TO_AGENT_BYTES) -> bytes:
    """The bytes of one frame. Raises :class:`FrameError` when it is larger than ``limit_bytes``."""
    body = json.dumps(frame, separators=(",", ":")).encode()
    if len(body) > limit_bytes:
        raise FrameError(f"frame of {len(body)} bytes, at most {limit_bytes} are allowed")
    return HEADER.pack(len(body)) + body


class Decoder:
    """Cuts a byte stream into frames; holds at most one frame's bytes.

    Feed it whatever arrived; it yields every complete frame. Raises :class:`FrameError` on a length above
    ``limit_bytes`` or on a body that is not a JSON object; after that the stream is of no use.
    """

    def __init__(self, limit_bytes: int = MAX_FRAME_FROM_AGENT_BYTES) -> None:
        self._buffer = bytearray()
        self._limit_bytes = limit_bytes

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes in, give complete frames out."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            (length,) = HEADER.unpack_from(self._buffer)
            if length > self._limit_bytes:
                raise FrameError(f"frame of {length} bytes, at most {self._limit_bytes} are allowed")
            end = HEADER.size + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            yield _parse(body)


def _parse(body: bytes) -> Frame:
    try:
        frame = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FrameError("a frame that is not JSON") from error
    if not isinstance(frame, dict):
        raise FrameError("a frame that is not an object")
    return frame
