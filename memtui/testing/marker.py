"""What ``@pytest.mark.memtui(...)`` says: how often the body runs, and how much may stay behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memtui.errors import UsageError
from memtui.model.units import parse_size

LEAST_ITERATIONS = 40
"""With fewer rounds, a warm-up or a cache that fills passes for a leak in more than one benign case of a hundred."""
LEAST_WARMUP = 1
MAX_GROWTH_BYTES, ITERATIONS, WARMUP = 1_000_000, 60, 10
_NAMES = ("max_growth", "iterations", "warmup", "allow_objects")
_EXAMPLE = '@pytest.mark.memtui(max_growth="1MB", iterations=60, warmup=10)'


@dataclass(frozen=True, slots=True)
class Limits:
    """Arguments of the marker.

    ``max_growth_bytes``: what may stay over all measured iterations together. ``warmup`` iterations come first and
    are not measured. ``allow_objects``: objects that stay in every iteration are no failure as long as their bytes
    keep within the limit.
    """

    max_growth_bytes: int = MAX_GROWTH_BYTES
    iterations: int = ITERATIONS
    warmup: int = WARMUP
    allow_objects: bool = False


def read_limits(positional: Sequence[Any], named: Mapping[str, Any]) -> Limits:
    """The limits of one marker; the first argument may be given without its name. Raises :class:`UsageError`."""
    if len(positional) > 1:
        raise UsageError("The memtui marker takes one argument without a name, max_growth.", next_step=_example())
    given = dict(named)
    if positional:
        given["max_growth"] = positional[0]
    unknown = sorted(set(given) - set(_NAMES))
    if unknown:
        known = ", ".join(_NAMES)
        raise UsageError(f"The memtui marker knows no {unknown[0]!r}, only {known}.", next_step=_example())
    return Limits(
        _bytes(given.get("max_growth", MAX_GROWTH_BYTES)),
        _iterations(given.get("iterations", ITERATIONS)),
        _count("warmup", given.get("warmup", WARMUP), LEAST_WARMUP),
        _flag(given.get("allow_objects", False)),
    )


def _bytes(value: object) -> int:
    if isinstance(value, str):
        try:
            return parse_size(value)
        except ValueError as error:
            raise UsageError(f"max_growth of the memtui marker: {error}.", next_step=_example()) from None
    return _count("max_growth", value, 0)


def _iterations(value: object) -> int:
    count = _count("iterations", value, 1)
    if count < LEAST_ITERATIONS:
        raise UsageError(
            f"The memtui marker asks for {count} iterations.",
            why=f"With fewer than {LEAST_ITERATIONS} a leak cannot be told from a warm-up, so nothing would be said.",
            next_step=_example(),
        )
    return count


def _count(name: str, value: object, least: int) -> int:
    if type(value) is not int or value < least:
        raise UsageError(f"{name} of the memtui marker is {value!r}, no whole number from {least} on.")
    return value


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise UsageError(f"allow_objects of the memtui marker is {value!r}, neither True nor False.")
    return value


def _example() -> str:
    return f"Write for example {_EXAMPLE}."
