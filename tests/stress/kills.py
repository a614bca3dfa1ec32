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
import sys
import time
from collections.abc import Callable
from typing import Any

from hard import HangError, HardTarget, Trouble, chosen, until
from interpreters import Interpreter
from killing import Survivor, Tally, kill_at_each_step, kill_the_tool, on_every_target

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


class Patient(Survivor):
    """A target that survives as one process."""

    def examine(self) -> None:
        """As the base class; raises Trouble also when there is a double of it."""
        super().examine()
        if doubles := self._doubles():
            raise Trouble(f"it is there twice: {doubles}")

    def _doubles(self) -> list[int]:
        """Children that stay and run the target's own program (those it forks itself sleep for moments only)."""
        found = self.target.children()
        end = time.monotonic() + 1.0
        while found and time.monotonic() < end:
            time.sleep(0.01)
            found &= self.target.children()
        return sorted(found)


def attach_and_fail(pid: int) -> bool:
    """Attach with a helper that dies. True when it did; otherwise the agent was in, and is out again."""
    try:
        inject.attach_agent(pid).link.close()
    except MemtuiError:
        return True
    return False


Run = Callable[[dict[str, Any], HelperProcess], dict[str, Any]]


def kill_while_tracing(patient: Patient, dice: random.Random) -> Run:
    """A replacement of the injector's own: it kills the helper within two milliseconds after it took a thread."""

    def run(plan: dict[str, Any], started: HelperProcess) -> dict[str, Any]:
        helper = started.process
        assert helper.stdin is not None
        helper.stdin.write(marshal.dumps(plan))
        helper.stdin.close()
        while helper.poll() is None and not patient.target.traced():
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


def run(interpreter: Interpreter, mode: str, random_kills: int, tool_kills: int, steps: bool = True) -> Tally:
    """All kinds of kills on one target; it is given up at the first thing that is wrong."""
    tally, dice = Tally(), random.Random(f"{interpreter} {mode}")
    with HardTarget(interpreter, mode) as target:
        patient = Patient(target)
        try:
            if steps:
                kill_at_each_step(STEPS, MOST_VISITS, KILL_POINT_VARIABLE, attach_and_fail, patient, tally)
            at_random(patient, tally, random_kills, dice)
            kill_the_tool(TOOL, tally, tool_kills, dice, patient)
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
    return on_every_target(
        lambda python, mode: run(python, mode, options.random, options.parent),
        chosen(options.interpreters),
        options.modes.split(","),
    )


if __name__ == "__main__":
    sys.exit(main())
