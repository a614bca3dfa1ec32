"""The first lines that run inside the target: they make the private channel and load the agent through it.

This text travels on a memory page (see ``memtui/attach/stubs.py``), so it is short. It runs in a native thread of its
own; no name of it stays anywhere. The other end of the channel is fetched by memtui with ``pidfd_getfd``: the only
thing others can see is an anonymous memory file whose name carries the token and the number of that end. Where that
is refused, memtui waits at a socket and tells its place: the path, and which process and user have to be listening.
"""

import _imp
import _tracemalloc
import gc
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

_PACKAGE = "_memtui_agent"
_FETCH_SECONDS = 10.0
_LOAD_SECONDS = 15.0
_VERSION = 1
"""Of the protocol, as in the agent's wire module."""
_ANNOTATIONS = 0x1000000 if sys.version_info >= (3, 8, 2) else 0x100000
"""``__future__.annotations.compiler_flag``; that module is a file, and reading one gives the GIL away often."""
_TEXT_BYTES = 0
"""How long the agent's text is, where that is told: then it comes in one call, which gives the GIL away once."""
_HASTY_SECONDS, _GRIP_SECONDS = 0.0001, 0.1
_LONG_WAIT_SECONDS, _SURELY_LONG_SECONDS = 0.15, 1.0


def start(token: str, expires_at: float, pid: int, place: "Optional[Tuple[bytes, int, int]]" = None) -> None:
    """`boot` in a new thread, for a source that is run by the main thread."""
    try:
        _original("_thread", "start_new_thread")(boot, (token, expires_at, pid, place))
    except KeyboardInterrupt:
        # Ctrl-C came just now and was meant for the program: from another thread it gets there.
        import _thread

        _thread.start_new_thread(_thread.interrupt_main, ())


def boot(token: str, expires_at: float, pid: int, place: "Optional[Tuple[bytes, int, int]]" = None) -> None:
    """Open a channel for one viewer; join the running agent, or become it. Never raises.

    Does nothing after ``expires_at``, nor in a forked child that inherited the queued call (``pid`` is the process).
    """
    try:
        import _signal  # type: ignore[import-not-found]

        _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        package = _enter(token, pid) if time.time() < expires_at and os.getpid() == pid else None
        if package is None:
            return
        arrival = _Arrival(package.__dict__.get("loader") == token)
        try:
            channel = _open_channel(token, arrival) if place is None else _connect(*place, arrival)
            if channel is not None:
                _serve(package, token, arrival, *channel)
        finally:
            arrival.end()
            _exit(token, package)
    except BaseException:
        return


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
            for name in [one for one in sys.modules if one.split(".")[0] == _PACKAGE]:
                del sys.modules[name]
    finally:
        _imp.release_lock()


def _original(module: str, name: str) -> "Any":
    """The function as the standard library made it, also where gevent put its own in its place."""
    gevent = sys.modules.get("gevent.monkey")
    return gevent.get_original(module, name) if gevent is not None else getattr(__import__(module), name)


class _Found:
    """The switch interval that was found. The end of this object brings it back, unless it was changed since."""

    def __init__(self, seconds: float, changed_to: float) -> None:
        self.seconds = seconds
        self.changed_to = changed_to

    def __del__(self) -> None:
        if sys.getswitchinterval() == self.changed_to:
            sys.setswitchinterval(self.seconds + 5e-7)  # whole microseconds are cut off, not rounded


# Each call that may wait gives the GIL away, and a busy program keeps it for a whole switch interval: there are few
# such calls, and the first viewer is greeted before the agent's text has come.


