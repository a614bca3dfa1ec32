"""The agent's frames as model objects. Everything that came from the target is checked here, once."""

from __future__ import annotations

from typing import Any

from memtui.errors import ChannelError
from memtui.model.allocation import Allocation, Allocations, Frame, GroupBy, Tracing, TypeCount
from memtui.model.cleanup import CleanupStep, StepKind
from memtui.model.cycles import CycleCheck, GarbageType
from memtui.model.gc import GcPauses
from memtui.protocol import Frame as WireFrame
from memtui.session.messages import AgentReported

MISSHAPEN = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"""What taking apart a frame of another shape raises (OverflowError: JSON as Python reads it knows Infinity)."""
_LARGEST = 1 << 63
_LONGEST = 1000
"""Characters of a text of the target that are kept."""


def agent_report(frame: WireFrame, tracing: Tracing) -> AgentReported:
    """A ``sample`` frame. Raises ChannelError when it is not shaped like one."""
    try:
        pauses, cost = frame["pauses"], frame["cost"]
        return AgentReported(
            pauses=GcPauses(
                count=integer(pauses["count"]),
                total_seconds=seconds(pauses["total"]),
                max_seconds=seconds(pauses["max"]),
                last_seconds=_optional_float(pauses.get("last")),
                last_generation=_optional_int(pauses.get("last_generation")),
            ),
            tracing=tracing,
            cpu_seconds=seconds(cost["cpu"]),
            longest_pause_seconds=seconds(cost["longest_pause"]),
            held_bytes=_optional_int(cost.get("bytes")),
        )
    except MISSHAPEN as error:
        raise _malformed("sample", error) from error


def tracing(raw: Any, since_seconds: float | None, slowdown_percent: float | None) -> Tracing:
    """The ``tracing`` part of a frame. Raises ChannelError when it is not shaped like one."""
    try:
        on = bool(raw["on"])
        return Tracing(
            on=on,
            frames=integer(raw.get("frames") or 1),
            since_seconds=since_seconds if on else None,
            found_on=bool(raw.get("found_on")),
            traced_bytes=_optional_int(raw.get("traced")),
            peak_bytes=_optional_int(raw.get("peak")),
            overhead_bytes=_optional_int(raw.get("overhead")),
            slowdown_percent=slowdown_percent if on else None,
        )
    except MISSHAPEN as error:
        raise _malformed("tracing", error) from error


def allocations(frame: WireFrame, at_seconds: float) -> Allocations:
    """A reply to ``allocations``. Raises ChannelError when it is not shaped like one."""
    try:
        files = [str(one) for one in frame["files"]]
        rows = tuple(
            Allocation(
                tuple(Frame(files[index], integer(line)) for index, line in frames), integer(size), integer(count)
            )
            for size, count, frames in frame["groups"]
        )
        if not all(row.frames for row in rows):
            raise ValueError("a group without a frame")
        return Allocations(
            by=GroupBy(frame["by"]),
            rows=rows,
            at_seconds=at_seconds,
            total_bytes=integer(frame["total_bytes"]),
            total_count=integer(frame["total_count"]),
            groups=integer(frame["group_count"]),
            took_seconds=seconds(frame["seconds"]),
        )
    except MISSHAPEN as error:
        raise _malformed("allocations", error) from error


def type_counts(frame: WireFrame) -> tuple[tuple[TypeCount, ...], int]:
    """A reply to ``types``: the counts and how many objects they cover. Raises ChannelError when misshapen."""
    try:
        return tuple(TypeCount(str(name), integer(count)) for name, count in frame["types"]), integer(
            frame["objects"]
        )
    except MISSHAPEN as error:
        raise _malformed("types", error) from error


def cleanup_step(kind: StepKind, name: str, frame: WireFrame, freed_rss_bytes: int | None) -> CleanupStep:
    """A reply to one step of a clean-up. Raises ChannelError when it is not shaped like one."""
    try:
        return CleanupStep(
            kind=kind,
            name=name[:_LONGEST],
            seconds=seconds(frame.get("seconds") or 0.0),
            freed_rss_bytes=freed_rss_bytes,
            freed_blocks=_optional_int(frame.get("blocks_freed")),
            objects=_optional_int(frame.get("collected")),
            uncollectable=_optional_int(frame.get("uncollectable")),
            error=str(frame.get("error") or "")[:_LONGEST],
        )
    except MISSHAPEN as error:
        raise _malformed("clean-up", error) from error


def cycle_check(frame: WireFrame, at_seconds: float) -> CycleCheck:
    """A reply to ``cycles``. Raises ChannelError when it is not shaped like one."""
    try:
        return CycleCheck(
            at_seconds=at_seconds,
            objects=integer(frame["objects"]),
            size_bytes=integer(frame["bytes"]),
            types=_garbage(frame["types"]),
            type_count=integer(frame["type_count"]),
            is_complete=bool(frame["complete"]),
            is_sampled=bool(frame["sampled"]),
            cycles=tuple(tuple(str(step) for step in steps) for steps in frame["cycles"]),
            kept=_garbage(frame["before"]),
            kept_objects=integer(frame["before_count"]),
            not_freed=_garbage(frame["not_freed"]),
            was_freed=bool(frame["freed"]),
            debug_flags=integer(frame["flags"]),
            gc_enabled=bool(frame["enabled"]),
            frozen_objects=integer(frame["frozen"]),
            uncollectable=integer(frame["uncollectable"]),
            pause_seconds=seconds(frame["pause"]),
            took_seconds=seconds(frame["seconds"]),
        )
    except MISSHAPEN as error:
        raise _malformed("cycles", error) from error


def _garbage(rows: Any) -> tuple[GarbageType, ...]:
    sized = ((*row, None)[:3] for row in rows)
    return tuple(GarbageType(str(name), integer(count), _optional_int(size)) for name, count, size in sized)


def number(frame: WireFrame, name: str) -> int:
    """A whole number in a frame. Raises ChannelError when there is none."""
    try:
        return integer(frame[name])
    except MISSHAPEN as error:
        raise _malformed(str(frame.get("t")), error) from error


def integer(value: Any) -> int:
    """A whole number of a size that figures in a process have. Raises one of MISSHAPEN otherwise."""
    found = int(value)
    if abs(found) > _LARGEST:
        raise ValueError("an impossible number")
    return found


def seconds(value: Any) -> float:
    """A duration that is possible. Raises one of MISSHAPEN otherwise."""
    found = float(value)
    if not abs(found) <= _LARGEST:  # nor is NaN
        raise ValueError("an impossible number")
    return found


def _optional_int(value: Any) -> int | None:
    return None if value is None else integer(value)


def _optional_float(value: Any) -> float | None:
    return None if value is None else seconds(value)


def _malformed(what: str, error: Exception) -> ChannelError:
    return ChannelError(f"The agent sent a misshapen {what} frame.", why=f"{type(error).__name__}: {error}.")
