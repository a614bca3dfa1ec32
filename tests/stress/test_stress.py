"""Hard targets, kills and damaged frames: a short form of each for the quick suite, the long one with ``-m slow``."""

from __future__ import annotations

import random
import struct

import cycles
import fuzz
import kills
import pytest
from hard import MODES, HardTarget, chosen
from hypothesis import given
from hypothesis import strategies as st
from interpreters import Interpreter, current

from memtui.attach.inject import attach_agent
from memtui.errors import RefusedError

PYTHONS = chosen()
QUICK = [
    (PYTHONS[(number + turn) % len(PYTHONS)], mode)
    for number, mode in enumerate(MODES)
    for turn in range(min(2, len(PYTHONS)))
    if mode not in ("gil_thread", "little_memory")
]
"""Each mode on two interpreters in turn. Where C code keeps the GIL for most of the time, or allocations take long as
there is hardly room, ten seconds are short on a busy machine: these modes are left to the slow tests."""


@pytest.mark.parametrize(("python", "mode"), QUICK, ids=str)
def test_in_work_out_on_hard_targets(python: Interpreter, mode: str) -> None:
    tally = cycles.run(python, mode, 1 if mode in cycles.SLOW_MODES else 2)
    assert tally.bad == []
    # On a busy machine an attach may take too long where C code keeps the GIL: that is said, and nothing else.
    refused = [one for one in tally.refused if mode not in cycles.SLOW_MODES or "keeps the GIL" not in one]
    assert refused == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_in_work_out_on_hard_targets_again_and_again(python: Interpreter) -> None:
    tallies = [cycles.run(*one) for one in cycles.spread(250, list(MODES), [python])]
    assert [bad for tally in tallies for bad in tally.bad] == []
    refused = [refusal for tally in tallies for refusal in tally.refused]
    assert len(refused) <= 0.01 * sum(tally.cycles for tally in tallies), refused


@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_no_room_for_a_thread_is_refused_without_harm(python: Interpreter) -> None:
    with HardTarget(python, "no_memory") as target:
        with pytest.raises(RefusedError, match="no room for the agent"):
            attach_agent(target.pid)
        target.wait_until_clean()


@pytest.mark.parametrize("mode", ["sums", "waits"])
def test_memtui_may_be_killed(mode: str) -> None:
    tally = kills.run(current(), mode, random_kills=5, tool_kills=2, steps=False)
    assert tally.wrong == []
    assert tally.kills


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("mode", kills.MODES)
@pytest.mark.parametrize("python", PYTHONS, ids=str)
def test_memtui_may_be_killed_at_every_step_and_moment(python: Interpreter, mode: str) -> None:
    tally = kills.run(python, mode, random_kills=25, tool_kills=15)
    assert tally.wrong == []
    assert tally.kills["step"] > 30


def test_damaged_frames_are_taken_or_refused() -> None:
    results = fuzz.fuzz_readers(3000, random.Random(20261121))
    for counts in results.values():
        assert set(counts) == {"taken", "refused", "incomplete"}


@given(st.binary(max_size=300), st.integers(0, 400), st.lists(st.integers(1, 50), max_size=10))
def test_any_length_before_any_bytes_in_any_pieces(body: bytes, length: int, sizes: list[int]) -> None:
    data = struct.pack(">I", length) + body
    parts = []
    for size in sizes:
        parts.append(data[:size])
        data = data[size:]
    parts.append(data)
    for read in fuzz.READERS.values():
        how, kept = read(parts)
        assert how in ("taken", "refused", "incomplete")
        assert kept <= 4 + len(body)


def test_a_live_agent_outlives_damaged_frames() -> None:
    found = fuzz.fuzz_agent(current(), 400, random.Random(20261121))
    assert found["viewers"] > 5
    assert found["grown"] < 16 * 1024 * 1024


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_million_damaged_frames() -> None:
    results = fuzz.fuzz_readers(1_000_000, random.Random(1))
    assert all(counts.total() == 1_000_000 for counts in results.values())
    found = fuzz.fuzz_agent(current(), 20_000, random.Random(1))
    assert found["grown"] < 16 * 1024 * 1024
