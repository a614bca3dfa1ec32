"""Running a program under ``memray run --native``, for a bounded time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from memtui.errors import RefusedError, TargetError
from memtui.model.units import format_seconds
from memtui.native.recording import MOST_BYTES, Outcome, Tell, pip_command

_VERSION = "import memray, sys; sys.stdout.write(memray.__version__)"
_PROBE_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 5.0
_PR_SET_PDEATHSIG = 1


class LaunchedRecording:
    """A program with memray from its first line on; close it in any case, then the program has ended.

    ``words``: a script or ``-m`` and a module, and the arguments. What the program prints goes to memtui's stderr.
    Raises RefusedError when ``interpreter`` has no memray, TargetError when it does not start.
    """

    def __init__(self, interpreter: str, words: Sequence[str], environment: Mapping[str, str], out: Path) -> None:
        _check_memray(interpreter, environment)
        self._out = out
        options = ("run", "--native", "--no-compress", "--quiet", "--force", "--output", str(out))
        try:
            self._process = subprocess.Popen(
                [interpreter, "-m", "memray", *options, *words],
                stdout=2,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=_end_with(os.getpid()),
            )
        except OSError as error:
            raise TargetError(f"{interpreter} cannot be started.", why=f"{error.strerror}.") from error
        self.pid = self._process.pid

    @property
    def exit_code(self) -> int | None:
        """As a shell reports it; None while it runs."""
        code = self._process.poll()
        return code if code is None or code >= 0 else 128 - code

    def wait(self, seconds: float, tell: Tell) -> Outcome:
        """Look on until the program ends, the time is over or the recording too large; then the program is ended.

        ``ended`` is ``itself`` when the program came to its end alone.
        """
        began = time.monotonic()
        while True:
            passed = time.monotonic() - began
            size = self._out.stat().st_size if self._out.exists() else 0
            if self._process.poll() is not None:
                return Outcome("itself", passed, 0.0, size)
            if passed >= seconds or size > MOST_BYTES:
                self.end()
                return Outcome("time" if passed >= seconds else "size", passed, 0.0, size)
            tell(f"the program runs under memray, for {format_seconds(seconds)} at most", passed / seconds)
            time.sleep(min(_LOOK_SECONDS, seconds - passed))

    def end(self) -> None:
        """End the program, with Ctrl-C first so that memray completes its recording, and what it has started."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                self._signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_GRACE_SECONDS)
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def _check_memray(interpreter: str, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            [interpreter, "-c", _VERSION],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(f"{interpreter} cannot be started.", why=f"{error}.") from error
    if done.returncode:
        last = "".join(done.stderr.strip().splitlines()[-1:])
        raise RefusedError(
            f"{interpreter} cannot record native allocations.",
            why=f"memray cannot be imported there ({last}).",
            next_step=f"Install it there: {pip_command(interpreter)}",
        )


def _end_with(memtui: int) -> Callable[[], None]:
    """For the child: SIGTERM when memtui dies, so that no recording grows for ever."""
    prctl = ctypes.CDLL(None).prctl

    def setup() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != memtui:
            os._exit(1)

    return setup
