"""Whether memray could be imported in a process, looked up from outside before anything is done to it."""

from __future__ import annotations

import re

from memtui.native.recording import check_own_memray
from memtui.observe.eligibility import check_observable
from memtui.observe.packages import find_package

_VERSION = re.compile(r"__version__\s*=\s*['\"]([0-9][0-9A-Za-z.]*)['\"]")
_MOST_CHARACTERS = 4096


def look_out(pid: int) -> str:
    """A sentence: which memray there is for the process's Python, or how to get one.

    Only the usual places are looked at: the process itself has the last word. Raises RefusedError, TargetDiedError.
    """
    folder = find_package(check_observable(pid), "memray")
    if folder is None:
        return (
            "memray was not found for its Python and is needed there: have that Python run -m pip install memray (no "
            "restart needed)."
        )
    theirs, ours = _version(f"/proc/{pid}/root{folder}/_version.py"), check_own_memray()
    if theirs is None or theirs == ours:
        return f"memray {theirs or ''} is installed for it."
    return f"memray {theirs} is installed for it, and {ours} beside memtui: this may be unable to read that."


def _version(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            found = _VERSION.search(file.read(_MOST_CHARACTERS))
    except OSError:
        return None
    return found[1] if found else None
