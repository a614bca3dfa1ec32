"""Where the files of heap pictures are: in a private directory while a session lasts, or where the user wants one."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from memtui.errors import WriteError

SUFFIX = ".memtui"


_PREFIX = "memtui-pictures-"
_LOCK = "lock"


class PictureFolder:
    """A directory that only its user may enter, made with the first picture and removed with all that is in it.

    As long as it is in use a file in it is locked: what a killed memtui left behind is known by that, and removed.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._lock = -1
        self._made = 0

    def new_path(self) -> Path:
        """A path for one more picture. Raises WriteError when there is no place for it."""
        if self._folder is None:
            try:
                self._make()
            except OSError as error:
                raise WriteError(
                    "There is no place for a heap picture.",
                    why=f"{error.strerror}: {error.filename}.",
                    next_step="Free some space, or set TMPDIR to another directory.",
                ) from error
        assert self._folder is not None
        self._made += 1
        return self._folder / f"{self._made}{SUFFIX}"

    def keep_only(self, paths: Iterable[str]) -> None:
        """Delete the files of all other pictures."""
        kept = {Path(path) for path in paths}
        for file in self._folder.glob(f"*{SUFFIX}") if self._folder is not None else ():
            if file not in kept:
                file.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete everything."""
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(self._lock)

    def _make(self) -> None:
        _remove_leftovers(Path(tempfile.gettempdir()))
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))  # made with mode 0700
        self._lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)


def _remove_leftovers(parent: Path) -> None:
    """Remove the user's own picture directories that nobody has locked."""
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
                continue
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue  # not there any more, or just being made
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass  # in use
        finally:
            os.close(lock)


def default_name(pid: int | str, at: float) -> str:
    """``PID-YYYYMMDD-HHMMSS.memtui``, by local time; ``at``: seconds since the epoch."""
    return f"{pid}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(at))}{SUFFIX}"


def save_picture(path: str, folder: Path, name: str) -> Path:
    """Copy the picture in ``path`` to ``folder`` under ``name``; returns where it is.

    The copy takes its name when it is complete. Raises WriteError, and leaves nothing, when that fails.
    """
    target = folder / name
    partial = folder / f".memtui-{secrets.token_hex(8)}.tmp"
    try:
        # Opened here so that the copy gets the permissions of any other new file, not those of the private one.
        with open(path, "rb") as source, open(partial, "xb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(partial, target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise WriteError(
            f"The picture was not written to {target}.",
            why=f"{error.strerror}.",
            next_step="Start memtui in a directory you may write to.",
        ) from error
    return target
