"""The first lines that run inside the target: they make the private channel and load the agent through it.

This text travels on a memory page (see ``memtui/attach/stubs.py``), so it is short; what is needed later is
compiled later (``landing.py``). It runs in a native thread of its own; no name of it stays anywhere. The other end
of the channel is fetched by memtui with ``pidfd_getfd``: the only thing others can see is an anonymous memory file,
whose name carries the token and the number of that end. Where that is refused, memtui waits at a socket and tells
its place: the path, and which process and user have to be listening.
"""

import _imp
import os
import sys
import time

from .grip import Grip, fair_seconds, starved_seconds
from .originals import forget_thread, original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional, Tuple

    _Place = Optional[Tuple[bytes, int, int]]

_PACKAGE = "_memtui_agent"
_FETCH_SECONDS = 10.0
_LANDING = ""
"""The text of the landing module."""
_TEXT_BYTES = 0
"""How long the agent's text is, where that is told: then it comes in one call, which gives the GIL away once."""
_HASTY_SECONDS = 0.0001
_LONG_WAIT_SECONDS, _SURELY_LONG_SECONDS = 0.15, 0.5


def start(token: str, asked_at: float, expires_at: float, pid: int, place: "_Place" = None) -> None:
    """`boot` in a new thread, for a source that is run by the main thread."""
    try:
        original("_thread", "start_new_thread")(boot, (token, asked_at, expires_at, pid, place))
    except KeyboardInterrupt:
        # Ctrl-C came just now and was meant for the program: from another thread it gets there.
        import _thread

        _thread.start_new_thread(_thread.interrupt_main, ())


def boot(token: str, asked_at: float, expires_at: float, pid: int, place: "_Place" = None) -> None:
    """Open a channel for one viewer; join the running agent, or become it. Never raises.

    Does nothing after ``expires_at``, nor in a forked child that inherited the queued call (``pid`` is the process).
    ``asked_at`` is when memtui began. All times are since the epoch, in seconds.
    """
    try:
        import _signal  # type: ignore[import-not-found]

        _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        package = _enter(token, pid) if time.time() < expires_at and os.getpid() == pid else None
        if package is None:
            return
        try:
            _receive_viewer(package, token, time.time() - asked_at, place)
        finally:
            _exit(token, package)
    except BaseException:
        return
    finally:
        forget_thread()  # what the program runs at imports and audit events may ask for it
        _unravel(globals())


def _receive_viewer(package: "Any", token: str, waited: float, place: "_Place") -> None:
    first = package.__dict__.get("loader") == token
    arrival = Arrival(first, waited if waited > _SURELY_LONG_SECONDS else 0.0)
    try:
        channel = _open_channel(token, arrival) if place is None else _landing("call_on")(*place, arrival)
        if channel is not None:
            try:
                _landing("serve")(package, token, arrival, channel)
            finally:
                channel.close_spare()
    finally:
        arrival.end()


# The import lock is the one lock of the process that a fork waits for and that gevent does not replace.


def _enter(token: str, pid: int) -> "Optional[Any]":
    """The agent's package, with ``token`` noted in it; None when it was noted before.

    Where there is no agent yet, the first who comes is the one to load it.
    """
    _imp.acquire_lock()
    try:
        package: "Any" = sys.modules.get(_PACKAGE)
        if package is None or package.pid != pid:  # a forked child has its parent's package, but not its agent
            package = type(sys)(_PACKAGE)
            package.__path__, package.tokens, package.pid = [], [], pid
            sys.modules[_PACKAGE] = package
        if token in package.tokens:
            return None
        package.tokens.append(token)
        if "agent" not in package.__dict__:
            package.__dict__.setdefault("loader", token)
        return package
    finally:
        _imp.release_lock()


def _exit(token: str, package: "Any") -> None:
    """The last one out removes the package."""
    _imp.acquire_lock()
    try:
        package.tokens.remove(token)
        if package.__dict__.get("loader") == token:
            del package.loader
        if not package.tokens and sys.modules.get(_PACKAGE) is package:
            forget_agent(package)
            del sys.modules[_PACKAGE]
    finally:
        _imp.release_lock()


def forget_agent(package: "Any") -> None:
    """Remove the modules of an agent that has ended."""
    modules = [sys.modules.pop(one) for one in list(sys.modules) if one.startswith(_PACKAGE + ".")]
    if package.__dict__.pop("at_rest", False):
        for module in modules:
            _unravel(module.__dict__)


def _unravel(space: "Dict[str, Any]") -> None:
    """Free what refers to itself, which would stay until the next full collection, or for good without one."""
    members = type(_unravel), property, staticmethod, classmethod
    for one in list(space.values()):
        if type(one) is type and one.__module__ == space["__name__"]:
            for name in [name for name, member in one.__dict__.items() if type(member) in members]:
                delattr(one, name)
    space.clear()


# Each call that may wait gives the GIL away, and a busy program keeps it for a whole switch interval: there are few
# such calls, and the first viewer is greeted before the agent's text has come.


