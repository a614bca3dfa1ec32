"""What both kinds of kill tests do: count the kills, examine who survived, and kill the tool itself."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hard import HardTarget, until
from interpreters import Interpreter


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


class Survivor:
    """A target that survives, and how to tell that it did."""

    def __init__(self, target: HardTarget) -> None:
        self.target = target
        self.pid = target.pid
        self._masks = self._blocked_signals()

    def examine(self) -> None:
        """Raises Trouble, HangError when it is traced, stands, went wrong, or blocks other signals than before."""
        target = self.target
        until(lambda: not target.traced(), "somebody still traces it")
        progress = target.slot("progress")
        until(
            lambda: target.slot("progress") >= progress + 2 or target.process.poll() is not None, "it does not go on"
        )
        target.check()
        # Inside sigtimedwait the kernel shows the signals waited for as not blocked: so not at the first look.
        until(lambda: self._blocked_signals() == self._masks, f"it blocks {self._masks} again")

    def _blocked_signals(self) -> str:
        text = Path(f"/proc/{self.pid}/task/{self.pid}/status").read_text()
        return text.split("SigBlk:")[1].split()[0]


def kill_the_tool(source: str, tally: Tally, times: int, dice: random.Random, survivor: Survivor) -> None:
    """Kill a process of ours that works on the target, at any moment of the first half second of its life."""
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-c", source, str(survivor.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as tool:
            time.sleep(dice.uniform(0.1, 0.6))
            tool.kill()
        if tool.returncode == -signal.SIGKILL:
            tally.count("tool")
        else:
            tally.missed += 1
        survivor.examine()


def kill_at_each_step(
    steps: tuple[str, ...],
    visits: int,
    variable: str,
    attempt: Callable[[int], bool],
    survivor: Survivor,
    tally: Tally,
) -> None:
    """Kill the helper at each named step, for the first time it gets there, the second, and so on.

    ``attempt`` works on the process with the kill point in the environment; True when the helper died.
    """
    for step in steps:
        for visit in range(1, visits + 1):
            os.environ[variable] = f"{step}#{visit}"
            try:
                killed = attempt(survivor.pid)
            finally:
                del os.environ[variable]
            survivor.examine()
            if not killed:
                break
            tally.count("step")


def on_every_target(run: Callable[[Interpreter, str], Tally], pythons: list[Interpreter], modes: list[str]) -> int:
    """Run and print; the exit code."""
    total, wrong = 0, 0
    for python in pythons:
        for mode in modes:
            tally = run(python, mode)
            total += sum(tally.kills.values())
            wrong += len(tally.wrong)
            kinds = ", ".join(f"{kind} {number}" for kind, number in tally.kills.items())
            left = f"; copies cleaned up {tally.cleaned}" if tally.cleaned else ""
            print(f"{python!s:15} {mode:8} {kinds}; missed {tally.missed}{left}", *tally.wrong, flush=True)
    print(f"{total} kills, {wrong} targets in trouble")
    return 1 if wrong else 0
