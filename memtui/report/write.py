"""Writing a report so that the file is either the whole new report or what it was before."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

from memtui.atomic import replace_file
from memtui.errors import WriteError
from memtui.model.state import State
from memtui.paths import default_file

_ADVICE = {
    errno.ENOENT: ("Its directory does not exist", "Create the directory, or name another file."),
    errno.ENOTDIR: ("A part of its path is not a directory", "Name another file."),
    errno.EISDIR: ("It is a directory", "Name a file in it."),
    errno.EACCES: ("Permission denied", "Name a file in a directory you may write to."),
    errno.EPERM: ("The operation is not permitted", "Name a file in a directory you may write to."),
    errno.EROFS: ("The file system is read-only", "Name a file on another file system."),
    errno.ENOSPC: ("No space is left on the device", "Free some space, or name a file on another file system."),
    errno.EFBIG: ("It would be larger than this process may make a file", "Raise the limit: see ulimit -f."),
    errno.EDQUOT: ("The disk quota is used up", "Free some space, or name a file on another file system."),
}


def write_report(path: str | Path, report: dict[str, Any]) -> Path:
    """Write the report as JSON; returns the absolute path of the file. Raises WriteError."""
    return write_file(path, render(report))


def write_file(path: str | Path, content: bytes) -> Path:
    """Write a report of any kind; returns the absolute path of the file.

    The content goes to a new file beside it that takes its place when it is complete and on the disk. Raises
    :class:`WriteError` when that fails; then nothing new is left behind and an older file is untouched.
    """
    try:
        target = Path(path).expanduser().absolute()
        if target.exists() and not target.is_file() and not target.is_dir():
            # A device or a pipe is written to, not replaced.
            target.write_bytes(content)
        else:
            target = target.resolve()
            replace_file(target, content)
    except (OSError, ValueError, RuntimeError) as error:
        why, next_step = _explain(error)
        raise WriteError(f"The report was not written to {path}.", why=f"{why}.", next_step=next_step) from error
    return target


def render(report: dict[str, Any]) -> bytes:
    """The bytes of report.json. Text of the target that is no valid Unicode is written with ``?``."""
    return json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"


def default_path(state: State) -> Path:
    """Where a report goes that nobody named a file for."""
    return default_file(state.target.pid, state.started_at + state.now_seconds, ".json")


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, OSError) and error.errno in _ADVICE:
        return _ADVICE[error.errno]
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return words[:1].upper() + words[1:], "Name another file."
