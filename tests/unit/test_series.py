"""The bounded series: constant memory, exact summaries, peaks that survive."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from states import MIB, empty_state

from memtui.model.gc import GcState, Generation
from memtui.model.sample import Sample, Series, Summary
from memtui.model.state import State
from memtui.session.messages import Looked
from memtui.session.reducer import reduce

BOUND = 40


def series_of(sizes: list[int], bound: int = BOUND) -> Series:
    series = Series(bound=bound)
    for index, size in enumerate(sizes):
        series = series.append(Sample(float(index), size, uss_bytes=size // 2 if index % 2 else None))
    return series


def watched(looks: int) -> Iterator[State]:
    """The State after each look of a session."""
    state = empty_state()
    gc = GcState(True, (Generation(1, 700, 1, 0, 0),) * 3, 1000)
    for index in range(looks):
        # Numbers that no two samples share, as those of a real target would be.
        sample = Sample(
            index * 1.5, 50 * MIB + index, 40 * MIB + index, 45 * MIB + index, 0, None, (index, 1, 2), index
        )
        state = reduce(state, Looked(sample, gc, 3, index * 0.001), index * 1.5)
        yield state


def held_bytes(root: object) -> int:
    """Size of everything that ``root`` refers to, each object once; classes and modules aside."""
    seen: set[int] = set()
    stack: list[Any] = [root]
    total = 0
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        if isinstance(one, (tuple, list)):
            stack += one
        elif slots := getattr(type(one), "__slots__", None):
            stack += [getattr(one, name) for name in slots]
    return total


def test_ten_thousand_samples_take_no_more_memory_than_one_thousand() -> None:
    early, late = [], []
    for looks, state in enumerate(watched(10_000), 1):
        if looks == 100:
            few = held_bytes(state)
        elif len(state.series) == state.series.bound:  # as large as it gets, before it is thinned
            (early if looks < 2000 else late).append(held_bytes(state))
    assert min(early) > few + 100 * 500, "the samples have to be counted"
    assert len(late) > 10
    assert max(late) <= max(early) * 1.02


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=400))
def test_summaries_are_exact(sizes: list[int]) -> None:
    series = series_of(sizes)
    total = sum(sizes)
    assert series.rss == Summary(sizes[0], sizes[-1], min(sizes), max(sizes), total, len(sizes))
    assert series.rss.mean == total / len(sizes)
    known = [size // 2 for size in sizes[1::2]]
    if known:
        assert series.uss == Summary(known[0], known[-1], min(known), max(known), sum(known), len(known))
    else:
        assert series.uss is None
    assert series.pss is None


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=400))
def test_it_stays_in_order_and_within_its_bound(sizes: list[int]) -> None:
    series = series_of(sizes)
    times = [one.at_seconds for one in series]
    assert times == sorted(set(times))
    assert len(series) <= BOUND
    assert series.looks == len(sizes)
    assert times[0] == 0.0
    assert series.last is not None
    assert (series.last.at_seconds, series.last.rss_bytes) == (len(sizes) - 1, sizes[-1])


@given(st.integers(0, 999), st.integers(500, 1000))
def test_a_peak_survives_thinning(place: int, looks: int) -> None:
    sizes = [100] * looks
    sizes[place % looks] = 10**6
    assert 10**6 in [one.rss_bytes for one in series_of(sizes)]


def test_the_newer_half_stays_complete() -> None:
    newest = [one.at_seconds for one in series_of([5] * 200)][-BOUND // 2 + 2 :]
    assert newest == [float(200 - len(newest) + index) for index in range(len(newest))]


def test_a_series_that_grows_leaves_the_old_one_alone() -> None:
    old = series_of([1, 2])
    old.append(Sample(9.0, 9))
    assert [one.rss_bytes for one in old] == [1, 2]
    assert Series().last is None
    assert Series().looks == 0