class Arrival:
    """How a viewer is received: the first one in haste, with what can be told at once.

    In haste threads hand the GIL over soon, so a wait for it is short. Where C code keeps it, each wait takes long
    all the same: then the agent keeps it too once it has it, for the few milliseconds that it needs.
    ``waited_seconds``: a long wait for the GIL that there was; 0 without one.
    """

    def __init__(self, first: bool, waited_seconds: float = 0.0) -> None:
        self._first, self.greeted = first, False
        self._grip = Grip()
        self.waited_seconds = waited_seconds if fair_seconds(waited_seconds) else 0.0
        self._began = self._idle_seconds()
        self.hurry()

    def hurry(self) -> None:
        """From now on the waits for the GIL are short, or few."""
        if self._first and not self._grip.held:
            self._grip.begin(fair_seconds(self.waited_seconds) or _HASTY_SECONDS)

    def look(self) -> None:
        """Hold on to the GIL from now on, if waiting for it has taken long.

        Unless the wait was for a processor; to see that, files are read, which may cost one more wait.
        """
        waited = self._idle_seconds() - self._began
        if self.waited_seconds or not self._grip.held or waited <= _LONG_WAIT_SECONDS:
            return
        fair = fair_seconds(waited)
        if fair:
            self._grip.begin(fair)
            if waited > _SURELY_LONG_SECONDS or waited > _LONG_WAIT_SECONDS + starved_seconds():
                self.waited_seconds = waited
            else:
                self._grip.begin(_HASTY_SECONDS)

    def _idle_seconds(self) -> float:
        return time.monotonic() - time.thread_time()

    def greet(self, channel: "Any") -> None:
        """At once, unless C code keeps the GIL: then by the agent, when it is there and the waits for it are over."""
        self.look()
        if self._first and not self.waited_seconds:
            self.greeted = True
            channel.sendall(_landing("greeting")())
            self.look()

    def rest(self) -> None:
        """No more haste while the viewer is waited for; where C code keeps the GIL, keep what was gained."""
        self.look()
        if not self.waited_seconds:
            self.end()
            self._began = self._idle_seconds()

    def pass_on(self, package: "Any") -> "Any":
        """What it holds on to the GIL with, for the agent to go on with; None when it does not."""
        if not self.waited_seconds:
            self.end()
            return None
        package.pace.expect_waits(self.waited_seconds)
        grip, self._grip = self._grip, Grip()
        return grip

    def end(self) -> None:
        """The GIL is shared again as it was found."""
        self._grip.end()


def _landing(name: str) -> "Any":
    """A function that is compiled only now."""
    space = globals()
    if name not in space:
        exec(_LANDING, space)
    return space[name]


class Channel:
    """The connection to a viewer, the agent's text that came through it, and files to close after the greeting."""

    def __init__(self, connection: "Any", text: bytes, spare: "Tuple[int, ...]" = ()) -> None:
        self.connection, self.text, self._spare = connection, text, spare

    def close_spare(self) -> None:
        """Close them, once."""
        spare, self._spare = self._spare, ()
        for file in spare:
            os.close(file)


def _open_channel(token: str, arrival: Arrival) -> "Optional[Channel]":
    """A channel that the viewer has fetched.

    Between the first line of Python and the wait for the text there should be no other: a thread that wants the GIL
    asks for it after five milliseconds, and where C code keeps it, each time that it is lost takes long.
    """
    import _socket

    mine, other = _socket.socketpair()
    arrival.greet(mine)
    mark = _memory_file("memtui-%s-%d" % (token, other.fileno()))
    try:
        wait_at_most(mine)
        arrival.rest()
        text = receive(mine, arrival)
    except OSError:
        text = b""
    if text:
        return Channel(mine, text, (mark, other.detach()))
    os.close(mark)
    other.close()
    mine.close()
    return None


def wait_at_most(channel: "Any") -> None:
    """The kernel ends its waits: with ``settimeout`` each is two calls that give the GIL away."""
    seconds = b"".join(one.to_bytes(8, sys.byteorder) for one in (int(_FETCH_SECONDS), 0))
    channel.setsockopt(1, 20, seconds)  # SOL_SOCKET, SO_RCVTIMEO
    channel.setsockopt(1, 21, seconds)  # SO_SNDTIMEO


def _memory_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    import ctypes

    return int(ctypes.CDLL(None).syscall(319, name.encode(), 1))


def receive(channel: "Any", arrival: Arrival) -> bytes:
    """One frame and nothing of what follows it; empty when the viewer went."""
    data, end = b"", 4 + _TEXT_BYTES
    while len(data) < end:
        piece = channel.recv(end - len(data), 0x100)  # MSG_WAITALL
        if not piece:
            return b""
        arrival.hurry()
        arrival.look()  # memtui sends at once, so a long wait was for the GIL
        data += piece
        end = 4 + int.from_bytes(data[:4], "big") if len(data) >= 4 else end
    return bytes(data[4:])
