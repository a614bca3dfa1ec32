"""What a recording leaves out so that an hour stays small: looks that later ones replace, above a budget.

Tables of allocations and the output of the workload may be large at every tick. Each has a budget of bytes a second.
Above it a message waits: a later one takes its place (allocations), or is joined to it (output). What waits is
written when the budget allows, before anything that it would matter to, and at the end: the State at the end of a
recording is that of the session, and in between a table is at worst some seconds old.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from memtui.model.state import LINE_BOUND, OUTPUT_BOUND
from memtui.session import messages as m

Timed = tuple[float, m.Message]
"""A message, and the session time at which it was folded."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes in the file. ``at_once``: what may be spent before the rate counts."""

    bytes_per_second: float
    at_once: float


ALLOCATIONS = Budget(200.0, 128 * 1024.0)
OUTPUT = Budget(80.0, 128 * 1024.0)


class Thinner:
    """Decides what is written when. ``write`` writes a message and returns the bytes it took in the file."""

    def __init__(self, write: Callable[[Timed], float]) -> None:
        self._write = write
        self._budgets: dict[type, Budget] = {m.AllocationsSeen: ALLOCATIONS, m.OutputArrived: OUTPUT}
        self._left = {kind: budget.at_once for kind, budget in self._budgets.items()}
        self._refilled_at = 0.0
        self._waiting: dict[type, m.Message] = {}

    def add(self, item: Timed, *, touches: bool) -> None:
        """Write ``item``, or keep it for later. ``touches``: it changes what the waiting ones change, too."""
        now, message = item
        self._refill(now)
        kind = type(message)
        if kind not in self._budgets:
            if touches:
                self.flush(now)
            self._write(item)
        else:
            self._waiting[kind] = _joined(self._waiting.get(kind), message)
        for kind in [one for one in self._waiting if self._left[one] > 0]:
            self._left[kind] -= self._write((now, self._waiting.pop(kind)))

    def flush(self, now: float) -> None:
        """Write all that waits, whatever it costs."""
        for kind in list(self._waiting):
            self._left[kind] -= self._write((now, self._waiting.pop(kind)))

    def forget(self) -> None:
        """What waits is in a State that was written."""
        self._waiting.clear()

    def _refill(self, now: float) -> None:
        passed, self._refilled_at = max(0.0, now - self._refilled_at), now
        for kind, budget in self._budgets.items():
            self._left[kind] = min(budget.at_once, self._left[kind] + passed * budget.bytes_per_second)


def _joined(before: m.Message | None, message: m.Message) -> m.Message:
    if isinstance(before, m.OutputArrived) and isinstance(message, m.OutputArrived):
        return join_output(before, message)
    return message


def join_output(first: m.OutputArrived, second: m.OutputArrived) -> m.OutputArrived:
    """One message that does what the two do in turn."""
    lines, new = first.lines, second.lines
    if second.continues and lines and new:
        lines, new = (*lines[:-1], (lines[-1] + new[0])[:LINE_BOUND]), new[1:]
    lines, continues, dropped = (*lines, *new), first.continues, first.dropped + second.dropped
    surplus = len(lines) - OUTPUT_BOUND
    if surplus > 0:
        return m.OutputArrived(lines[surplus:], False, dropped + surplus - continues)
    return m.OutputArrived(lines, continues, dropped)
