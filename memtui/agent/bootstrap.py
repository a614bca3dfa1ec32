"""The first lines that run inside the target: they make the private channel and bring the agent to life.

This text travels on memory pages (see ``memtui/attach/stubs.py``); what is needed later is compiled later
(``greeting.py``, ``landing.py``, the agent). It runs in a native thread of its own; no name of it stays anywhere. The
other end of the channel is fetched by memtui with ``pidfd_getfd``: the only thing others can see is an anonymous
memory file, whose name carries the token and the number of that end. Where that is refused, memtui waits at a socket
and tells its place: the path, and which process and user have to be listening.
"""

import _imp
import os
import sys
import time

from .grip import SURELY_LONG_SECONDS, Grip, fair_seconds, grip_after, starved_seconds
from .originals import forget_thread, original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Generator, List, Optional, Tuple

    _Place = Optional[Tuple[bytes, int, int]]

_PACKAGE = "_memtui_agent"
_GREETING = _LANDING = ""
"""The texts of these modules."""
_HASTY_SECONDS = 0.0001
_LONG_WAIT_SECONDS = 0.15


def start(*arguments: "Any") -> None:
    """`boot` in a new thread, for a source that is run by the main thread."""
    try:
        original("_thread", "start_new_thread")(boot, arguments)
    except KeyboardInterrupt:
        # Ctrl-C came just now and was meant for the program: from another thread it gets there.
        import _thread

        _thread.start_new_thread(_thread.interrupt_main, ())


def boot(
    token: str,
    asked_at: float,
    expires_at: float,
    pid: int,
    place: "_Place" = None,
    grip: "Optional[Grip]" = None,
    text_follows: bool = False,
) -> None:
    """Open a channel for one viewer; join the running agent, or become it. Never raises.

    Does nothing after ``expires_at``, nor in a forked child that inherited the queued call (``pid`` is the process).
    ``asked_at`` is when memtui began. All times are since the epoch, in seconds. ``grip`` may be held already. With
    ``text_follows`` only the channel is opened; then ``later[token]`` of the package waits to be sent the agent's
    text. Otherwise the viewer sends it.
    """
    try:
        steps = _steps(token, asked_at, expires_at, pid, place, grip)
        package = next(steps)
        if text_follows:
            package.later[token] = steps
        else:
            steps.send(b"")
    except BaseException:
        return


def _steps(
    token: str, asked_at: float, expires_at: float, pid: int, place: "_Place", grip: "Optional[Grip]"
) -> "Generator[Any, bytes, None]":
    try:
        if time.time() >= expires_at or os.getpid() != pid:
            return
        import _signal  # type: ignore[import-not-found]

        _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        waited = time.time() - asked_at
        grip = grip or grip_after(waited)
        package = _enter(token, pid)
        if package is None:
            return
        try:
            arrival = Arrival(package.__dict__.get("loader") == token, grip, waited if grip.held else 0.0)
            try:
                channel = _open_channel(token, arrival) if place is None else _later("call_on")(*place, arrival)
                if channel is not None:
                    try:
                        text = yield package
                        _later("serve")(package, token, arrival, channel, text)
                    finally:
                        channel.close()
            finally:
                arrival.end()
        finally:
            _later("leave")(token, package)
    finally:
        if grip is not None:
            grip.end()
        forget_thread()  # what the program runs at imports and audit events may ask for it
        _later("unravel")(globals())


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
            package.__path__, package.tokens, package.pid, package.later = [], [], pid, {}
            sys.modules[_PACKAGE] = package
        if token in package.tokens:
            return None
        package.tokens.append(token)
        if "agent" not in package.__dict__:
            package.__dict__.setdefault("loader", token)
        return package
    finally:
        _imp.release_lock()


# Each call that may wait gives the GIL away, and a busy program keeps it for a whole switch interval: there are few
# such calls, and the first viewer is greeted before the agent's text is looked at.


