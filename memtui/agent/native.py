"""memray's tracker on behalf of one viewer: for a bounded time, into a file that has no name any more.

The file is unlinked as soon as memray has opened it. The viewer reads it through ``/proc/PID/fd``, so nothing is left
of it in the file system, whoever dies first.
"""

from __future__ import annotations

import sys
from posix import (
    O_CLOEXEC,
    O_RDONLY,
    close,
    environ,
    fstat,
    fstatvfs,
    getpid,
    mkdir,
    open,
    read,
    rmdir,
    unlink,
    urandom,
)
from time import monotonic, thread_time

from .originals import original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_SECONDS = 3600
LOOK_SECONDS = 0.5
MEMORY_INTERVAL_MILLISECONDS = 1000
LEAST_FREE_BYTES = 64 * 1024 * 1024
_FOLDERS = ("/var/tmp", "/tmp", "/dev/shm", ".")
_FAR = float("inf")


class NotPossible(Exception):
    """A recording that is not made; its text is the sentence for the viewer."""


class Native:
    """At most one recording. It ends at its time, when its file is full, and when its viewer goes."""

    __slots__ = ("_at", "_deadline", "_ended", "_fd", "_most_bytes", "_tracker", "_viewer")

    def __init__(self) -> None:
        self._viewer: object = None
        self._tracker: Any = None
        self._fd = -1
        self._deadline = self._at = _FAR
        self._most_bytes = 0
        self._ended: str | None = None

    def probe(self) -> dict[str, Any]:
        """The interpreter, and memray's version (None where it cannot be imported); nothing is imported for it."""
        return {
            "executable": sys.executable,
            "prefix": sys.prefix,
            "memray": _version(),
            "loaded": "memray" in sys.modules,
            "busy": self._tracker is not None,
        }

    def start(self, viewer: object, seconds: int, most_bytes: int) -> dict[str, Any]:
        """Record for ``viewer``. Raises NotPossible."""
        if self._viewer is not None:
            raise NotPossible("Another viewer records native allocations in this process.")
        begin, cpu = monotonic(), thread_time()
        memray = _load()
        imported = monotonic() - begin
        if sys.modules["threading"].__dict__.get("_profile_hook") is not None:
            raise NotPossible("A profiler is active in the program (threading.setprofile); memray would replace it.")
        directory = _make_directory(most_bytes)
        path = directory + "/recording"
        try:
            tracker = _tracker(memray, path)
            fd = open(path, O_RDONLY | O_CLOEXEC)
        except (OSError, RuntimeError) as error:
            raise NotPossible("memray cannot write its recording in %s (%s)." % (directory, error)) from None
        finally:
            _remove(path, directory)
        try:
            tracker.__enter__()
        except BaseException as error:
            close(fd)
            if type(error) is RuntimeError:
                raise NotPossible("memray's tracker is active in the program already.") from None
            raise
        self._viewer, self._tracker, self._fd, self._ended = viewer, tracker, fd, None
        self._most_bytes, self._deadline = most_bytes, monotonic() + seconds
        self._at = min(self._deadline, monotonic() + LOOK_SECONDS)
        return {
            "fd": fd,
            "memray": str(memray.__version__),
            "import_seconds": imported,
            "seconds": monotonic() - begin,
            "cpu": thread_time() - cpu,
        }

    def state(self) -> dict[str, Any]:
        """Whether it records, why it ended (``time``, ``size``, ``space``, ``asked``), bytes of the file."""
        size = fstat(self._fd).st_size if self._fd >= 0 else None
        return {"on": self._tracker is not None, "ended": self._ended, "bytes": size}

    def stop(self, viewer: object) -> dict[str, Any]:
        """End the recording of ``viewer``; its file stays until :meth:`release`."""
        if self._viewer is viewer:
            self._end("asked")
        return self.state()

    def release(self, viewer: object) -> None:
        """``viewer`` goes, or has read its file: nothing is left."""
        if self._viewer is viewer:
            try:
                self._end("left")
            finally:
                fd, self._fd, self._viewer = self._fd, -1, None
                close(fd)

    def due(self) -> float:
        """When :meth:`tick` wants to be called, in monotonic time."""
        return self._at

    def tick(self) -> None:
        """End the recording when it is time, when its file is as large as allowed, or the file system nearly full."""
        now = monotonic()
        if now < self._at:
            return
        self._at = min(self._deadline, now + LOOK_SECONDS)
        if now >= self._deadline:
            self._end("time")
        elif fstat(self._fd).st_size > self._most_bytes:
            self._end("size")
        elif _free_bytes(self._fd) < LEAST_FREE_BYTES // 4:
            self._end("space")

    def _end(self, why: str) -> None:
        tracker, self._tracker = self._tracker, None
        self._at = _FAR
        if tracker is not None:
            self._ended = why
            tracker.__exit__(None, None, None)


