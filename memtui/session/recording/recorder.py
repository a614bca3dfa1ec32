"""Writing a recording while a session runs: a thread of its own, so that a slow or full disk holds nobody up."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from memtui.errors import WriteError
from memtui.model.files import HEAD_BYTES, RECORDING_MAGIC, kind_of
from memtui.model.state import State
from memtui.session.messages import AllocationsSeen, Message, OutputArrived, RecordingChanged
from memtui.session.recording.encoder import CHAPTER_SECONDS, Encoder, Entry

FLUSH_SECONDS = 2.0
"""What memtui was told is in the file after so long, also when it is killed."""
_SYNC_SECONDS = 30.0
"""After so long it is on the disk, also when the machine loses its power."""
_MOST_WAITING = 100_000
"""Rows and lines; with the usual disk a handful of them waits."""
_CLOSE_SECONDS = 10.0


class Recorder:
    """Records what a session sees into a file that ``memtui open`` plays and ``memtui report`` prints.

    ::

        recorder = Recorder(Path("night.memtui"))                 # WriteError when it cannot be written
        session = LiveSession(LiveOptions(pid=4242), recorder)    # begins, feeds and closes it
        ...
        session.close()
        if recorder.error is not None: ...                        # the disk was full, say; the session went on

    Whoever folds messages without a LiveSession calls :meth:`begin` with the first State, :meth:`add` after each
    message, and :meth:`close`; none of these raises or waits for the disk (``close`` waits for some seconds at most).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = _resolved(path)
        self._file, self._partial = _create(self.path)
        self._queue: deque[Entry] = deque()
        self._added = self._taken = 0
        self._state: State | None = None
        self._chapter_due = 0.0
        self._condition = threading.Condition()
        self._flush_asked = self._flush_done = 0
        self._closing = self._over = False
        self._thread = threading.Thread(target=self._run, name="memtui-recorder", daemon=True)
        self._written_bytes = 0
        self.error: WriteError | None = None
        """Why the recording ended early; None as long as all is well."""

    @property
    def written_bytes(self) -> int:
        """The size of the file so far."""
        return self._written_bytes

    def begin(self, state: State) -> None:
        """Record from ``state`` on."""
        self._first = self._state = state
        self._chapter_due = state.now_seconds + CHAPTER_SECONDS
        self._thread.start()

    def add(self, message: Message, state: State) -> None:
        """``message`` was folded, and led to ``state``."""
        before, self._state = self._state, state
        if self._closing or self.error is not None or before is None or isinstance(message, RecordingChanged):
            return
        now = state.now_seconds
        chapter = state if now >= self._chapter_due else None
        if chapter is not None:
            self._chapter_due = now + CHAPTER_SECONDS
        touches = state.allocations is not before.allocations or state.output is not before.output
        self._queue.append(Entry(now, message, touches, chapter))
        self._added += _weight(message)
        if self._added - self._taken > _MOST_WAITING:
            self._fail("The disk does not take it as fast as it comes")

    def flush(self) -> None:
        """Write what was added until now, and wait until it is in the file (not necessarily on the disk)."""
        with self._condition:
            self._flush_asked += 1
            ticket = self._flush_asked
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._flush_done >= ticket or self._over, _CLOSE_SECONDS)

    def close(self) -> None:
        """Write what is left, and end. A recording that was never begun leaves no file. May be called again."""
        if self._closing:
            return
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._state is None:
            os.close(self._file)
            self._remove_partial()
            return
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():
            self._fail("The disk does not answer")

    # -- from here on: the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            encoder = Encoder(self._first)
            self._append(RECORDING_MAGIC + encoder.take())
            self._give_name()
            self._write(encoder)
        except OSError as error:
            self._fail(error.strerror or str(error))
        except WriteError as error:
            self._fail(error.why.removesuffix("."))
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            self._fail(f"Something cannot be recorded: {error!r}")
        finally:
            os.close(self._file)
            self._remove_partial()
            with self._condition:
                self._over = True
                self._condition.notify_all()

    def _write(self, encoder: Encoder) -> None:
        sync_at = time.monotonic() + _SYNC_SECONDS
        while self.error is None:
            asked, closing = self._flush_asked, self._closing  # looked at before the queue is emptied
            while self._queue:
                entry = self._queue.popleft()
                self._taken += _weight(entry.message)
                encoder.add(entry)
            self._append(encoder.end() if closing else encoder.take())
            if closing or time.monotonic() >= sync_at:
                sync_at = time.monotonic() + _SYNC_SECONDS
                with suppress(OSError):  # a device cannot
                    os.fsync(self._file)
            if closing:
                return
            with self._condition:
                self._flush_done = asked
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._closing or self._flush_asked > self._flush_done, FLUSH_SECONDS)

    def _give_name(self) -> None:
        """From here on there is a file that can be read, whatever happens; an older recording stayed until now."""
        if self._partial is not None:
            _check_taken(self.path)
            os.rename(self._partial, self.path)
            self._partial = None

    def _remove_partial(self) -> None:
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)

    def _append(self, data: bytes) -> None:
        """Append all of ``data``; where that fails the file ends with the last whole block, if it may be cut."""
        begin = self._written_bytes
        try:
            while data:
                count = os.write(self._file, data)
                self._written_bytes += count
                data = data[count:]
        except OSError:
            self._written_bytes = begin
            with suppress(OSError):
                os.ftruncate(self._file, begin)
            raise

    def _fail(self, why: str) -> None:
        if self.error is None:
            self.error = WriteError(
                f"The recording {self.path} ends here.",
                why=f"{why[:1].upper()}{why[1:]}.",
                next_step="What was written until now can be opened.",
            )
        self._queue.clear()


def _resolved(path: str | Path) -> Path:
    try:
        return Path(path).expanduser().resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise WriteError(f"A recording cannot be written to {path}.", why=f"{error}.") from error


def _weight(message: Message) -> int:
    """The rows or lines it holds."""
    if isinstance(message, AllocationsSeen):
        return 1 + len(message.allocations.rows)
    return 1 + len(message.lines) if isinstance(message, OutputArrived) else 1


def _create(path: Path) -> tuple[int, Path | None]:
    """An empty, locked file, and its name until there is something in it; a device is written to as it is.

    Raises WriteError.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            if not path.is_char_device():
                raise _refused(path, "It is neither a file nor a device.")
            return os.open(path, os.O_RDWR | os.O_CLOEXEC), None
        _check_taken(path)
        partial = path.with_name(f".memtui-{secrets.token_hex(8)}.tmp")
        # Opened by hand and not by tempfile, so that the file gets the permissions of any other new file.
        file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError, RuntimeError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _refused(path, f"{words[:1].upper()}{words[1:]}.") from error
    with suppress(OSError):  # a file system without locks: nothing is lost but the check for another memtui
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file, partial


def _check_taken(path: Path) -> None:
    """Raise WriteError when the file of this name is no recording, or one that is being written."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        head = os.pread(file, HEAD_BYTES, 0)
        if head and kind_of(head) != "recording":
            raise _refused(path, "There is a file of this name, which is no recording.")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise _refused(path, "Another memtui is writing to it.") from error
    finally:
        os.close(file)


def _refused(path: Path, why: str) -> WriteError:
    return WriteError(f"A recording cannot be written to {path}.", why=why, next_step="Name another file.")
