"""Photographs of hard targets, again and again; prints what became of them.

    python tests/stress/photographs.py [--photographs 1000] [--interpreters 3.8,3.11,3.13,system] [--modes a,b]

The targets count their own mistakes: a wait that ended early, a child that is none of theirs, a wrong sum, a lost
lock. After the photographs no child, thread or open file may be there that was not there before. Exit code 1 when
anything is wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from hard import MODES, PROGRAM, HangError, HardTarget, Trouble, chosen, until
from interpreters import Interpreter

from memtui.attach import leftovers
from memtui.attach.photograph import photograph
from memtui.errors import RefusedError

OWN_MODES = ("childless", "arbiter", "pool", "spawner", "more_waits", "c_waits", "locks")
ALL_MODES = (*OWN_MODES, *MODES)
LOOK_EVERY = 5
NEVER_ANSWERS = ("pool",)
"""Targets without a moment at which nothing of their work is open."""


class CopiedTarget(HardTarget):
    """A hard target of the program that knows the modes for copies too."""

    program = PROGRAM.with_name("copied_targets.py")
    own_session = True

    def answer(self) -> None:
        """As the base class; a target that never answers has to go on."""
        if self.mode not in NEVER_ANSWERS:
            super().answer()
            return
        progress = self.slot("progress")
        until(lambda: self.slot("progress") > progress or self.process.poll() is not None, "the target's work", 30.0)
        self.check()

    def __exit__(self, *arguments: object) -> None:
        for child in self.children():
            try:
                os.kill(child, 9)
            except ProcessLookupError:
                pass
        super().__exit__(*arguments)

    def children_without_signal(self) -> dict[int, str]:
        """Its children that a bare ``clone`` made, with their states."""
        found = {}
        for child in self.children():
            try:
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.pid and fields[35] == "0":
                found[child] = fields[0]
        return found

    def check_nothing_left(self) -> None:
        """No child of ours, dead or alive, and nobody who traces it."""
        if copies := self.children_without_signal():
            raise Trouble(f"copies are left: {copies}")
        until(lambda: not self.traced(), "somebody still traces it")


@dataclass
class Tally:
    """The photographs of one target and what was wrong."""

    interpreter: Interpreter
    mode: str
    photographs: int = 0
    refused: list[str] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    second_stops: list[float] = field(default_factory=list)
    retries: int = 0
    left_alone: int = 0
    unreaped: int = 0
    bad: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def row(self) -> str:
        """For the table."""
        stops = sorted(self.stops) or [0.0]
        second = statistics.median(self.second_stops or [0.0])
        return (
            f"{self.interpreter!s:15} {self.mode:15} {self.photographs:5} taken {len(self.refused):3} refused  "
            f"stop {1e3 * stops[0]:6.2f} / {1e3 * statistics.median(stops):6.2f} / {1e3 * stops[-1]:7.2f} ms  "
            f"reap {1e3 * second:5.2f} ms  retries {self.retries:4}  left alone {self.left_alone:4}  "
            f"not reaped {self.unreaped}  {self.seconds:5.1f} s  {'; '.join(self.bad or set(self.refused))}"
        )


def run(interpreter: Interpreter, mode: str, times: int, own_child: bool = False) -> Tally:
    """Photograph one target ``times`` times; it is given up at the first thing that is wrong."""
    tally, dice = Tally(interpreter, mode), random.Random(f"{interpreter} {mode}")
    began = time.monotonic()
    with CopiedTarget(interpreter, mode) as target:
        try:
            for number in range(times):
                take(target, tally, dice, own_child)
                if number % LOOK_EVERY == 0:
                    target.check_nothing_left()
                target.check()
            target.answer()
            target.check_nothing_left()
        except (HangError, Trouble) as wrong:
            tally.bad.append(f"{type(wrong).__name__} after {tally.photographs}: {wrong}")
    tally.seconds = time.monotonic() - began
    return tally


def take(target: CopiedTarget, tally: Tally, dice: random.Random, own_child: bool) -> None:
    """One photograph, looked at and given back. Raises Trouble, HangError."""
    try:
        with photograph(target.pid, accept_stop=True, own_child=own_child) as photo:
            state = Path(f"/proc/{photo.pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state != "t":
                raise Trouble(f"the copy is in state {state}")
            start = int(photo.maps_text.split(b"-", 1)[0], 16)
            if os.pread(photo.memory_fd, 4, start) != b"\x7fELF":
                raise Trouble("the copy's memory is not that of the program")
            time.sleep(dice.uniform(0, 0.02))
    except RefusedError as refusal:
        tally.refused.append(str(refusal))
        return
    if Path(f"/proc/{photo.pid}").exists() and photo.pid in leftovers.children(target.pid):
        tally.unreaped += 1
    tally.photographs += 1
    tally.retries += photo.retries
    tally.left_alone += photo.left_alone
    assert photo.stop_seconds is not None
    tally.stops.append(photo.stop_seconds)
    tally.second_stops.append(photo.release() or 0.0)
    time.sleep(dice.uniform(0, 0.01))


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photographs", type=int, default=1000)
    parser.add_argument("--modes", default=",".join(ALL_MODES))
    parser.add_argument("--interpreters", default="3.8,3.11,3.13,system")
    options = parser.parse_args()
    modes, pythons = options.modes.split(","), chosen(options.interpreters)
    each = -(-options.photographs // (len(modes) * len(pythons)))
    tallies = []
    for python in pythons:
        for mode in modes:
            tallies.append(run(python, mode, each))
            print(tallies[-1].row(), flush=True)
    taken, bad = sum(one.photographs for one in tallies), sum(len(one.bad) for one in tallies)
    refused = sum(len(one.refused) for one in tallies)
    print(f"{taken} photographs, {refused} refused, {bad} targets in trouble")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
