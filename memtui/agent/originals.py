"""What the standard library made, also where others put their own in its place. A part of the bootstrap too."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def original(module: str, name: str) -> "Any":
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
