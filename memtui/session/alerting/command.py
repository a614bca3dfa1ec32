"""``--on-alert``: runs a command of the user's for each alert, and never leaves a process behind."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time

from memtui.errors import MemtuiError

_TAIL_BYTES = 2000
_SHOWN = 200
_POLL_SECONDS = 0.05
_LAST_SECONDS = 1.0
"""What a command may still take when memtui ends."""


class AlertCommand:
    """Runs ``command`` by the shell, in a session of its own, for at most ``seconds``; the alert is its stdin."""

    def __init__(self, command: str, seconds: float) -> None:
        self._command, self._seconds = command, seconds

    def __call__(self, body: bytes, ending: threading.Event) -> None:
        """Run it once. Raises MemtuiError when it does not start, takes too long or fails."""
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise MemtuiError(f"The command of --on-alert did not start: {error.strerror}.") from error
        try:
            output = self._attend(process, body, ending)
        finally:
            _end(process)
        if output is None:
            why = "the session ended" if ending.is_set() else f"it took longer than {self._seconds:g} s"
            raise MemtuiError(f"The command of --on-alert was killed: {why}.")
        if process.returncode != 0:
            raise MemtuiError(f"The command of --on-alert {_how(process.returncode)}{_last_line(output)}")

    def _attend(self, process: subprocess.Popen[bytes], body: bytes, ending: threading.Event) -> bytes | None:
        """Feed it and read the end of its output until it exits; None when it takes too long."""
        assert process.stdin is not None
        assert process.stdout is not None
        until = time.monotonic() + self._seconds
        output, hurried = b"", False
        os.set_blocking(process.stdin.fileno(), False)
        os.set_blocking(process.stdout.fileno(), False)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            while True:
                exited = process.poll() is not None
                for key, _ in selector.select(0 if exited else _POLL_SECONDS):
                    if key.fileobj is process.stdin:
                        body = _feed(process, body, selector)
                    elif data := os.read(key.fd, 65536):
                        output = (output + data)[-_TAIL_BYTES:]
                    else:
                        selector.unregister(process.stdout)
                if exited:
                    return output  # what it left running in the background may keep the pipe open
                if ending.is_set() and not hurried:
                    until, hurried = min(until, time.monotonic() + _LAST_SECONDS), True
                if time.monotonic() >= until:
                    return None
                if not selector.get_map():
                    time.sleep(_POLL_SECONDS)


def _feed(process: subprocess.Popen[bytes], body: bytes, selector: selectors.BaseSelector) -> bytes:
    """Write what its stdin takes; returns the rest."""
    assert process.stdin is not None
    try:
        body = body[os.write(process.stdin.fileno(), body) :]
    except BlockingIOError:
        return body
    except OSError:
        body = b""  # it does not read its stdin, which is its own business
    if not body:
        selector.unregister(process.stdin)
        process.stdin.close()
    return body


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what still runs of it, and reap it."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except OSError:
            process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None and not stream.closed:
            stream.close()


def _how(code: int) -> str:
    return f"failed with exit code {code}" if code > 0 else f"was ended by signal {-code}"


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return f": {lines[-1][:_SHOWN]}" if lines else "."
