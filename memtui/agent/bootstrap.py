"""The first lines that run inside the target: they make the private channel and load the agent through it.

This text travels on a memory page (see ``memtui/attach/stubs.py``), so it is short. It runs in a native thread of its
own; no name of it stays anywhere. The other end of the channel is fetched by memtui with ``pidfd_getfd``: the only
thing others can see is an anonymous memory file whose name carries the token and the number of that end.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Optional

_PACKAGE = "_memtui_agent"
_FETCH_SECONDS = 10.0


def boot(token: str, expires_at: float) -> None:
    """Open a channel for one viewer; join the running agent, or become it. Never raises."""
    try:
        import _signal  # type: ignore[import-not-found]

        _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        modules: "Any" = sys.modules
        package = modules.setdefault(_PACKAGE, _new_package())
        if time.time() > expires_at or token in package.tokens:
            return
        package.tokens.append(token)
        try:
            channel = _open_channel(token)
            if channel is not None:
                _serve(package, channel)
        finally:
            package.tokens.remove(token)
            if not package.tokens and "agent" not in package.__dict__:
                _remove(package)
    except BaseException:
        return


def _new_package() -> "Any":
    package: "Any" = type(sys)(_PACKAGE)
    package.__path__ = []
    package.tokens = []
    return package


def _remove(package: "Any") -> None:
    if sys.modules.get(_PACKAGE) is package:
        for name in [one for one in sys.modules if one.split(".")[0] == _PACKAGE]:
            del sys.modules[name]


def _open_channel(token: str) -> "Optional[Any]":
    import _socket

    mine, other = _socket.socketpair()
    mark = _memory_file("memtui-%s-%d" % (token, other.fileno()))
    try:
        mine.settimeout(_FETCH_SECONDS)
        fetched = mine.recv(1)
    except OSError:
        fetched = b""
    os.close(mark)
    other.close()
    if fetched:
        return mine
    mine.close()
    return None


def _memory_file(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    import ctypes

    return int(ctypes.CDLL(None).syscall(319, name.encode(), 1))


def _serve(package: "Any", channel: "Any") -> None:
    if _join(package, channel):
        return
    _send(channel, b'{"t":"boot"}')
    while True:
        name, source = _receive(channel).split(b"\0", 1)
        if not name:
            break
        _load(package, name.decode(), source)
    agent = package.core.Agent()
    if package.__dict__.setdefault("agent", agent) is not agent:
        _join(package, channel)
        return
    try:
        agent.adopt(channel)
        agent.run()
    finally:
        del package.agent


def _join(package: "Any", channel: "Any") -> bool:
    """Hand the channel to the agent that is here already; waits for one that is just leaving."""
    end = time.time() + 5.0
    while "agent" in package.__dict__ and time.time() < end:
        if package.agent.adopt(channel):
            return True
        time.sleep(0.01)
    return False


def _load(package: "Any", name: str, source: bytes) -> None:
    module = type(sys)(_PACKAGE + "." + name)
    module.__package__ = _PACKAGE
    sys.modules[module.__name__] = module
    exec(compile(source, "<memtui-agent %s>" % name, "exec", 0, True), module.__dict__)
    setattr(package, name, module)


def _send(channel: "Any", body: bytes) -> None:
    channel.sendall(len(body).to_bytes(4, "big") + body)


def _receive(channel: "Any") -> bytes:
    return _exactly(channel, int.from_bytes(_exactly(channel, 4), "big"))


def _exactly(channel: "Any", size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data
