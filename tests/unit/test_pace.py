"""How the agent shares the GIL: seldom given away where each time costs long, and given up in the end."""

from __future__ import annotations

import _thread
import sys
from collections.abc import Iterator

import pytest

from memtui.agent import pace as pacing
from memtui.agent.grip import MOST_SECONDS, Grip, fair_seconds, grip_after, starved_seconds


class Clocks:
    """Wall clock and processor time that only move when they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.work, self.sleep_seconds, self.sleeps = 1000.0, 1.0, 0.0, 0
        self.starved = 0.0
        monkeypatch.setattr(pacing, "monotonic", lambda: self.wall)
        monkeypatch.setattr(pacing, "thread_time", lambda: self.work)
        monkeypatch.setattr(pacing, "_sleep", self._sleep)
        monkeypatch.setattr(pacing, "_expected", [0.0, 0.0])
        monkeypatch.setattr(pacing, "_starved", [0.0])
        monkeypatch.setattr(_thread, "_count", lambda: 0)
        monkeypatch.setattr(pacing, "starved_seconds", lambda: self.starved)

    def _sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.wall += self.sleep_seconds

    def spend(self, seconds: float) -> None:
        """Work so long."""
        self.work += seconds
        self.wall += seconds


def work(clocks: Clocks, pace: pacing.Pace, turns: int) -> None:
    """Work for so many long turns."""
    for _ in range(turns):
        clocks.spend(MOST_SECONDS * 1.01)
        pace.give_way()


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clocks]:
    before = sys.getswitchinterval()
    yield Clocks(monkeypatch)
    assert sys.getswitchinterval() == before


def test_usually_after_five_milliseconds(clocks: Clocks) -> None:
    pace, usual = pacing.Pace(), sys.getswitchinterval()
    clocks.sleep_seconds = 0.005
    for _ in range(100):
        clocks.spend(0.001)
        pace.give_way()
    assert 16 <= clocks.sleeps <= 20
    assert sys.getswitchinterval() == usual


def test_where_a_wait_is_long_turns_are_too(clocks: Clocks) -> None:
    pace = pacing.Pace()
    clocks.sleep_seconds = 0.4
    for _ in range(300):
        clocks.spend(0.001)
        pace.give_way()
    assert clocks.sleeps in (3, 4)
    assert sys.getswitchinterval() == pytest.approx(MOST_SECONDS)
    del pace
    again = pacing.Pace()
    clocks.spend(0.05)
    again.give_way()
    assert clocks.sleeps in (3, 4)


def test_a_wait_that_was_forced_counts_as_well(clocks: Clocks) -> None:
    pace = pacing.Pace()
    clocks.spend(0.001)
    clocks.wall += 0.3
    pace.give_way()
    assert clocks.sleeps == 0
    assert sys.getswitchinterval() == pytest.approx(MOST_SECONDS)


def test_it_gives_up(clocks: Clocks) -> None:
    pace = pacing.Pace()
    clocks.sleep_seconds = 1.5
    with pytest.raises(pacing.TooBusy):
        work(clocks, pace, 10)
    assert clocks.sleeps == 3


def test_many_short_waits_are_no_reason_to(clocks: Clocks) -> None:
    pace = pacing.Pace()
    clocks.sleep_seconds = 0.1
    work(clocks, pace, 200)
    assert clocks.sleeps == 200


def test_an_interval_that_the_program_sets_meanwhile_stays(clocks: Clocks) -> None:
    found = sys.getswitchinterval()
    grip = Grip()
    grip.begin(0.1)
    sys.setswitchinterval(0.003)
    grip.end()
    del grip
    assert sys.getswitchinterval() == pytest.approx(0.003)
    sys.setswitchinterval(found)


def test_a_wait_for_the_processor_is_no_reason_to_give_up(clocks: Clocks) -> None:
    pace = pacing.Pace()
    for _ in range(20):
        clocks.spend(0.006)
        clocks.wall += 1.0
        clocks.starved += 1.0
        pace.give_way()
    assert sys.getswitchinterval() == pytest.approx(pacing.STARVED_TURN_SECONDS)


def test_what_the_kernel_says_of_waits_for_a_processor() -> None:
    assert 0 <= starved_seconds() < 3600


def test_the_more_threads_there_are_the_shorter_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = 2
    monkeypatch.setattr(_thread, "_count", lambda: threads - 2)
    assert [fair_seconds(waited) for waited in (0.0, 0.03, 0.05, 0.1, 0.2, 9.0)] == [0, 0, 0.025, 0.05, 0.1, 0.1]
    threads = 9
    assert [fair_seconds(waited) for waited in (0.3, 0.8, 9.0)] == [0.0, 0.05, 0.1]
    assert 8 * fair_seconds(0.8) <= 0.8 / 2, "the others wait for less long than they make one wait"


@pytest.mark.parametrize(("waited", "held"), [(0.0, False), (0.4, False), (0.6, True), (9.0, True)])
def test_the_gil_is_kept_from_the_first_moment_after_a_long_wait(waited: float, held: bool) -> None:
    before = sys.getswitchinterval()
    grip = grip_after(waited)
    assert grip.held is held
    assert (sys.getswitchinterval() != before) is held
    grip.end()
    assert sys.getswitchinterval() == pytest.approx(before)
