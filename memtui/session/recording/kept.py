"""Recordings that memtui keeps by itself: where they are, and how many of them."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from memtui.errors import WriteError
from memtui.paths import state_dir
from memtui.session.pictures import SUFFIX, default_name
from memtui.session.recording.recorder import Recorder

KEPT = 20
"""Recordings of one kind; an hour takes 2 MB at most."""


def kept_recorder(kind: str, pid: int) -> Recorder:
    """A recorder into a new file of the user's state directory; older ones of this kind (``"soak"``) make room.

    Where that directory cannot be written to the file is in the one for temporary files. Raises WriteError when it
    cannot be there either.
    """
    try:
        return _in(state_dir() / kind, pid)
    except (OSError, WriteError):
        return Recorder(Path(tempfile.gettempdir()) / f"memtui-{kind}-{default_name(pid, time.time())}")


def _in(folder: Path, pid: int) -> Recorder:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _make_room(folder)
    return Recorder(folder / default_name(pid, time.time()))


def _make_room(folder: Path) -> None:
    """Remove the oldest ones; those that are written now are left alone."""
    found = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
    for path in found[: max(0, len(found) - KEPT + 1)]:
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
