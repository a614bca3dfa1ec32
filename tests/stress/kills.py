"""memtui killed with SIGKILL while it attaches and while it is attached; prints what became of the targets.

    python tests/stress/kills.py [--random 25] [--parent 15] [--interpreters 3.8,3.11,3.13,system]

For every interpreter and target: the helper is killed at each named step of the remote call, each time it gets there;
then at random moments while it holds a thread; then the tool itself while it attaches and works. After each kill the
target has to be untraced, one process, right in its sums and its waits. Exit code 1 when anything is not.
"""

from __future__ import annotations

import argparse
import marshal
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hard import HangError, HardTarget, Trouble, chosen, until
from interpreters import Interpreter

from memtui.attach import inject
from memtui.attach.helper import KILL_POINT_VARIABLE
from memtui.attach.helper_process import HelperProcess
from memtui.errors import MemtuiError

MODES = ("sums", "waits", "alone")
STEPS = (
    "interrupted", "frame-written", "before-registers", "registers-set", "mask-set", "running", "syscall-entered",
    "syscall-done", "call-started", "call-returned", "sigreturn-cancelled", "to-signal-path", "in-signal-path",
    "fpu-restored", "mask-restored", "registers-restored", "detached",
)  # fmt: skip
MOST_VISITS = 12
AGENT_PATIENCE_SECONDS = 15.0
"""An agent whose viewer died before it was fetched waits ten seconds for it."""

TOOL = """
import sys, time
from memtui.attach.inject import attach_agent
attached = attach_agent(int(sys.argv[1]))
for do in ("trace_start", "types", "collect", "trace_stop") * 1000:
    attached.link.request(do, **({"frames": 1} if do == "trace_start" else {}))
    attached.link.wait_for(("reply",), 20)
"""


@dataclass
class Tally:
    """The kills on one target, by kind, and what was wrong afterwards."""

    kills: dict[str, int] = field(default_factory=dict)
    missed: int = 0
    wrong: list[str] = field(default_factory=list)

    def count(self, kind: str) -> None:
        """One more kill."""
        self.kills[kind] = self.kills.get(kind, 0) + 1


class Patient:
    """A target that survives, and how to tell that it did."""

    def __init__(self, target: HardTarget) -> None:
        self._target = target
        self.pid = target.pid
        self._masks = self._blocked_signals()

    def examine(self) -> None:
        """Raises Trouble, HangError when it is not as it was."""
        until(lambda: not self.traced(), "somebody still traces it")
        progress = self._target.slot("progress")
        until(lambda: self._target.slot("progress") >= progress + 2 or self._dead(), "it does not go on")
        self._target.check()
        # Inside sigtimedwait the kernel shows the signals waited for as not blocked: so not at the first look.
        until(lambda: self._blocked_signals() == self._masks, f"it blocks {self._masks} again")
        if doubles := self._doubles():
            raise Trouble(f"it is there twice: {doubles}")

    def traced(self) -> bool:
        """Whether any of its threads has a tracer."""
        try:
            tasks = os.listdir(f"/proc/{self.pid}/task")
            return any("\nTracerPid:\t0\n" not in self._status(int(tid)) for tid in tasks)
        except OSError:
            return False

    def _dead(self) -> bool:
        return self._target.process.poll() is not None

    def _status(self, tid: int) -> str:
        return Path(f"/proc/{self.pid}/task/{tid}/status").read_text()

    def _blocked_signals(self) -> str:
        return self._status(self.pid).split("SigBlk:")[1].split()[0]

    def _doubles(self) -> list[int]:
        """Children that stay and run the target's own program (those it forks itself sleep for moments only)."""

        def children() -> set[int]:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
            return set(map(int, text.split()))

        found = children()
        end = time.monotonic() + 1.0
        while found and time.monotonic() < end:
            time.sleep(0.01)
            found &= children()
        return sorted(found)


