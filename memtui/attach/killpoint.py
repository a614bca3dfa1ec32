"""Where tests kill memtui's helpers: every step of what they do in a target has a name."""

from __future__ import annotations

import os

VARIABLE = "MEMTUI_KILL_HELPER_AT"
"""The helper kills itself at the step named so: ``name``, or ``name#2`` for the second time it gets there."""

_SIGKILL = 9
_passed: dict[str, int] = {}


def checkpoint(name: str) -> None:
    """The step ``name`` is reached; without the environment variable nothing happens."""
    if VARIABLE not in os.environ:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if os.environ[VARIABLE] in (name, f"{name}#{_passed[name]}"):
        os.kill(os.getpid(), _SIGKILL)
