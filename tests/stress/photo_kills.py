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
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from hard import HangError, Trouble, chosen, until
from interpreters import Interpreter
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


@dataclass
class Tally:
    """The kills on one target by kind, what they left for the next call to clean, and what was wrong."""

    kills: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    cleaned: int = 0
    wrong: list[str] = field(default_factory=list)

    def count(self, kind: str) -> None:
        """One more kill."""
        self.kills[kind] = self.kills.get(kind, 0) + 1


class Patient:
    """A target that survives, and how to tell that it did."""

    def __init__(self, target: CopiedTarget, tally: Tally) -> None:
        self._target, self._tally = target, tally
        self.pid = target.pid
        self._masks = self._blocked_signals()

    def examine(self, helper_lives: bool = False) -> None:
        """Raises Trouble, HangError when it is not as it was, or when a copy of it is left.

        A helper that lives, while its caller was killed, has a moment to remove its copy itself.
        """
        target = self._target
        until(lambda: not target.traced(), "somebody still traces it")
        progress = target.slot("progress")
        until(
            lambda: target.slot("progress") >= progress + 2 or target.process.poll() is not None, "it does not go on"
        )
        target.check()
        # Inside sigtimedwait the kernel shows the signals waited for as not blocked: so not at the first look.
        until(lambda: self._blocked_signals() == self._masks, f"it blocks {self._masks} again")
        if helper_lives:
            until(lambda: not target.children_without_signal(), "its helper removes the copy", HELPER_SECONDS)
        self._tally.cleaned += clean_leftovers(self.pid)
        target.check_nothing_left()

    def traced(self) -> bool:
        """Whether a helper holds it just now."""
        return self._target.traced()

    def _blocked_signals(self) -> str:
        text = Path(f"/proc/{self.pid}/task/{self.pid}/status").read_text()
        return text.split("SigBlk:")[1].split()[0]


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


def at_each_step(patient: Patient, tally: Tally) -> None:
    """Kill the helper at each named step, for the first time it gets there, the second, and so on."""
    for step in STEPS:
        for visit in range(1, MOST_VISITS + 1):
            with mock.patch.dict(os.environ, {VARIABLE: f"{step}#{visit}"}):
                killed = photograph_and_fail(patient.pid)
            patient.examine()
            if not killed:
                break
            tally.count("step")


def at_random(patient: Patient, tally: Tally, times: int, dice: random.Random) -> None:
    """Kill the helper at any moment of its life; every other time while it holds threads."""

    def any_time() -> None:
        time.sleep(dice.uniform(0.005, LIFE_SECONDS))

    def while_tracing() -> None:
        end = time.perf_counter() + LIFE_SECONDS
        while not patient.traced() and time.perf_counter() < end:
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


def the_tool(patient: Patient, tally: Tally, times: int, dice: random.Random) -> None:
    """Kill the process that photographs, at any moment of the first half second of its life."""
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-c", TOOL, str(patient.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as tool:
            time.sleep(dice.uniform(0.1, 0.6))
            tool.kill()
        if tool.returncode == -signal.SIGKILL:
            tally.count("tool")
        else:
            tally.missed += 1
        patient.examine(helper_lives=True)


def run(interpreter: Interpreter, mode: str, random_kills: int, tool_kills: int, steps: bool = True) -> Tally:
    """All kinds of kills on one target; it is given up at the first thing that is wrong."""
    tally, dice = Tally(), random.Random(f"{interpreter} {mode}")
    with CopiedTarget(interpreter, mode) as target:
        patient = Patient(target, tally)
        try:
            if steps:
                at_each_step(patient, tally)
            at_random(patient, tally, random_kills, dice)
            the_tool(patient, tally, tool_kills, dice)
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
    total, wrong = 0, 0
    for python in chosen(options.interpreters):
        for mode in options.modes.split(","):
            tally = run(python, mode, options.random, options.tool)
            total += sum(tally.kills.values())
            wrong += len(tally.wrong)
            kinds = ", ".join(f"{kind} {number}" for kind, number in tally.kills.items())
            print(
                f"{python!s:15} {mode:10} {kinds}; missed {tally.missed}; copies cleaned up {tally.cleaned}",
                *tally.wrong,
                flush=True,
            )
    print(f"{total} kills, {wrong} targets in trouble")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
