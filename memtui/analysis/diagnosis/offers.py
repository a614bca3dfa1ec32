"""What memtui could find out besides, if it is allowed to: whose C code allocates, which lines do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from memtui.analysis.predict import tracing_cost
from memtui.model.native import NATIVE_SECONDS, NATIVE_SLOWDOWN
from memtui.model.state import State
from memtui.model.suspect import Offer, Suspect
from memtui.model.target import Rung


def with_offers(suspects: Iterable[Suspect], state: State) -> tuple[Suspect, ...]:
    """Each suspect with what would tell more about it; none where the target has ended or that was done already."""
    return tuple(replace(one, offer=_offer(one, state)) for one in suspects)


def _offer(one: Suspect, state: State) -> Offer | None:
    if state.ending is not None or one.expected:
        return None
    if one.kind == "native":
        return None if one.native_sites or state.native is not None else _native(state)
    tracing = state.tracing is not None and state.tracing.on
    if one.kind != "python" or one.category == "cycle" or one.bounded or one.allocated_at or tracing:
        return None
    return _trace(one, state)


def _native(state: State) -> Offer:
    alone = "" if state.target.launched else f"memtui native {state.target.pid}, or "
    return Offer(
        kind="native",
        gives="which C code allocates and does not free",
        cost=(
            f"memray must be installed for the program's Python; it records for {NATIVE_SECONDS:.0f} s, and programs "
            f"ran {NATIVE_SLOWDOWN} meanwhile"
        ),
        command=f"{alone}this command with --native",
    )


def _trace(one: Suspect, state: State) -> Offer:
    agent = "" if state.rung in (Rung.AGENT, Rung.TRACER) else "the agent goes in; "
    return Offer(
        kind="trace",
        gives="the lines that allocate what grows",
        cost=f"{agent}{tracing_cost(state, one.growth_objects_per_second)}",
        command="this command with --trace",
    )
