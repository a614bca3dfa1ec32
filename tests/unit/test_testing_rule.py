"""The rule for iteration-aligned rounds, and what the marker says."""

from __future__ import annotations

import random
from typing import Any

import pytest

from memtui.errors import UsageError
from memtui.testing.marker import Limits, read_limits
from memtui.testing.rule import climbs, goes_on, rises, speed

ROUNDS = 60


def noisy(values: list[float], spread: float, seed: int = 1) -> list[int]:
    chance = random.Random(seed)
    return [round(value + chance.gauss(0, spread)) for value in values]


STEADY = [1000.0 + 10 * index for index in range(ROUNDS)]
FLAT = [1000.0] * ROUNDS
WARMS_UP = [1000 * (1 - 0.8**index) for index in range(ROUNDS)]
FILLS = [float(min(index, 30)) for index in range(ROUNDS)]
JUMPS = [1000.0 + 500 * (index > 30) for index in range(ROUNDS)]
SAWTOOTH = [1000.0 + 10 * (index % 5) for index in range(ROUNDS)]
IN_STEPS = [1000.0 + 500 * (index // 6) for index in range(ROUNDS)]


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_rises_in_nearly_every_round(seed: int) -> None:
    assert rises(noisy(STEADY, 1.0, seed))
    assert goes_on(noisy(STEADY, 1.0, seed))
    assert climbs(noisy(STEADY, 20.0, seed))


@pytest.mark.parametrize("series", [FLAT, WARMS_UP, FILLS, JUMPS, SAWTOOTH])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_bounded_does_not_rise(series: list[float], seed: int) -> None:
    values = noisy(series, 0.4, seed)
    assert not rises(values)
    assert not climbs(values)


@pytest.mark.parametrize("series", [FLAT, WARMS_UP, FILLS, JUMPS])
def test_what_is_bounded_does_not_go_on(series: list[float]) -> None:
    assert not goes_on([round(value) for value in series])


def test_a_leak_in_steps_goes_on_though_it_does_not_rise_each_time() -> None:
    values = [round(value) for value in IN_STEPS]
    assert not rises(values)
    assert goes_on(values)


def test_speed_leaves_the_warm_up_out() -> None:
    assert speed([0, 1000, 2000, *range(2010, 2070, 10)]) == 10


@pytest.mark.parametrize(
    ("positional", "named", "limits"),
    [
        ((), {}, Limits(1_000_000, 60, 10, False)),
        (("2MiB",), {}, Limits(2 * 1024**2, 60, 10, False)),
        ((), {"max_growth": 0, "iterations": 40, "warmup": 1}, Limits(0, 40, 1, False)),
        ((), {"allow_objects": True}, Limits(1_000_000, 60, 10, True)),
    ],
)
def test_arguments_of_the_marker(positional: tuple[Any, ...], named: dict[str, Any], limits: Limits) -> None:
    assert read_limits(positional, named) == limits


@pytest.mark.parametrize(
    ("positional", "named", "words"),
    [
        ((), {"iterations": 39}, "39 iterations. With fewer than 40"),
        ((), {"iterations": "60"}, "iterations of the memtui marker is '60'"),
        ((), {"warmup": 0}, "warmup of the memtui marker is 0"),
        ((), {"max_growth": "much"}, "max_growth of the memtui marker: 'much' is not a size"),
        ((), {"max_growth": -1}, "max_growth of the memtui marker is -1"),
        ((), {"allow_objects": 1}, "allow_objects of the memtui marker is 1"),
        ((), {"rounds": 60}, "knows no 'rounds', only max_growth, iterations, warmup, allow_objects"),
        ((1, 2), {}, "one argument without a name"),
    ],
)
def test_wrong_arguments_are_named(positional: tuple[Any, ...], named: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as error:
        read_limits(positional, named)
    assert words in str(error.value)