def _version() -> str | None:
    """Of the memray that would be imported, read from its files."""
    loaded = sys.modules.get("memray")
    if loaded is not None:
        return str(loaded.__dict__.get("__version__"))
    try:
        from importlib.util import find_spec

        spec = find_spec("memray")
        places = list(spec.submodule_search_locations or []) if spec is not None else []
    except (ImportError, AttributeError, ValueError):
        return None
    for place in places:
        try:
            fd = open(place + "/_version.py", O_RDONLY | O_CLOEXEC)
            text = read(fd, 4096).decode("utf-8", "replace")
            close(fd)
        except OSError:
            continue
        _, found, rest = text.partition("__version__ =")
        return rest.strip().split("\n")[0].strip("\"' ") if found else "?"
    return None


def _load() -> Any:
    """memray, imported in this thread."""
    alone = "threading" not in sys.modules
    try:
        import memray
    except Exception as error:
        raise NotPossible("memray cannot be imported in the program (%s)." % error) from None
    finally:
        if alone and "threading" in sys.modules:
            give_main_thread_back(sys.modules["threading"])
    return memray


def give_main_thread_back(threading: Any) -> None:
    """Up to 3.12 `threading` takes the thread that imports it first for the main thread. Tell it the right one.

    What it has noted at import (``_MainThread.__init__`` in Lib/threading.py): the thread's number in ``_active``,
    and a lock that the end of that thread releases, which ``_shutdown`` wants to find held.
    """
    main, here = threading._main_thread, original("_thread", "get_ident")()
    if main.__dict__.get("_ident") != here:
        return
    ident = list(sys._current_frames())[-1]  # thread states are listed newest first
    with threading._active_limbo_lock:
        threading._active.pop(here, None)
        threading._active[ident] = main
        main._ident, main._native_id = ident, getpid()
    own = main.__dict__.get("_tstate_lock")
    if own is not None:
        lock = original("_thread", "allocate_lock")()
        lock.acquire()
        main._tstate_lock = lock
        locks = threading.__dict__.get("_shutdown_locks", set())
        if own in locks:
            locks.discard(own)
            locks.add(lock)


def _tracker(memray: Any, path: str) -> Any:
    options = {"native_traces": True, "follow_fork": False, "memory_interval_ms": MEMORY_INTERVAL_MILLISECONDS}
    try:
        # Compressing would hold the program up at the end, and needs the file's name.
        destination = memray.FileDestination(path=path, overwrite=True, compress_on_exit=False)
    except TypeError:
        raise NotPossible("memray %s in the program is too old." % memray.__version__) from None
    return memray.Tracker(destination=destination, **options)


def _make_directory(most_bytes: int) -> str:
    """A new directory that only this user may enter, where that much room is."""
    wanted, reasons = most_bytes + LEAST_FREE_BYTES, []
    own = environ.get(b"TMPDIR", b"").decode("utf-8", "surrogateescape")
    for folder in ((own,) if own.startswith("/") else ()) + _FOLDERS:
        path = "%s/memtui-%s" % (folder, urandom(8).hex())
        try:
            mkdir(path, 0o700)
            if _free_bytes_at(path) >= wanted:
                return path
            rmdir(path)
            reasons.append("%s: less than %d MiB free" % (folder, wanted >> 20))
        except OSError as error:
            reasons.append("%s: %s" % (folder, error.strerror))
    raise NotPossible("There is no place for memray's recording (%s)." % "; ".join(reasons))


def _free_bytes_at(path: str) -> int:
    fd = open(path, O_RDONLY | O_CLOEXEC)
    try:
        return _free_bytes(fd)
    finally:
        close(fd)


def _free_bytes(fd: int) -> int:
    place = fstatvfs(fd)
    return place.f_bavail * place.f_frsize


def _remove(path: str, directory: str) -> None:
    for step, name in ((unlink, path), (rmdir, directory)):
        try:
            step(name)
        except OSError:
            pass
