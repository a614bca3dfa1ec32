"""The agent's end of the wire: frames, and one viewer's connection with bounded buffers.

A frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON, always an object (as in memtui's protocol
module, of which this is the agent's own copy).
"""

from __future__ import annotations

import _json
import sys
from _socket import SHUT_RDWR, socket
from posix import close, read, set_blocking, write
from posix import open as open_file
from time import monotonic, thread_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1
HEADER_BYTES = 4
MAX_IN_BYTES = 1024 * 1024
MAX_OUT_BYTES = 16 * 1024 * 1024
SLICE = 1000
"""Rows that are turned into JSON in one go: the encoder holds the GIL meanwhile."""
STUCK_SECONDS = 10.0
REQUESTS_PER_SECOND = 50
TURN_SECONDS, STARVED_TURN_SECONDS, LONG_TURN_SECONDS = 0.005, 0.03, 0.1
"""Of work, in processor time, before the GIL is given away: usually, where this thread often waits for a processor,
and where it waits long for the GIL."""
GRIP_AFTER_SECONDS, LONG_WAIT_SECONDS, PATIENCE_SECONDS = 0.05, 0.2, 4.0
LONG_WAITS_REMEMBERED_SECONDS = 60.0
EXPECT_AFTER_SECONDS = 0.5
_READ_BYTES = 65536
_WRITE_BYTES = 262144
_MAX_DIGITS = 20


class WireError(Exception):
    """This viewer is gone, or sends what is no frame: it has to be dropped."""


class TooLarge(Exception):
    """A reply that does not fit into a frame."""


def original(module: str, name: str) -> Any:
    """The function as the standard library made it, also where gevent or eventlet put theirs in its place."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None:
        return gevent.get_original(module, name)
    eventlet = sys.modules.get("eventlet.patcher")
    if eventlet is not None and eventlet.is_monkey_patched(module.lstrip("_")):
        return getattr(eventlet.original(module), name)
    return getattr(__import__(module), name)


def forget_thread() -> None:
    """Remove what `threading` noted of this thread, if some code of the target asked for it here."""
    threading = sys.modules.get("threading")
    ident = original("_thread", "get_ident")()
    if threading is not None and type(threading._active.get(ident)).__name__ == "_DummyThread":
        threading._active.pop(ident, None)


class TooBusy(Exception):
    """The target keeps the GIL for so long at a time that the work would take many seconds."""


class _Found:
    """The switch interval that was found. The end of this object brings it back, unless it was changed since."""

    def __init__(self, seconds: float, changed_to: float) -> None:
        self.seconds = seconds
        self.changed_to = changed_to

    def __del__(self) -> None:
        if sys.getswitchinterval() == self.changed_to:
            sys.setswitchinterval(self.seconds + 5e-7)  # whole microseconds are cut off, not rounded


class Grip:
    """Another switch interval for the process, until `end`.

    A child that is forked meanwhile does not have this thread: there the interval ends with the thread's local data.
    So that this never fails, whatever instruction the fork comes at, nothing else refers to `_Found` (what a frame
    refers to is never freed in the child); it is there before the change, and it goes after the change is undone.
    """

    __slots__ = ("_changed_to", "_found", "_own")

    def __init__(self) -> None:
        self._own: Any = original("_thread", "_local")()
        self._changed_to = 0.0

    @property
    def held(self) -> bool:
        """It is changed now."""
        return bool(self._changed_to)

    def begin(self, seconds: float) -> None:
        """Change it to this, in place of any earlier change."""
        self.end()
        self._found, self._changed_to = sys.getswitchinterval(), 1e-6 * int(1e6 * seconds)
        self._own.found = _Found(self._found, self._changed_to)
        sys.setswitchinterval(seconds)

    def end(self) -> None:
        """As it was found, unless somebody else has changed it since."""
        if self._changed_to:
            if sys.getswitchinterval() == self._changed_to:
                sys.setswitchinterval(self._found + 5e-7)
            self._changed_to = 0.0
            del self._own.found


def starved_seconds() -> float:
    """How long this thread has waited for a processor, which is not the program's doing; 0 where it is not told."""
    try:
        fd = open_file("/proc/thread-self/schedstat", 0)
        try:
            return int(read(fd, 100).split()[1]) / 1e9
        finally:
            close(fd)
    except (OSError, IndexError, ValueError):
        return 0.0


class Pace:
    """When one piece of long work lets the target's threads have the GIL.

    Mostly after five milliseconds of work. Where each time costs long, because C code keeps the GIL, the agent keeps
    it longer too once it has it: it works for longer, and asks the interpreter not to be interrupted meanwhile.
    After a few seconds of such waits it gives up.
    """

    __slots__ = ("_grip", "_patience_seconds", "_starved", "_turn_seconds", "_wall", "_work")

    def __init__(self) -> None:
        self._turn_seconds = TURN_SECONDS
        self._patience_seconds = PATIENCE_SECONDS
        self._grip = Grip()
        self._starved = starved_seconds()
        self._wall, self._work = monotonic(), thread_time()
        if waits_are_expected():
            self._take_grip(LONG_TURN_SECONDS)

    def give_way(self) -> None:
        """Let the target have the GIL, if it is time to. Raises TooBusy."""
        if thread_time() - self._work >= self._turn_seconds:
            _sleep(0)
        wall, work = monotonic(), thread_time()
        waited = wall - self._wall - (work - self._work)
        was_long = waited > GRIP_AFTER_SECONDS
        if was_long:
            before, self._starved = self._starved, starved_seconds()
            waited -= self._starved - before
        if waited > LONG_WAIT_SECONDS:
            self._patience_seconds -= waited
            if self._patience_seconds < 0:
                raise TooBusy
        if waited > GRIP_AFTER_SECONDS:
            expect_waits()
            self._take_grip(LONG_TURN_SECONDS)
        elif was_long:
            self._take_grip(STARVED_TURN_SECONDS)
        if was_long or work - self._work >= self._turn_seconds:
            self._wall, self._work = monotonic(), thread_time()

    def _take_grip(self, seconds: float) -> None:
        if seconds > self._turn_seconds:
            self._turn_seconds = seconds
            self._grip.begin(seconds)

    def __del__(self) -> None:
        self._grip.end()


_sleep = original("time", "sleep")
_expected_until = [0.0]
"""Until when waits for the GIL are expected to be long, as some lately were."""


def expect_waits() -> None:
    """C code keeps the GIL: long waits are to come.

    Work that follows keeps the GIL from the start, instead of finding that out by waiting once more.
    """
    _expected_until[0] = monotonic() + LONG_WAITS_REMEMBERED_SECONDS


def waits_are_expected() -> bool:
    """Whether waits for the GIL have lately been long."""
    return monotonic() < _expected_until[0]


def take_grip(grip: Grip) -> None:
    """Where C code keeps the GIL, keep it too, until all is done that can be done now.

    Every read and write gives the GIL away, and unless it comes back at once that costs as long a wait as the last.
    """
    if waits_are_expected():
        grip.begin(LONG_TURN_SECONDS)


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
    try:
        frame = _from_text(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise WireError("a frame that is not JSON") from None
    if type(frame) is not dict:
        raise WireError("a frame that is not an object")
    return frame


def hang_up(fd: int) -> None:
    """Close a connection, also where a forked child of the target holds a copy of it."""
    try:
        connection = socket(fileno=fd)
    except OSError:
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
