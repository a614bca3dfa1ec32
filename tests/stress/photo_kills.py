"""memtui killed with SIGKILL while it photographs; prints what became of the targets.

    python tests/stress/photo_kills.py [--random 12] [--tool 6] [--interpreters 3.8,3.11,3.13,system] [--modes a,b]

For every interpreter and target: the helper is killed at each named step of a photograph, each time it gets there; at
random moments of its life, and while it holds a thread; then the tool that looks at photographs is killed. After each
kill the target has to be untraced and right in its sums and waits, and nothing of a copy may be left after the next
call of memtui on it. Exit code 1 when anything is not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from unittest import mock

from hard import HangError, Trouble, chosen, until
from interpreters import Interpreter
from killing import Survivor, Tally, kill_at_each_step, kill_the_tool, on_every_target
from photographs import CopiedTarget

from memtui.attach import photograph as photographing
from memtui.attach.camera_link import CameraLink
from memtui.attach.killpoint import VARIABLE
from memtui.attach.photograph import clean_leftovers, photograph
from memtui.errors import MemtuiError

MODES = ("sums", "waits", "alone", "arbiter")
STEPS = (
    "asked-to-stop", "all-stopped", "frame-written", "before-registers", "registers-set", "mask-set", "running",
    "syscall-entered", "cloned", "syscall-done", "to-signal-path", "in-signal-path", "fpu-restored", "mask-restored",
    "registers-restored", "all-released", "copy-stopped", "copy-held", "handed-over", "before-kill", "copy-killed",
    "copy-collected", "interrupted", "detached", "reaped",
)  # fmt: skip
MOST_VISITS = 8
LIFE_SECONDS = 0.05
HELPER_SECONDS = 3.0

TOOL = """
import sys, time
from memtui.attach.photograph import photograph
while True:
    with photograph(int(sys.argv[1]), accept_stop=True) as photo:
        time.sleep(0.01)
"""


class Patient(Survivor):
    """A target that survives without a copy of it."""

    def __init__(self, target: CopiedTarget, tally: Tally) -> None:
        super().__init__(target)
        self._copied, self._tally = target, tally
        self.helper_lives = False
        """While its caller was killed, a helper that lives has a moment to remove its copy itself."""

    def examine(self) -> None:
        """As the base class; raises Trouble, HangError also when a copy of it is left."""
        super().examine()
        if self.helper_lives:
            until(lambda: not self._copied.children_without_signal(), "its helper removes the copy", HELPER_SECONDS)
        self._tally.cleaned += clean_leftovers(self.pid)
        self._copied.check_nothing_left()


class DoomedLink(CameraLink):
    """A helper that is killed from outside, at the moment that ``when`` waits for."""

    when: Callable[[], None]
    killed: list[bool]

    def __init__(self, pid: int) -> None:
        super().__init__(pid)
        if not self.killed:
            self.killed.append(False)
            threading.Thread(target=self._kill).start()

    def _kill(self) -> None:
        type(self).when()
        if self._process.poll() is None:
            os.kill(self.helper_pid, signal.SIGKILL)
            self.killed[0] = True


def photograph_and_fail(pid: int) -> bool:
    """A photograph whose helper dies. True when it did, as far as can be seen."""
    try:
        with photograph(pid, accept_stop=True) as photo:
            time.sleep(0.002)
        return photo.release() is None
    except MemtuiError:
        return True


def at_random(patient: Patient, tally: Tally, times: int, dice: random.Random) -> None:
    """Kill the helper at any moment of its life; every other time while it holds threads."""

    def any_time() -> None:
        time.sleep(dice.uniform(0.005, LIFE_SECONDS))

    def while_tracing() -> None:
        end = time.perf_counter() + LIFE_SECONDS
        while not patient.target.traced() and time.perf_counter() < end:
            pass
        time.sleep(dice.uniform(0, 0.002))

    for number in range(times):
        when = while_tracing if number % 2 else any_time
        doomed = type("Doomed", (DoomedLink,), {"when": staticmethod(when), "killed": []})
        with mock.patch.object(photographing, "CameraLink", doomed):
            photograph_and_fail(patient.pid)
        until(lambda: threading.active_count() == 1, "the killer ends")
        if doomed.killed[0]:
            tally.count("random")
        else:
            tally.missed += 1
        patient.examine()


def run(interpreter: Interpreter, mode: str, random_kills: int, tool_kills: int, steps: bool = True) -> Tally:
    """All kinds of kills on one target; it is given up at the first thing that is wrong."""
    tally, dice = Tally(), random.Random(f"{interpreter} {mode}")
    with CopiedTarget(interpreter, mode) as target:
        patient = Patient(target, tally)
        try:
            if steps:
                kill_at_each_step(STEPS, MOST_VISITS, VARIABLE, photograph_and_fail, patient, tally)
            at_random(patient, tally, random_kills, dice)
            patient.helper_lives = True
            kill_the_tool(TOOL, tally, tool_kills, dice, patient)
            target.answer()
        except (HangError, Trouble, MemtuiError) as wrong:
            tally.wrong.append(f"{type(wrong).__name__} after {sum(tally.kills.values())} kills: {wrong}")
    return tally


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int, default=12)
    parser.add_argument("--tool", type=int, default=6)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--interpreters", default="3.8,3.11,3.13,system")
    options = parser.parse_args()
    return on_every_target(
        lambda python, mode: run(python, mode, options.random, options.tool),
        chosen(options.interpreters),
        options.modes.split(","),
    )


if __name__ == "__main__":
    sys.exit(main())
