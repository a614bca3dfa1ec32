"""What the first lines do after the channel is there: join the agent that is here, or become it, and go.

A part of the bootstrap, compiled when it is needed.
"""

import _imp
import os
import sys
import time

from .originals import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from .bootstrap import _PACKAGE, TURN, Arrival, Channel, keeping

_LOAD_SECONDS = 15.0
_FETCH_SECONDS = 4.0
_PATIENCE = b"".join(one.to_bytes(8, sys.byteorder) for one in (6, 0))
"""With a viewer that does not take its call: six seconds, as a ``struct timeval``."""
_ANNOTATIONS = 0x1000000 if sys.version_info >= (3, 8, 2) else 0x100000
"""``__future__.annotations.compiler_flag``; that module is a file, and reading one gives the GIL away often."""


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
            file = channel.detach()
            os.set_blocking(file, True)  # whatever the program has for its sockets
            return Channel(file, [])
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


def serve(package: "Any", token: str, arrival: "Arrival", channel: "Channel", text: bytes) -> None:
    """Join the agent or become it; of several that come at once, one loads the modules and the others wait for it.

    ``text`` is the agent's; without it the viewer sends it. Nobody has to wait for a viewer that does not come; only
    where C code keeps the GIL is it looked for last, when that is no wait any more.
    """
    if not (text and arrival.waited_seconds) and not channel.meet(arrival):
        return
    end = time.time() + _LOAD_SECONDS
    while not _join(package, arrival, channel) and time.time() < end:
        if package.__dict__.setdefault("loader", token) == token:
            if "agent" not in package.__dict__:
                _become(package, arrival, channel, text or channel.text or b"")
                return
            del package.loader
        original("time", "sleep")(0.01)


def _become(package: "Any", arrival: "Arrival", channel: "Channel", text: bytes) -> None:
    try:
        forget_agent(package)
        package.at_rest = True
        _load_all(package, arrival, text)
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
        agent = package.__dict__.get("agent")  # it may go at any moment
        if agent is None:
            return False
        if not channel.meet(arrival) or channel.hand_over(agent):
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


def receive(file: int, arrival: "Arrival") -> "Optional[bytes]":
    """One frame and nothing of what follows it; None when the viewer went, or does not come."""
    data, end = _received_at_once(file) if arrival.waited_seconds else b"", time.monotonic() + _FETCH_SECONDS
    while len(data) < _frame_bytes(data):
        try:
            piece = os.read(file, _frame_bytes(data) - len(data))
        except BlockingIOError:
            if time.monotonic() < end:
                continue
            return None
        except OSError:
            return None
        if not piece:
            return None
        arrival.hurry()
        arrival.look()  # memtui sends at once, so a long wait was for the GIL
        data += piece
    return data[4:]


def _frame_bytes(begin: bytes) -> int:
    """How long a frame is that begins like this, as far as that is known."""
    return 4 + int.from_bytes(begin[:4], "big") if len(begin) >= 4 else 4


def _received_at_once(file: int) -> bytes:
    """As much of a frame's head as has arrived, by a call that keeps the GIL; nothing where there is none."""
    for recv in keeping("recv"):
        head = sys.modules["ctypes"].create_string_buffer(4)
        size = recv(file, head, 4, 0x40)  # MSG_DONTWAIT
        return bytes(head.raw[: max(0, size)])
    return b""


def leave(token: str, package: "Any") -> None:
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
            unravel(module.__dict__)


def unravel(space: "Dict[str, Any]") -> None:
    """Free what refers to itself, which would stay until the next full collection, or for good without one."""
    members = type(unravel), property, staticmethod, classmethod
    for one in list(space.values()):
        if type(one) is type and one.__module__ == space["__name__"]:
            for name in [name for name, member in one.__dict__.items() if type(member) in members]:
                delattr(one, name)
    space.clear()
