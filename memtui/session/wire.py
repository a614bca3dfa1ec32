"""The agent's frames as model objects. Everything that came from the target is checked here, once."""

from __future__ import annotations

from typing import Any

from memtui.errors import ChannelError
from memtui.model.allocation import Allocation, Allocations, Frame, GroupBy, Tracing, TypeCount
from memtui.model.gc import GcPauses
from memtui.protocol import Frame as WireFrame
from memtui.session.messages import AgentReported


def agent_report(frame: WireFrame, tracing: Tracing) -> AgentReported:
    """A ``sample`` frame. Raises ChannelError when it is not shaped like one."""
    try:
        pauses, cost = frame["pauses"], frame["cost"]
        return AgentReported(
            pauses=GcPauses(
                count=int(pauses["count"]),
                total_seconds=float(pauses["total"]),
                max_seconds=float(pauses["max"]),
                last_seconds=_optional_float(pauses.get("last")),
                last_generation=_optional_int(pauses.get("last_generation")),
            ),
            tracing=tracing,
            cpu_seconds=float(cost["cpu"]),
            longest_pause_seconds=float(cost["longest_pause"]),
            held_bytes=_optional_int(cost.get("bytes")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed("sample", error) from error


def tracing(raw: Any, since_seconds: float | None, slowdown_percent: float | None) -> Tracing:
    """The ``tracing`` part of a frame. Raises ChannelError when it is not shaped like one."""
    try:
        on = bool(raw["on"])
        return Tracing(
            on=on,
            frames=int(raw.get("frames") or 1),
            since_seconds=since_seconds if on else None,
            found_on=bool(raw.get("found_on")),
            traced_bytes=_optional_int(raw.get("traced")),
            peak_bytes=_optional_int(raw.get("peak")),
            overhead_bytes=_optional_int(raw.get("overhead")),
            slowdown_percent=slowdown_percent if on else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed("tracing", error) from error


def allocations(frame: WireFrame, at_seconds: float) -> Allocations:
    """A reply to ``allocations``. Raises ChannelError when it is not shaped like one."""
    try:
        files = [str(one) for one in frame["files"]]
        rows = tuple(
            Allocation(tuple(Frame(files[index], int(line)) for index, line in frames), int(size), int(count))
            for size, count, frames in frame["groups"]
        )
        return Allocations(
            by=GroupBy(frame["by"]),
            rows=rows,
            at_seconds=at_seconds,
            total_bytes=int(frame["total_bytes"]),
            total_count=int(frame["total_count"]),
            groups=int(frame["group_count"]),
            took_seconds=float(frame["seconds"]),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _malformed("allocations", error) from error


def type_counts(frame: WireFrame) -> tuple[tuple[TypeCount, ...], int]:
    """A reply to ``types``: the counts and how many objects they cover. Raises ChannelError when misshapen."""
    try:
        return tuple(TypeCount(str(name), int(count)) for name, count in frame["types"]), int(frame["objects"])
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed("types", error) from error


def _optional_int(value: Any) -> int | None:
    return None if value is None else int(value)


def _optional_float(value: Any) -> float | None:
    return None if value is None else float(value)


def _malformed(what: str, error: Exception) -> ChannelError:
    return ChannelError(f"The agent sent a misshapen {what} frame.", why=f"{type(error).__name__}: {error}.")
