from __future__ import annotations

import pytest
from states import empty_state, gc_state

from memtui.analysis.predict import collection_pause_seconds, snapshot_pause_seconds
from memtui.model.allocation import Tracing
from memtui.model.gc import GcPauses, GcState


def test_unknown_objects_give_no_prediction() -> None:
    for gc in (None, GcState(True, (), None), gc_state(objects=None)):
        assert collection_pause_seconds(empty_state(gc=gc)) is None
        assert snapshot_pause_seconds(empty_state(gc=gc)) is None


def test_half_a_second_for_a_million_objects() -> None:
    assert collection_pause_seconds(empty_state(gc=gc_state(1_000_000))) == pytest.approx(0.5)
    assert collection_pause_seconds(empty_state(gc=gc_state(1_000_000, new=500_000))) == pytest.approx(0.75)


def test_a_measured_full_collection_is_better_than_the_rule() -> None:
    measured = GcPauses(9, 1.0, 0.3, 0.2, 2)
    assert collection_pause_seconds(empty_state(gc=gc_state(), pauses=measured)) == pytest.approx(0.2)
    young = GcPauses(9, 1.0, 0.3, 0.001, 0)
    assert collection_pause_seconds(empty_state(gc=gc_state(), pauses=young)) == pytest.approx(0.5)
    assert collection_pause_seconds(empty_state(gc=gc_state(objects=None), pauses=measured)) == pytest.approx(0.2)


def test_a_snapshot_pays_for_objects_and_for_traces() -> None:
    gc = gc_state(1_000_000)
    assert snapshot_pause_seconds(empty_state(gc=gc)) == pytest.approx(0.065)
    assert snapshot_pause_seconds(empty_state(gc=gc, tracing=Tracing(on=False))) == pytest.approx(0.065)
    traced = Tracing(on=True, overhead_bytes=59_000_000)
    assert snapshot_pause_seconds(empty_state(gc=gc, tracing=traced)) == pytest.approx(0.065 + 0.42)
    assert snapshot_pause_seconds(empty_state(gc=gc, tracing=Tracing(on=True))) is None