class _Arrival:
    """How a viewer is received: the first one in haste, with what can be told at once.

    In haste threads hand the GIL over soon, so a wait for it is short. Where C code keeps it, each wait takes long
    all the same: then the agent keeps it too once it has it, for the few milliseconds that it needs.
    """

    def __init__(self, first: bool) -> None:
        self._first, self.greeted = first, False
        # In a forked child this thread does not exist: its local data ends there, and with it the haste. Nothing else
        # refers to what is in it (what a frame refers to is never freed there).
        self._own: "Any" = _original("_thread", "_local")()
        self._found = self._hasty = 0.0
        self._interval_seconds = _HASTY_SECONDS
        self._began = 0.0
        self.hurry()

    def hurry(self) -> None:
        if self._first and not self._hasty:
            self._began = time.monotonic() - time.thread_time()
            self._found, self._hasty = sys.getswitchinterval(), 1e-6 * int(1e6 * self._interval_seconds)
            self._own.found = _Found(self._found, self._hasty)
            sys.setswitchinterval(self._interval_seconds)

    def look(self) -> None:
        """Hold on to the GIL from now on, if waiting for it has taken long.

        Unless the wait was for a processor; to see that, files are read, which gives the GIL away a few more times.
        """
        waited = time.monotonic() - time.thread_time() - self._began
        if self._hasty and waited > _LONG_WAIT_SECONDS:
            before = self._interval_seconds
            self._interval_seconds = _GRIP_SECONDS
            self._change()
            if waited < _LONG_WAIT_SECONDS + _starved_seconds() and waited < _SURELY_LONG_SECONDS:
                self._interval_seconds = before
                self._change()

    def waited_long(self) -> bool:
        return self._interval_seconds == _GRIP_SECONDS

    def greet(self, channel: "Any") -> None:
        """At once, unless C code keeps the GIL: then by the agent, when it is there and the waits for it are over."""
        if self._first:
            self.look()
        if self._first and not self.waited_long():
            self.greeted = True
            channel.sendall(b"".join(map(_frame, _greeting())))
            self.look()

    def rest(self) -> None:
        """No more haste while the viewer is waited for; where C code keeps the GIL, keep what was gained."""
        self.look()
        if not self.waited_long():
            self.end()

    def _change(self) -> None:
        self.end()
        self.hurry()

    def end(self) -> None:
        if self._hasty:
            if sys.getswitchinterval() == self._hasty:
                sys.setswitchinterval(self._found + 5e-7)
            self._hasty = 0.0
            del self._own.found


def _starved_seconds() -> float:
    """How long this thread has waited for a processor; 0 where it is not told."""
    try:
        with open("/proc/thread-self/schedstat", "rb", 0) as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _greeting() -> "Tuple[Any, Any]":
    """The frames ``hello`` and ``sample`` of an agent that has just come; later ones are made by its core."""
    on = _tracemalloc.is_tracing()
    traced, peak = _tracemalloc.get_traced_memory() if on else (None, None)
    tracing = {
        "on": on,
        "frames": _tracemalloc.get_traceback_limit(),
        "traced": traced,
        "peak": peak,
        "overhead": _tracemalloc.get_tracemalloc_memory() if on else None,
        "found_on": on,
    }
    hello = {
        "t": "hello",
        "version": _VERSION,
        "pid": os.getpid(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "implementation": sys.implementation.name,
        "viewers": 1,
        "thread": _original("_thread", "get_native_id")(),
        "tracing": tracing,
    }
    collector = {
        "enabled": gc.isenabled(),
        "count": gc.get_count(),
        "threshold": gc.get_threshold(),
        "stats": [[one["collections"], one["collected"], one["uncollectable"]] for one in gc.get_stats()],
    }
    pauses = {"count": 0, "total": 0.0, "max": 0.0, "last": None, "last_generation": None}
    cost = {"cpu": time.thread_time(), "longest_pause": 0.0, "longest_what": None, "bytes": None}
    return hello, {"t": "sample", "gc": collector, "pauses": pauses, "tracing": tracing, "cost": cost}


def _frame(content: "Any") -> bytes:
    """A frame of numbers and plain words, which Python writes as JSON but for this; importing json takes long."""
    text = repr(content)
    for python, json in zip(("'", "True", "False", "None", "(", ")"), ('"', "true", "false", "null", "[", "]")):
        text = text.replace(python, json)
    return len(text).to_bytes(4, "big") + text.encode("ascii")


def _open_channel(token: str, arrival: _Arrival) -> "Optional[Tuple[Any, bytes]]":
    """A channel that the viewer has fetched, and the agent's text."""
    import _socket

    mine, other = _socket.socketpair()
    arrival.greet(mine)
    mark = _memory_file("memtui-%s-%d" % (token, other.fileno()))
    try:
        _wait_at_most(mine)
        arrival.rest()
        text = _receive(mine, arrival)
    except OSError:
        text = b""
    os.close(mark)
    other.close()
    if text:
        return mine, text
    mine.close()
    return None


def _connect(path: bytes, viewer: int, user: int, arrival: _Arrival) -> "Optional[Tuple[Any, bytes]]":
    """Call on the viewer, unless somebody else listens at its place. The channel, and the agent's text.

    Removes the place (a socket alone in a directory) all the same: the viewer may have been killed.
    """
    import _socket

    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        _wait_at_most(channel)
        channel.connect(path)
        peer = channel.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 8)
        if peer == viewer.to_bytes(4, sys.byteorder) + user.to_bytes(4, sys.byteorder):
            arrival.greet(channel)
            arrival.rest()
            text = _receive(channel, arrival)
            if text:
                return channel, text
    except OSError:
        pass
    finally:
        _remove(path)
    channel.close()
    return None


