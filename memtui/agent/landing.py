"""What the first lines do after the channel is there: greet the viewer, join the agent that is here, or become it.

A part of the bootstrap, compiled when it is needed.
"""

import _tracemalloc
import gc
import os
import sys
import time

from .originals import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional, Tuple

    from .bootstrap import _AGENT, TURN, Arrival, Channel, forget_agent

_LOAD_SECONDS = 15.0
_PATIENCE = b"".join(one.to_bytes(8, sys.byteorder) for one in (6, 0))
"""With a viewer that does not take its call: six seconds, as a ``struct timeval``."""
_VERSION = 1
"""Of the protocol, as in the agent's wire module."""
_ANNOTATIONS = 0x1000000 if sys.version_info >= (3, 8, 2) else 0x100000
"""``__future__.annotations.compiler_flag``; that module is a file, and reading one gives the GIL away often."""


def greeting() -> bytes:
    """What a viewer can be told at once."""
    return b"".join(map(_frame, _told()))


def _told() -> "Tuple[Any, Any]":
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
        "thread": original("_thread", "get_native_id")(),
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


def call_on(path: bytes, viewer: int, user: int, arrival: "Arrival") -> "Optional[Channel]":
    """Call on the viewer, unless somebody else listens at its place.

    Removes the place (a socket alone in a directory) all the same: the viewer may have been killed.
    """
    import _socket

    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        channel.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, TURN)
        channel.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, _PATIENCE)
        channel.connect(path)
        peer = channel.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 8)
        if peer == viewer.to_bytes(4, sys.byteorder) + user.to_bytes(4, sys.byteorder):
            arrival.greet(channel.send)
            arrival.rest()
            return Channel(channel.detach())
    except OSError:
        pass
    finally:
        _remove(path)
    channel.close()
    return None


def _remove(path: bytes) -> None:
    try:
        os.unlink(path)
        os.rmdir(os.path.dirname(path))
    except OSError:
        pass


def serve(package: "Any", token: str, arrival: "Arrival", channel: "Channel") -> None:
    """Join the agent or become it; of several that come at once, one loads the modules and the others wait for it."""
    end = time.time() + _LOAD_SECONDS
    while not _join(package, arrival, channel) and time.time() < end:
        if package.__dict__.setdefault("loader", token) == token:
            if "agent" not in package.__dict__:
                _become(package, arrival, channel)
                return
            del package.loader
        original("time", "sleep")(0.01)


def _become(package: "Any", arrival: "Arrival", channel: "Channel") -> None:
    try:
        forget_agent(package)
        package.at_rest = True
        if not _AGENT and not channel.meet(arrival):
            return
        _load_all(package, arrival, _AGENT or channel.text or b"")
        if not channel.meet(arrival):
            return
        package.agent = package.core.Agent(arrival.pass_on(package))
    finally:
        del package.loader
        arrival.end()
    try:
        channel.hand_over(package.agent, arrival.greeted)
        package.agent.run()
    finally:
        package.at_rest = package.agent.at_rest
        del package.agent


def _join(package: "Any", arrival: "Arrival", channel: "Channel") -> bool:
    """Hand the channel to the agent that is here already; waits for one that is just leaving.

    True also when nobody has come for the channel.
    """
    end = time.time() + 5.0
    while time.time() < end:
        if "agent" not in package.__dict__:
            return False
        if not channel.meet(arrival):
            return True
        agent = package.__dict__.get("agent")  # it may go at any moment
        if agent is None:
            return False
        if channel.hand_over(agent):
            return True
        del agent
        original("time", "sleep")(0.01)
    return False


def _load_all(package: "Any", arrival: "Arrival", text: bytes) -> None:
    parts = text.split(b"\0")
    for name, source in zip(parts[::2], parts[1::2]):
        _load(package, name.decode(), source)
        arrival.look()


def _load(package: "Any", name: str, source: bytes) -> None:
    module = type(sys)(package.__name__ + "." + name)
    module.__package__ = package.__name__
    sys.modules[module.__name__] = module
    exec(compile(source, "<memtui-agent %s>" % name, "exec", _ANNOTATIONS, True), module.__dict__)
    setattr(package, name, module)
