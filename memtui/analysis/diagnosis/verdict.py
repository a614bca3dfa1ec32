"""The verdict on a watch: that of the curve, with what the heap tells about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memtui.analysis.detect import HolderEvidence, Verdict, with_holder
from memtui.model.suspect import Suspect

CONVINCING_SHARE = 0.25
"""Of all growth: suspects that explain less together do not make a verdict."""
CONVINCING_BYTES = 384 * 1024
"""Of growth: less is everyday life, or takes a longer watch to be told from it."""
SHORT_SECONDS = 600.0
"""In a watch this short a curve alone is no evidence when the heap was looked into."""


def judge(curve: Verdict, suspects: Sequence[Suspect]) -> Verdict:
    """The verdict of the curve together with the suspects that explain a good part of the growth.

    Growth that suspects explain which the user expects is no reason for more than "growing".
    """
    expected = [one for one in suspects if one.expected]
    suspects = [one for one in suspects if not one.expected]
    lasting = [one for one in suspects if one.lasting]
    for some in ([one for one in lasting if not one.bounded], [one for one in lasting if one.bounded]):
        if some and _are_convincing(some):
            return _with(curve, some[0])
    if expected and curve.state in ("suspect", "leak") and _are_convincing(expected):
        told = f"{_name(expected[0])} accounts for the growth, and is marked as expected."
        return replace(curve, state="growing", reasons=(told, *curve.reasons))
    if suspects and curve.state in ("suspect", "leak") and curve.window_seconds < SHORT_SECONDS:
        return replace(curve, state="growing", reasons=("Nothing in the heap grew at every look.", *curve.reasons))
    return curve


def _are_convincing(suspects: Sequence[Suspect]) -> bool:
    """One leak may show in several holders: registries, lists of weak references to the same objects."""
    gained = sum((one.growth_bytes_per_second or 0.0) * one.seconds for one in suspects)
    return gained >= CONVINCING_BYTES and sum(one.share for one in suspects) >= CONVINCING_SHARE


def _with(curve: Verdict, suspect: Suspect) -> Verdict:
    found = with_holder(curve, HolderEvidence(_name(suspect), suspect.looks, suspect.seconds, suspect.bounded))
    if found.state == "growing" and not suspect.bounded and curve.state != "inconclusive":
        # RSS of a short watch may still look calm: allocators reuse what is free before they ask for more.
        reasons = (f"{_name(suspect)} accounts for {suspect.share:.0%} of the growth.", *found.reasons)
        return replace(found, state="suspect", confidence=max(found.confidence, 0.6), reasons=reasons)
    return found


def _name(suspect: Suspect) -> str:
    if suspect.holder is not None:
        return suspect.holder
    if suspect.kind == "native":
        return "Memory outside of Python's objects"
    if suspect.category == "cycle":
        return "Unreachable cycles"
    return f"{suspect.type or 'Objects'} that nothing refers to"