def _wait_at_most(channel: "Any") -> None:
    """The kernel ends its waits: with ``settimeout`` each is two calls that give the GIL away."""
    seconds = b"".join(one.to_bytes(8, sys.byteorder) for one in (int(_FETCH_SECONDS), 0))
    channel.setsockopt(1, 20, seconds)  # SOL_SOCKET, SO_RCVTIMEO
    channel.setsockopt(1, 21, seconds)  # SO_SNDTIMEO


def _remove(path: bytes) -> None:
    try:
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
    except OSError:
        pass


def _memory_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    import ctypes

    return int(ctypes.CDLL(None).syscall(319, name.encode(), 1))


def _serve(package: "Any", token: str, arrival: _Arrival, channel: "Any", text: bytes) -> None:
    """Join the agent or become it; of several that come at once, one loads the modules and the others wait for it."""
    end = time.time() + _LOAD_SECONDS
    while not _join(package, channel) and time.time() < end:
        if package.__dict__.setdefault("loader", token) == token:
            if "agent" not in package.__dict__:
                _become(package, arrival, channel, text)
                return
            del package.loader
        _original("time", "sleep")(0.01)


def _become(package: "Any", arrival: _Arrival, channel: "Any", text: bytes) -> None:
    parts = text.split(b"\0")
    try:
        for name, source in zip(parts[::2], parts[1::2]):
            _load(package, name.decode(), source)
            arrival.look()
        package.agent = package.core.Agent()
        if arrival.waited_long():
            package.wire.expect_waits()
    finally:
        del package.loader
        arrival.end()
    try:
        package.agent.adopt(channel, arrival.greeted)
        package.agent.run()
    finally:
        del package.agent


def _join(package: "Any", channel: "Any") -> bool:
    """Hand the channel to the agent that is here already; waits for one that is just leaving."""
    end = time.time() + 5.0
    while "agent" in package.__dict__ and time.time() < end:
        if package.agent.adopt(channel):
            return True
        _original("time", "sleep")(0.01)
    return False


def _load(package: "Any", name: str, source: bytes) -> None:
    module = type(sys)(_PACKAGE + "." + name)
    module.__package__ = _PACKAGE
    sys.modules[module.__name__] = module
    exec(compile(source, "<memtui-agent %s>" % name, "exec", _ANNOTATIONS, True), module.__dict__)
    setattr(package, name, module)


def _receive(channel: "Any", arrival: _Arrival) -> bytes:
    """One frame and nothing of what follows it; empty when the viewer went."""
    data, end = b"", 4 + _TEXT_BYTES
    while len(data) < end:
        piece = channel.recv(end - len(data), 0x100)  # MSG_WAITALL
        if not piece:
            return b""
        arrival.hurry()
        data += piece
        end = 4 + int.from_bytes(data[:4], "big") if len(data) >= 4 else end
    return bytes(data[4:])
