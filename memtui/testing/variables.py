"""Variables of functions that are running, and whose functions these are.

The collector does not see what a running function holds. Up to Python 3.12, reading ``f_locals`` leaves a dict in the
frame which holds all of it once more; that dict is emptied again, so that a ``del`` in the test lets go.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_OPTIMISED = 0x0001
"""``CO_OPTIMIZED``: a function's own variables; else ``f_locals`` is a name space, of a module or a class."""
_DICTS = sys.version_info < (3, 13)
_NOBODY_ELSE = 3
"""References to the dict of a frame: the frame, our variable, the argument of ``getrefcount``."""
_MOST_FRAMES = 2_000


def stack(frame: FrameType | None) -> Iterator[FrameType]:
    """A frame, the one that called it, and so on."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def variables(frame: FrameType) -> list[tuple[str, Any]]:
    """Names and values of what a function holds in its variables; nothing for modules and bodies of classes."""
    if not frame.f_code.co_flags & _OPTIMISED:
        return []
    found = frame.f_locals
    values = list(found.items())
    if _DICTS and sys.getrefcount(found) <= _NOBODY_ELSE:
        found.clear()
    return values


def other_threads() -> Iterator[tuple[str, FrameType]]:
    """The running frames of all threads but this one, with the words for them: ``thread 4242 worker()``."""
    native = {one.ident: one.native_id for one in list(threading._active.values())}  # type: ignore[attr-defined]
    seen = 0
    for ident, newest in sys._current_frames().items():
        if ident == threading.get_ident():
            continue
        for frame in stack(newest):
            seen += 1
            if seen > _MOST_FRAMES:
                return
            yield f"thread {native.get(ident) or ident} {frame.f_code.co_name}()", frame


def refresh(frames: list[FrameType]) -> None:
    """Forget what an earlier look, by whomever, left in these frames of names that were deleted meanwhile."""
    if _DICTS:
        for frame in frames:
            variables(frame)
