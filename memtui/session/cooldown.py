"""How long ago a process was cleaned up, remembered outside of it: by all memtui of one user.

A file for each process in the state directory; its time is that of the clean-up.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from memtui.errors import MemtuiError
from memtui.observe.process import ProcessReader
from memtui.paths import state_dir

COOLDOWN_SECONDS = 300.0
_FORGET_SECONDS = 7 * 86400.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Cooldown:
    """The cooldown of one process. A process is known by its pid and start, so that a pid used again is another one.

    Opening it raises TargetDiedError when there is no such process.
    """

    def __init__(self, pid: int, seconds: float = COOLDOWN_SECONDS) -> None:
        with ProcessReader(pid) as process:
            started = process.identity().started_ticks
        self.seconds = seconds
        self._file = state_dir() / "cleanups" / f"{pid}-{started}-{_boot()}"
        self._before: float | None = None

    def remaining_seconds(self) -> float:
        """How long it still lasts; 0 when a clean-up may be made now."""
        at = self._at()
        age = self.seconds if at is None else time.time() - at
        # A time ahead of the clock: somebody has set the clock back.
        return max(0.0, self.seconds - age) if age >= 0 else 0.0

    def claim(self) -> bool:
        """Note that a clean-up is made now. False where that cannot be written down."""
        self._before = self._at()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch()
            self._forget_old()
        except OSError:
            return False
        return True

    def give_back(self) -> None:
        """The clean-up was not made."""
        try:
            if self._before is None:
                self._file.unlink(missing_ok=True)
            else:
                os.utime(self._file, (self._before, self._before))
        except OSError:
            pass

    def _at(self) -> float | None:
        try:
            return self._file.stat().st_mtime
        except OSError:
            return None

    def _forget_old(self) -> None:
        for one in self._file.parent.iterdir():
            if time.time() - one.stat().st_mtime > _FORGET_SECONDS:
                one.unlink(missing_ok=True)


def cooldown_of(pid: int, seconds: float) -> Cooldown | None:
    """The cooldown of a process; None when the process is gone."""
    try:
        return Cooldown(pid, seconds)
    except MemtuiError:
        return None


def _boot() -> str:
    try:
        return _BOOT_ID.read_text("ascii")[:8]
    except OSError:
        return "0"
