"""What a heap picture costs the process: page faults of the copy, and how they add up in the State."""

from __future__ import annotations

import mmap
import os

from states import empty_state

from memtui.attach.toll import FaultCount, count_faults, fault_seconds, faults_by_copy
from memtui.model.allocation import Tracing
from memtui.model.gc import GcPauses
from memtui.model.heap import PictureToll
from memtui.session import messages as m
from memtui.session.reducer import reduce


def test_what_a_process_would_have_had_anyway_is_no_toll() -> None:
    before, copied = FaultCount(10.0, 1000), FaultCount(10.5, 1100)
    assert faults_by_copy(before, copied, FaultCount(12.5, 6500)) == 6500 - 1100 - 2 * 200
    assert faults_by_copy(before, copied, FaultCount(12.5, 1150)) == 0, "it had fewer than before"


def test_what_was_not_seen_is_not_known() -> None:
    one = FaultCount(10.0, 1000)
    assert faults_by_copy(None, one, one) is None
    assert faults_by_copy(one, one, one) is None, "no time to see what is ordinary"
    assert faults_by_copy(one, FaultCount(11.0, 1000), None) is None


def test_faults_are_counted_and_have_a_price() -> None:
    before = count_faults(os.getpid())
    block = mmap.mmap(-1, 4_000_000)  # fresh pages, not some that an allocator has kept
    block[::4096] = bytes(len(block[::4096]))
    after = count_faults(os.getpid())
    assert before is not None
    assert after is not None
    assert after.faults > before.faults
    block.close()
    assert 1e-8 < fault_seconds() < 1e-2
    assert count_faults(2**22 + 1) is None


def test_pictures_add_up_and_the_agent_comes_on_top() -> None:
    toll = PictureToll(stopped_seconds=0.012, longest_stop_seconds=0.009, page_faults=5000, cpu_seconds=0.05)
    state = reduce(empty_state(), m.PicturePaid(toll), 1.0)
    state = reduce(state, m.PicturePaid(PictureToll(0.002, 0.002, None, 0.002)), 2.0)
    cost = state.cost
    assert cost.target_cpu_seconds == cost.pictures_cpu_seconds == 0.05 + 0.002
    assert cost.target_longest_pause_seconds == 0.009
    assert cost.pictures_stop_seconds == 0.012 + 0.002
    assert cost.pictures_page_faults == 5000
    agent = m.AgentReported(GcPauses(3, 0.2, 0.1, 0.05, 2), Tracing(True, 1, 0.0), 0.25, 0.004, 5000)
    for _ in range(2):
        state = reduce(state, agent, 3.0)
        assert state.cost.target_cpu_seconds == 0.25 + 0.05 + 0.002
    assert reduce(state, m.ToolPaid(7.5), 4.0).cost.tool_cpu_seconds == 7.5
