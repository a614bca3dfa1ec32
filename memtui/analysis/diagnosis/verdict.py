"""The verdict on a watch: that of the curve, with what the heap tells about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from memtui.analysis.detect import HolderEvidence, Verdict, with_holder
from memtui.model.suspect import Suspect

CONVINCING_SHARE = 0.25
"""Of all growth: a suspect that explains less does not make a verdict by itself."""
CONVINCING_BYTES = 384 * 1024
"""Of growth: less is everyday life, or takes a longer watch to be told from it."""


def judge(curve: Verdict, suspects: Sequence[Suspect]) -> Verdict:
    """The verdict of the curve together with the first suspect that explains a good part of the growth."""
    lasting = [one for one in suspects if one.lasting and one.share >= CONVINCING_SHARE and _is_material(one)]
    open_ended = [one for one in lasting if not one.bounded]
    if open_ended:
        return _with(curve, open_ended[0])
    if lasting:
        return _with(curve, lasting[0])
    if suspects and curve.state in ("suspect", "leak") and curve.window_seconds < 600:
        # A short watch, in which the heap shows nothing that grows at every look: the curve alone is no evidence.
        return replace(curve, state="growing", reasons=("Nothing in the heap grew at every look.", *curve.reasons))
    return curve


def _with(curve: Verdict, suspect: Suspect) -> Verdict:
    found = with_holder(curve, HolderEvidence(_name(suspect), suspect.looks, suspect.seconds, suspect.bounded))
    if found.state == "growing" and not suspect.bounded and curve.state != "inconclusive":
        # RSS of a short watch may still look calm: allocators reuse what is free before they ask for more.
        reasons = (f"{_name(suspect)} accounts for {suspect.share:.0%} of the growth.", *found.reasons)
        return replace(found, state="suspect", confidence=max(found.confidence, 0.6), reasons=reasons)
    return found


def _is_material(suspect: Suspect) -> bool:
    return (suspect.growth_bytes_per_second or 0.0) * suspect.seconds >= CONVINCING_BYTES


def _name(suspect: Suspect) -> str:
    if suspect.holder is not None:
        return suspect.holder
    if suspect.kind == "native":
        return "Memory outside of Python's objects"
    if suspect.category == "cycle":
        return "Unreachable cycles"
    return f"{suspect.type or 'Objects'} that nothing refers to"
