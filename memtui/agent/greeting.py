"""What a viewer is told before the agent is there. A part of the bootstrap, compiled when it is needed."""

import _tracemalloc
import gc
import os
import sys
import time

from .originals import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Tuple

_VERSION = 1
"""Of the protocol, as in the agent's wire module."""


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
