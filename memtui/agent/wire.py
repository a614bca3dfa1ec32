"""The agent's end of the wire: frames, and one viewer's connection with bounded buffers.

A frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON, always an object (as in memtui's protocol
module, of which this is the agent's own copy).
"""

from __future__ import annotations

import _json
from posix import close, read, set_blocking, write
from time import monotonic

from .pace import Pace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
HEADER_BYTES = 4
MAX_IN_BYTES = 1024 * 1024
MAX_OUT_BYTES = 16 * 1024 * 1024
SLICE = 1000
"""Rows that are turned into JSON in one go: the encoder holds the GIL meanwhile."""
MAX_LISTS = 100
"""How many lists and objects a frame may have. Requests have few, and those nested without end would take the thread
to the end of its stack: where a callback of the collector runs just there, Python 3.8 ends the process."""
STUCK_SECONDS = 10.0
REQUESTS_PER_SECOND = 50
_READ_BYTES = 65536
_WRITE_BYTES = 262144
_MAX_DIGITS = 20


class WireError(Exception):
    """This viewer is gone, or sends what is no frame: it has to be dropped."""


class TooLarge(Exception):
    """A reply that does not fit into a frame."""


def _integer(digits: str) -> int:
    # Turning a million digits into a number takes seconds with the GIL held.
    if len(digits) > _MAX_DIGITS:
        raise ValueError("a number of that many digits")
    return int(digits)


class _Decoding:
    """What the C scanner asks of its decoder."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = staticmethod(_integer)
    parse_constant = float


# The C half of the json package alone: importing the whole package reads some ten files, which in a process that is
# busy means waiting for the GIL as often, and its Python frames would show up among the traced lines.
_decoding: Any = _Decoding
_scan: Any = _json.make_scanner(_decoding)
_chunks: Any = _json.make_encoder(None, str, _json.encode_basestring_ascii, None, ":", ",", False, False, True)


def _to_text(value: Any) -> str:
    if type(value) is str:
        return str(_json.encode_basestring_ascii(value))
    return "".join(_chunks(value, 0))


def _from_text(text: str) -> Any:
    try:
        value, end = _scan(text, len(text) - len(text.lstrip()))
    except StopIteration:
        raise ValueError("no value") from None
    if text[end:].strip():
        raise ValueError("more than one value")
    return value


def encode(frame: dict[str, Any]) -> bytes:
    """The bytes of one frame; long lists in it are encoded in slices. Raises TooLarge, TooBusy."""
    parts = []
    for key, value in frame.items():
        text = _rows(value) if type(value) is list and len(value) > SLICE else _to_text(value)
        parts.append(_to_text(key) + ":" + text)
    body = ("{" + ",".join(parts) + "}").encode("ascii")
    if len(body) > MAX_OUT_BYTES:
        raise TooLarge
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def _rows(values: list[Any]) -> str:
    pieces, pace = [], Pace()
    for start in range(0, len(values), SLICE):
        pieces.append(_to_text(values[start : start + SLICE])[1:-1])
        pace.give_way()
    return "[" + ",".join(pieces) + "]"


def take_frame(inbox: bytearray) -> dict[str, Any] | None:
    """Remove the first frame from ``inbox`` and return it; None when it is not all there. Raises WireError."""
    if len(inbox) < HEADER_BYTES:
        return None
    end = HEADER_BYTES + int.from_bytes(inbox[:HEADER_BYTES], "big")
    if end > HEADER_BYTES + MAX_IN_BYTES:
        raise WireError("a frame that is too large")
    if len(inbox) < end:
        return None
    body = bytes(inbox[HEADER_BYTES:end])
    del inbox[:end]
    if body.count(b"[") + body.count(b"{") > MAX_LISTS:
        raise WireError("a frame of too many parts")
    try:
        frame = _from_text(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise WireError("a frame that is not JSON") from None
    if type(frame) is not dict:
        raise WireError("a frame that is not an object")
    return frame


def hang_up(fd: int) -> None:
    """Close a connection, also where a forked child of the target holds a copy of it."""
    # Imported only here: where the program has no use for it, that reads files.
    try:
        from _socket import SHUT_RDWR, socket

        connection = socket(fileno=fd)
    except (OSError, ImportError):
        close(fd)
        return
    try:
        connection.shutdown(SHUT_RDWR)
    except OSError:
        pass
    connection.close()


class Viewer:
    """One connection. Owns its file descriptor; every call returns at once."""

    __slots__ = ("_blocked_since", "_inbox", "_outbox", "_second", "_taken", "due", "fd", "interval", "leaving")

    def __init__(self, fd: int) -> None:
        set_blocking(fd, False)
        self.fd = fd
        self.interval = 0.0
        self.due = 0.0
        self.leaving = False
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._blocked_since = 0.0
        self._second = 0.0
        self._taken = 0

    @property
    def pending(self) -> bool:
        """Something is waiting to be sent."""
        return bool(self._outbox)

    def receive(self) -> None:
        """Take in what has arrived. Raises WireError when the viewer is gone."""
        try:
            data = read(self.fd, _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            raise WireError("cut") from None
        if not data:
            raise WireError("closed")
        self._inbox += data

    def listen(self) -> bool:
        """As `receive`, but waits as long as the connection's time limit. False when nothing has arrived.

        One call that gives the GIL away, where a poll and a read are two.
        """
        before = len(self._inbox)
        set_blocking(self.fd, True)
        try:
            self.receive()
        finally:
            set_blocking(self.fd, False)
        return len(self._inbox) > before

    def next_request(self, now: float) -> dict[str, Any] | None:
        """The next request, if it may be served now: not while a reply waits to be read, nor above the rate."""
        if now - self._second >= 1.0:
            self._second, self._taken = now, 0
        if self._outbox or self._taken >= REQUESTS_PER_SECOND:
            return None
        frame = take_frame(self._inbox)
        if frame is not None:
            self._taken += 1
        return frame

    def wants_to_read(self) -> bool:
        """False while what was received has to wait, so that nothing piles up here."""
        return not self._outbox and self._taken < REQUESTS_PER_SECOND

    def resumes_at(self) -> float:
        """When the rate allows requests again; far away when it does now."""
        return self._second + 1.0 if self._taken >= REQUESTS_PER_SECOND else float("inf")

    def send(self, data: bytes, droppable: bool = False) -> None:
        """Send without waiting; what does not fit is kept, unless it may be dropped. Raises WireError."""
        if not (droppable and self._outbox):
            if not self._outbox:
                self._blocked_since = monotonic()
            self._outbox += data
            self.flush()

    def flush(self) -> None:
        """Send what is waiting. Raises WireError when the viewer is gone or has not read for ten seconds."""
        while self._outbox:
            try:
                sent = write(self.fd, self._outbox[:_WRITE_BYTES])
            except BlockingIOError:
                if monotonic() - self._blocked_since > STUCK_SECONDS:
                    raise WireError("stuck") from None
                return
            except OSError:
                raise WireError("cut") from None
            del self._outbox[:sent]
            self._blocked_since = monotonic()

    def close(self) -> None:
        """Give the file descriptor back."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            hang_up(fd)
