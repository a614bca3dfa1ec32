"""What a checked collection, ``gc.garbage`` and the collector's own counts say, in words; and their suspects."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from memtui.analysis.diagnosis.categories import ADVICE, SAVED_HOLDER
from memtui.analysis.diagnosis.suspects import signature_of
from memtui.model.cycles import CycleCheck, GarbageType
from memtui.model.gc import GcState
from memtui.model.state import State
from memtui.model.suspect import Suspect
from memtui.model.units import format_bytes, format_count, format_seconds

DEBUG_SAVEALL = 32
"""``gc.DEBUG_SAVEALL``, the same in every version."""
MANY_FROZEN = 1000
"""Objects that are frozen; fewer are the interpreter's own."""
HIGH_THRESHOLD = 10_000
"""Of the youngest generation: CPython begins with 700, 3.13 with 2000."""
_INDEX = re.compile(r"\[\d+\]")
_MOST_TYPES, _MOST_PATHS = 5, 3

SAVED_ADVICE = (
    "The collector put them there, and nothing frees them until they are taken out: take "
    "gc.set_debug(gc.DEBUG_SAVEALL) or DEBUG_LEAK out of the program, or empty the list (gc.garbage.clear()) after "
    "looking at it. Without that flag they are of types written in C that still have tp_del: break their cycles."
)
NOT_FREED_ADVICE = (
    "The collector finds them each time and cannot take them apart, because their types are written in C and do not "
    "say how to clear them (tp_clear): break the cycle by hand, and report it to whoever wrote the extension."
)


def findings(check: CycleCheck) -> tuple[str, ...]:
    """A checked collection in sentences."""
    if check.objects:
        found = f"{format_count(check.objects)} objects ({format_bytes(check.size_bytes)})"
        told = [f"{found} were unreachable and waited for the collector: {_types(check.types)}."]
    else:
        told = ["Nothing was garbage: no cycle waited for the collector."]
    told += [f"Cycle: {path}" for path in check.paths]
    if not check.is_complete:
        told.append("Not all of it was looked at: C code of the program keeps the GIL for seconds at a time.")
    told += [*_lasting(check), *_setting(check)]
    longest = format_seconds(check.pause_seconds)
    end = "what was found was freed" if check.was_freed and check.objects else "nothing was changed"
    finalizers = "; finalizers and callbacks of weak references ran as in any collection" if check.objects else ""
    told.append(f"It stopped the process for {longest} at most in one piece; {end}{finalizers}.")
    return tuple(told)


def advice(check: CycleCheck) -> str:
    """What to do about it; empty when there is nothing to do."""
    if check.kept or not check.was_freed:
        return SAVED_ADVICE
    if check.not_freed:
        return NOT_FREED_ADVICE
    return ADVICE["cycle"] if check.objects else ""


def with_cycles(suspects: Sequence[Suspect], state: State) -> tuple[Suspect, ...]:
    """The suspects with all that is known of cycles, and one for what is in ``gc.garbage`` if there is none yet."""
    told = [_with_evidence(one, state) if one.category == "cycle" else one for one in suspects]
    if not any(one.holder == SAVED_HOLDER for one in told) and (saved := _saved(state)) is not None:
        told.append(saved)
    return tuple(told)


def _with_evidence(one: Suspect, state: State) -> Suspect:
    if one.holder is not None:
        more = (*_counted(state), *_flagged(state.cycles))
        return replace(one, evidence=(*one.evidence, *more), advice=SAVED_ADVICE)
    pictured = state.evidence.cycles if state.evidence is not None else ()
    paths = {_INDEX.sub("[]", path): path for path in (*pictured, *_found_paths(state))}
    more = tuple(f"Cycle: {path}" for path in [*paths.values()][:_MOST_PATHS])
    check = state.cycles
    lasting = _lasting(check) if check is not None else ()
    told = (*one.evidence, *more, *_collector(state.gc), *lasting)
    return replace(
        one, evidence=told, advice=NOT_FREED_ADVICE if check is not None and check.not_freed else one.advice
    )


