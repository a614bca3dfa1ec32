"""Attach, work, detach, again and again, on targets that are hard; prints a table.

    python tests/stress/cycles.py [--cycles 1000] [--modes loop,waits] [--interpreters 3.8,3.11,3.13,system]

A cycle puts the agent in, traces, counts types, reads allocations, forces a collection and takes the agent out again.
Targets that keep the GIL for seconds get a tenth of the others' cycles. Exit code 1 when anything but a clean
refusal came.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from hard import MODES, HangError, HardTarget, Trouble, ask, chosen, leave
from interpreters import Interpreter

from memtui.attach.inject import attach_agent
from memtui.errors import ChannelError, MemtuiError, RefusedError

SLOW_MODES = ("gil_main", "gil_thread")


@dataclass
class Tally:
    """What came of the cycles on one target."""

    mode: str
    interpreter: str
    cycles: int = 0
    refused: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    attach_seconds: list[float] = field(default_factory=list)
    stop_seconds: list[float] = field(default_factory=list)
    longest_gap_seconds: float = 0.0

    @property
    def bad(self) -> list[str]:
        """Everything that is not a clean refusal."""
        return [*(f"hang: {one}" for one in self.hangs), *self.troubles]


def cycle(target: HardTarget, tally: Tally) -> None:
    """Once in and out. Raises HangError, Trouble, MemtuiError."""
    began = time.monotonic()
    attached = attach_agent(target.pid)
    tally.attach_seconds.append(time.monotonic() - began)
    tally.stop_seconds.append(attached.stop_seconds)
    try:
        ask(attached, "trace_start", frames=2)
        ask(attached, "types", limit=50)
        ask(attached, "allocations", by="line", limit=50)
        ask(attached, "collect")
    finally:
        leave(attached)


def run(interpreter: Interpreter, mode: str, cycles: int) -> Tally:
    """So many cycles on one target; a target in trouble is given up."""
    tally = Tally(mode, str(interpreter))
    with HardTarget(interpreter, mode) as target:
        target.clear("gap")
        for _ in range(cycles):
            tally.cycles += 1
            try:
                try:
                    cycle(target, tally)
                except RefusedError as refusal:
                    tally.refused.append(str(refusal))
                target.wait_until_clean()
            except HangError as hang:
                tally.hangs.append(str(hang))
                break
            except (Trouble, MemtuiError, ChannelError) as trouble:
                tally.troubles.append(_with_state(target, str(trouble)))
                break
        tally.longest_gap_seconds = target.slot("gap")
    return tally


def _with_state(target: HardTarget, trouble: str) -> str:
    try:
        target.check()
    except Trouble as found:
        return f"{found} ({trouble})"
    return trouble


def spread(cycles: int, modes: list[str], pythons: list[Interpreter]) -> Iterator[tuple[Interpreter, str, int]]:
    """The cycles shared out among the targets."""
    weights = {mode: 0.1 if mode in SLOW_MODES else 1.0 for mode in modes}
    unit = cycles / (sum(weights.values()) * len(pythons))
    for python in pythons:
        for mode in modes:
            yield python, mode, max(1, -int(-unit * weights[mode] // 1))


def line(tally: Tally) -> str:
    """One row of the table."""
    attach = sorted(tally.attach_seconds) or [0.0]
    stop = sorted(tally.stop_seconds) or [0.0]
    return (
        f"{tally.interpreter:15} {tally.mode:16} {tally.cycles:6} {len(tally.refused):7} {len(tally.hangs):5} "
        f"{len(tally.troubles):5}  {statistics.median(attach) * 1e3:6.0f} {attach[-1] * 1e3:6.0f}  "
        f"{statistics.median(stop) * 1e3:6.1f} {stop[-1] * 1e3:6.1f}  {tally.longest_gap_seconds * 1e3:6.0f}"
    )


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=1000)
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--interpreters", default="3.8,3.11,3.13,system")
    options = parser.parse_args()
    print(f"{'':15} {'':16} {'':6} {'':7} {'':5} {'':5}  attach ms      stop ms        gap ms")
    print(f"{'python':15} {'target':16} cycles refused hangs other  {'median':>6} {'max':>6}  median    max     max")
    tallies = []
    for python, mode, cycles in spread(options.cycles, options.modes.split(","), chosen(options.interpreters)):
        tallies.append(run(python, mode, cycles))
        print(line(tallies[-1]), flush=True)
        for bad in (*tallies[-1].bad, *tallies[-1].refused):
            print("   ", bad, flush=True)
    done, refused = sum(one.cycles for one in tallies), sum(len(one.refused) for one in tallies)
    bad = sum(len(one.bad) for one in tallies)
    print(f"{done} cycles, {refused} refused ({refused / done:.1%}), {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
