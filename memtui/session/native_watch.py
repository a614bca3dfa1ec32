"""A native recording without a screen: asked of a session, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable

from memtui.model.command import StartNative
from memtui.model.state import EventKind
from memtui.session.interface import Session
from memtui.session.watching import Tell

_POLL_SECONDS = 0.1
_PATIENCE_SECONDS = 180.0
"""For getting in, for the import of memray and for reading what was recorded, all together."""


def record_native(session: Session, seconds: float, tell: Tell, stopped: Callable[[], bool] = lambda: False) -> str:
    """Have native allocations recorded; State.native has the result. Returns why there is none, else nothing.

    ``stopped``: whether it is to be given up.
    """
    before = session.state.native
    begin_seconds = session.state.now_seconds
    session.request(StartNative(seconds, accepted=True, keep=False))
    began = time.monotonic()
    while time.monotonic() - began < seconds + _PATIENCE_SECONDS:
        if stopped():
            return "It was interrupted."
        state = session.state
        if state.native is not None and state.native is not before:
            return ""
        failed = [
            one
            for one in state.events
            if one.at_seconds > begin_seconds and one.kind in (EventKind.ERROR, EventKind.ENDED)
        ]
        progress = state.native_progress
        if failed and progress is None:
            return failed[-1].text
        step = "preparing a native recording" if progress is None else progress.step
        left = None if progress is None else progress.seconds_left
        tell(step, 0.0 if left is None else 1.0 - left / seconds)
        time.sleep(_POLL_SECONDS)
    return "It took too long."