def _found_paths(state: State) -> tuple[str, ...]:
    return state.cycles.paths if state.cycles is not None else ()


def _saved(state: State) -> Suspect | None:
    """What is in ``gc.garbage``, although it did not grow while memtui watched."""
    kept, count = (state.cycles.kept, state.cycles.kept_objects) if state.cycles is not None else ((), 0)
    if state.evidence is not None and state.evidence.saved:
        kept = tuple(GarbageType(one.type, one.objects, one.size_bytes) for one in state.evidence.saved)
        count = sum(one.objects for one in kept)
    counted = _counted(state)
    if not kept and not counted:
        return None
    told = (f"gc.garbage holds {format_count(count)} objects: {_types(kept)}.",) if kept else ()
    return Suspect(
        kind="python",
        category="cycle",
        type=kept[0].type if kept else None,
        growth_objects_per_second=None,
        growth_bytes_per_second=None,
        retained_bytes=None,
        holder=SAVED_HOLDER,
        chain=("module gc", "garbage: list"),
        evidence=(*told, *counted, *_flagged(state.cycles)),
        advice=SAVED_ADVICE,
        signature=signature_of("python", SAVED_HOLDER, kept[0].type if kept else ""),
        lasting=False,
        bounded=False,
        share=0.0,
        looks=len(state.evidence.looks) if state.evidence is not None else 0,
        seconds=state.now_seconds,
    )


def _counted(state: State) -> tuple[str, ...]:
    """What the collector counted as uncollectable, if anything."""
    now, before = _uncollectable(state.gc), _uncollectable(state.first_gc)
    if not now:
        return ()
    more = f", {format_count(now - before)} of them while memtui watched" if now > before else ""
    return (f"The collector counted {format_count(now)} objects as uncollectable{more}.",)


def _uncollectable(gc: GcState | None) -> int:
    return sum(one.uncollectable for one in gc.generations) if gc is not None else 0


def _flagged(check: CycleCheck | None) -> tuple[str, ...]:
    if check is None or not check.debug_flags & DEBUG_SAVEALL:
        return ()
    return ("The program has gc.DEBUG_SAVEALL set: all that the collector finds is put there instead of freed.",)


def _lasting(check: CycleCheck) -> tuple[str, ...]:
    """What no collection frees."""
    told = []
    if check.not_freed:
        told.append(
            f"Still there after a normal collection: {_types(check.not_freed)}. Types written in C hold them that do "
            "not say how to clear them (no tp_clear)."
        )
    if check.kept:
        told.append(f"gc.garbage held {format_count(check.kept_objects)} objects already: {_types(check.kept)}.")
    return (*told, *_flagged(check))


def _setting(check: CycleCheck) -> tuple[str, ...]:
    told = []
    if not check.gc_enabled:
        told.append("The collector is switched off (gc.disable()): nothing frees cycles but a forced collection.")
    if check.frozen_objects > MANY_FROZEN:
        told.append(f"{format_count(check.frozen_objects)} objects are frozen (gc.freeze()) and were not looked at.")
    return tuple(told)


def _collector(gc: GcState | None) -> tuple[str, ...]:
    """Why nothing collects them, by what is seen from outside."""
    if gc is None or not gc.generations:
        return ()
    threshold = gc.generations[0].threshold
    if not gc.enabled or threshold == 0:
        how = "gc.disable()" if not gc.enabled else "gc.set_threshold(0)"
        return (f"The collector is switched off ({how}): nothing frees cycles.",)
    if threshold >= HIGH_THRESHOLD:
        return (f"The collector runs only after {format_count(threshold)} new objects (gc.set_threshold()).",)
    return ()


def _types(types: Sequence[GarbageType]) -> str:
    told = [
        f"{format_count(one.objects)} {one.type}"
        + ("" if one.size_bytes is None else f" ({format_bytes(one.size_bytes)})")
        for one in types[:_MOST_TYPES]
    ]
    more = [f"{len(types) - _MOST_TYPES} more types"] if len(types) > _MOST_TYPES else []
    return ", ".join([*told, *more])
