"""What a growing holder, found in the heap, adds to the verdict of the curve."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memtui.analysis.detect.verdict import State, Verdict

MIN_LEAK_LOOKS = 3
MIN_LEAK_SECONDS = 90.0
"""Only a second window after the first minute makes a leak: two looks take a phase for one."""


@dataclass(frozen=True, slots=True)
class HolderEvidence:
    """A named container that held more at each of ``looks`` looks after a collection, ``seconds`` from first to last.

    ``bounded`` tells that it has a largest size, which it has not reached: it is filling.
    """

    name: str
    looks: int
    seconds: float
    bounded: bool = False


def with_holder(verdict: Verdict, holder: HolderEvidence | None) -> Verdict:
    """The verdict of the curve together with the holder that explains the growth, if one was found.

    A holder with a bound explains the growth away, another one makes it a suspect, and after a second window a leak.
    A healthy curve is only said to be growing: what the holder keeps does not matter yet.
    """
    if holder is None:
        return verdict
    if holder.bounded:
        if verdict.state not in ("suspect", "leak"):
            return verdict
        reason = f"{holder.name} is filling up to its bound; that explains the growth and is no leak."
        return replace(verdict, state="growing", confidence=0.6, reasons=(reason, *verdict.reasons))
    reason = f"{holder.name} held more at each of {holder.looks} looks."
    lasting = holder.looks >= MIN_LEAK_LOOKS and holder.seconds >= MIN_LEAK_SECONDS
    state: State = "growing"
    confidence = max(verdict.confidence, 0.4)
    if verdict.state == "leak" or (verdict.state in ("growing", "suspect") and lasting):
        state, confidence = "leak", max(verdict.confidence, 0.85)
    elif verdict.state != "healthy":
        state, confidence = "suspect", max(verdict.confidence, 0.65)
    return replace(verdict, state=state, confidence=confidence, reasons=(reason, *verdict.reasons))
