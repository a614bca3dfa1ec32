"""The short-lived process that reads the filters of system calls (seccomp) over a process, from one stopped thread.

It is told the process on stdin and answers on stdout, both as ``marshal`` writes it. The thread is stopped for the
reading only, where that does no harm; nothing of it is changed. When this process ends, the kernel lets it go.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import ctypes
import errno
import marshal
import os
import sys
import time

from memtui.attach import harmless, ptrace

_GET_FILTER = 0x420C
_INSTRUCTION_BYTES = 8
_MOST_FILTERS = 64
_THREADS_TRIED = 3
_STOP_SECONDS = 0.25

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def read(pid: int) -> list[bytes] | None:
    """The programs of all filters, as the kernel hands them out; None when they cannot be read."""
    try:
        threads = harmless.candidates(pid, "auto", _THREADS_TRIED)
    except OSError:
        return None
    for tid in threads:
        try:
            return _from_stopped(tid)
        except OSError:
            continue
    return None


def _from_stopped(tid: int) -> list[bytes]:
    """Raises OSError when nothing can be read; a thread that did not stop is let go when this process ends."""
    ptrace.seize(tid)
    ptrace.interrupt(tid)
    _await_stop(tid)
    try:
        filters: list[bytes] = []
        while len(filters) < _MOST_FILTERS:
            one = _filter(tid, len(filters))
            if one is None:
                return filters
            filters.append(one)
        raise OSError(errno.E2BIG, "more filters than memtui reads")
    finally:
        ptrace.detach(tid)


def _filter(tid: int, index: int) -> bytes | None:
    """One filter; None when there is no more."""
    count = _get_filter(tid, index, None)
    if count is None:
        return None
    buffer = ctypes.create_string_buffer(count * _INSTRUCTION_BYTES)
    _get_filter(tid, index, ctypes.addressof(buffer))
    return buffer.raw


def _get_filter(tid: int, index: int, address: int | None) -> int | None:
    count: int = _libc.ptrace(_GET_FILTER, tid, index, address)
    if count < 0:
        error = ctypes.get_errno()
        if error == errno.ENOENT:
            return None
        raise OSError(error, os.strerror(error))
    return count


def _await_stop(tid: int) -> None:
    """Until the thread has stopped as it was asked to; signals that come first are delivered."""
    end = time.monotonic() + _STOP_SECONDS
    while time.monotonic() < end:
        found, status = os.waitpid(tid, os.WNOHANG | ptrace.WALL)
        if not found:
            time.sleep(0.00005)
        elif not os.WIFSTOPPED(status):
            raise ProcessLookupError(errno.ESRCH, "it has ended")
        elif status >> 16 == ptrace.EVENT_STOP:
            if os.WSTOPSIG(status) != signal.SIGTRAP:
                raise OSError(errno.EBUSY, "it is stopped by somebody else")
            return
        else:
            ptrace.resume(tid, os.WSTOPSIG(status))
    raise TimeoutError(errno.ETIMEDOUT, "it does not stop")


def main() -> None:
    """Read which process, print its filters."""
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()) - {signal.SIGCHLD})
    asked = sys.stdin.buffer.read()
    if asked:
        sys.stdout.buffer.write(marshal.dumps({"filters": read(marshal.loads(asked)["pid"])}))
        sys.stdout.flush()