class Arrival:
    """How a viewer is received: the first one in haste, with what can be told at once.

    In haste threads hand the GIL over soon, so a wait for it is short. Where C code keeps it, each wait takes long
    all the same: then the agent keeps it too once it has it, for the few milliseconds that it needs.
    ``waited_seconds``: a long wait for the GIL that there was; 0 without one. Then ``grip`` is held already.
    """

    def __init__(self, first: bool, grip: Grip, waited_seconds: float = 0.0) -> None:
        self._first, self.greeted = first, False
        self._grip, self.waited_seconds = grip, waited_seconds
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
            if waited > SURELY_LONG_SECONDS or waited > _LONG_WAIT_SECONDS + starved_seconds():
                self.waited_seconds = waited
            else:
                self._grip.begin(_HASTY_SECONDS)

    def _idle_seconds(self) -> float:
        return time.monotonic() - time.thread_time()

    def greet(self, write: "Callable[[bytes], int]") -> None:
        """At once; a viewer of an agent that is here already is greeted by that one."""
        if self._first:
            self.greeted = True
            write(_later("greeting")())
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


def _later(name: str) -> "Any":
    """A function that is compiled only now."""
    space = globals()
    if name not in space:
        exec(_GREETING if name == "greeting" else _LANDING, space)
    return space[name]


class Channel:
    """The connection to a viewer, and files to be closed once it is there; ``close`` closes one."""

    def __init__(self, file: int, spare: "List[int]", close: "Callable[[int], object]" = os.close) -> None:
        self.file, self._spare, self._close_file = file, spare, close
        self.text: "Optional[bytes]" = None

    def announce(self, arrival: Arrival, write: "Callable[[bytes], int]", mark: "Callable[[], int]") -> "Channel":
        """Greet the viewer; then ``mark`` makes the file by which it finds the connection."""
        try:
            arrival.greet(write)
            self._spare.append(mark())
            arrival.rest()
        except BaseException:
            self.close()
            raise
        return self

    def meet(self, arrival: Arrival) -> bool:
        """Wait until the viewer is there, and for the text that it sends. False when it does not come."""
        if self.text is None:
            self.text = _later("receive")(self.file, arrival)
        return self.text is not None

    def hand_over(self, agent: "Any", greeted: bool = False) -> bool:
        """Give the connection to the agent. False when that is leaving."""
        if not agent.adopt(self.file, greeted, self.close_spare):
            return False
        self.file = -1
        return True

    def close_spare(self) -> None:
        """Close them, each once, also when two threads do."""
        while self._spare:
            try:
                self._close_file(self._spare.pop())
            except IndexError:
                return

    def close(self) -> None:
        """Close all that nobody has taken over."""
        self.close_spare()
        if self.file >= 0:
            self._close_file(self.file)


def _open_channel(token: str, arrival: Arrival) -> Channel:
    """A channel that the viewer can fetch."""
    calls = keeping("socketpair", "setsockopt", "write", "memfd_create", "close") if arrival.waited_seconds else ()
    name = "memtui-%s-%d"
    if calls:
        socketpair, setsockopt, write, memfd_create, close = calls
        pair = (sys.modules["ctypes"].c_int * 2)()
        if socketpair(1, 0x80001, 0, pair):  # AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC
            raise OSError
        mine, other = pair
        setsockopt(mine, 1, 20, TURN, len(TURN))
        return Channel(mine, [other], close).announce(
            arrival,
            lambda data: int(write(mine, data, len(data))),
            lambda: int(memfd_create((name % (token, other)).encode(), 1)),
        )
    import _socket

    one, two = _socket.socketpair()
    one.setsockopt(1, 20, TURN)  # SOL_SOCKET, SO_RCVTIMEO
    mine, other = one.detach(), two.detach()
    os.set_blocking(mine, True)  # whatever the program has for its sockets
    return Channel(mine, [other]).announce(
        arrival, lambda data: os.write(mine, data), lambda: _memory_file(name % (token, other))
    )


def keeping(*names: str) -> "Tuple[Any, ...]":
    """These functions of the C library, to be called without giving the GIL away; empty where that takes an import.

    Where C code keeps the GIL, each call that gives it away may cost seconds.
    """
    try:
        return tuple(sys.modules["ctypes"].pythonapi[name] for name in names)
    except Exception:  # it is not imported, or not to the end, or an audit hook of the program forbids this
        return ()


TURN = b"".join(one.to_bytes(8, sys.byteorder) for one in (0, 300000))
"""For how long a read of the connection waits: 0.3 s, as a ``struct timeval``."""


def _memory_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    import ctypes

    return int(ctypes.CDLL(None).syscall(319, name.encode(), 1))
