"""Writing a file so that it is either the whole new one or what it was before."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def replace_file(target: Path, content: bytes) -> None:
    """Put ``content`` in the place of ``target``; see :func:`replacing`. Raises OSError; then nothing changed."""
    with replacing(target) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A new file to be filled, which takes the place and the permissions of ``target``; on any error nothing changed.

    It lies beside it until it is complete and on the disk. A symbolic link is replaced itself: resolve it first where
    that is not meant.
    """
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    partial = target.with_name(f".memtui-{secrets.token_hex(8)}.tmp")
    # Opened by hand and not by tempfile, so that the file gets the permissions of any other new file.
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(descriptor, "wb") as file:
            if target.is_file():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