def attach_and_fail(pid: int) -> bool:
    """Attach with a helper that dies. True when it did; otherwise the agent was in, and is out again."""
    try:
        inject.attach_agent(pid).link.close()
    except MemtuiError:
        return True
    return False


def at_each_step(patient: Patient, tally: Tally) -> None:
    """Kill the helper at each named step, for the first time it gets there, the second, and so on."""
    for step in STEPS:
        for visit in range(1, MOST_VISITS + 1):
            os.environ[KILL_POINT_VARIABLE] = f"{step}#{visit}"
            try:
                killed = attach_and_fail(patient.pid)
            finally:
                del os.environ[KILL_POINT_VARIABLE]
            patient.examine()
            if not killed:
                break
            tally.count("step")


Run = Callable[[dict[str, Any], HelperProcess], dict[str, Any]]


def kill_while_tracing(patient: Patient, dice: random.Random) -> Run:
    """A replacement of the injector's own: it kills the helper within two milliseconds after it took a thread."""

    def run(plan: dict[str, Any], started: HelperProcess) -> dict[str, Any]:
        helper = started.process
        assert helper.stdin is not None
        helper.stdin.write(marshal.dumps(plan))
        helper.stdin.close()
        while helper.poll() is None and not patient.traced():
            pass
        end = time.perf_counter() + dice.uniform(0, 0.002)
        while time.perf_counter() < end:
            pass
        helper.kill()
        helper.wait()
        raise MemtuiError("killed" if helper.returncode == -9 else "missed")

    return run


def at_random(patient: Patient, tally: Tally, times: int, dice: random.Random) -> None:
    """Kill the helper while it holds a thread."""
    original = inject._run_helper
    inject._run_helper = kill_while_tracing(patient, dice)
    try:
        for _ in range(times):
            try:
                inject.attach_agent(patient.pid)
            except MemtuiError as error:
                if "killed" in str(error):
                    tally.count("random")
                else:
                    tally.missed += 1
            patient.examine()
    finally:
        inject._run_helper = original


def the_tool(patient: Patient, tally: Tally, times: int, dice: random.Random) -> None:
    """Kill the process that attaches and works, at any moment of the first half second of its life."""
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-c", TOOL, str(patient.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as tool:
            time.sleep(dice.uniform(0.1, 0.6))
            tool.kill()
        if tool.returncode == -9:
            tally.count("tool")
        else:
            tally.missed += 1
        patient.examine()


def run(interpreter: Interpreter, mode: str, random_kills: int, tool_kills: int, steps: bool = True) -> Tally:
    """All kinds of kills on one target; it is given up at the first thing that is wrong."""
    tally, dice = Tally(), random.Random(f"{interpreter} {mode}")
    with HardTarget(interpreter, mode) as target:
        patient = Patient(target)
        try:
            if steps:
                at_each_step(patient, tally)
            at_random(patient, tally, random_kills, dice)
            the_tool(patient, tally, tool_kills, dice)
            until(
                lambda: len(os.listdir(f"/proc/{patient.pid}/task")) <= target.tasks,
                "the threads of agents without viewers end",
                AGENT_PATIENCE_SECONDS,
            )
            target.answer()
        except (HangError, Trouble) as wrong:
            tally.wrong.append(f"{type(wrong).__name__} after {sum(tally.kills.values())} kills: {wrong}")
    return tally


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--random", type=int, default=25)
    parser.add_argument("--parent", type=int, default=15)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--interpreters", default="3.8,3.11,3.13,system")
    options = parser.parse_args()
    total, wrong = 0, 0
    for python in chosen(options.interpreters):
        for mode in options.modes.split(","):
            tally = run(python, mode, options.random, options.parent)
            total += sum(tally.kills.values())
            wrong += len(tally.wrong)
            kinds = ", ".join(f"{kind} {number}" for kind, number in tally.kills.items())
            print(f"{python!s:15} {mode:8} {kinds}; missed {tally.missed}", *tally.wrong, flush=True)
    print(f"{total} kills, {wrong} targets in trouble")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
