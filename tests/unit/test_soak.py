"""The judgement of soak tests, on made-up processes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from states import MIB, empty_state

from memtui.analysis.soak import Rate, SoakJudge, SoakPlan, SoakResult, compare_rates, rate_of
from memtui.analysis.soak.means import BlockMeans
from memtui.analysis.soak.result import growth_of
from memtui.cli.main import Parser
from memtui.cli.soak import configure, parse
from memtui.model.sample import Sample, Series
from memtui.model.state import State
from memtui.model.target import Ending

HOUR = 3600.0
BASE = 400 * MIB


def soaked(plan: SoakPlan, rss: Callable[[float], float], seconds: float | None = None) -> SoakResult:
    """The result of a soak of a process that had just been started."""
    state = empty_state(started_at=empty_state().target.started_at)
    judge: SoakJudge | None = None
    steps = int((plan.seconds if seconds is None else seconds) / plan.interval_seconds)
    for step in range(steps + 1):
        at = step * plan.interval_seconds
        series = Series(bound=30) if state.series.looks == 0 else state.series
        state = replace(state, series=series.append(Sample(at, round(rss(at)))), now_seconds=at)
        if judge is None:
            judge = SoakJudge(plan, state)
        else:
            judge.see(state)
    assert judge is not None
    return judge.result(state)


def noisy(growth_bytes_per_second: float, seed: int = 1) -> Callable[[float], float]:
    """A warm-up of 20 %, requests that come and go, and maybe a leak."""
    random = Random(seed)
    wander = 0.0

    def rss(at: float) -> float:
        nonlocal wander
        wander = 0.95 * wander + random.gauss(0, 0.4 * MIB)
        warm = 0.2 * BASE * (1 - math.exp(-at / 240))
        return BASE + warm + abs(wander) + growth_bytes_per_second * at

    return rss


class TestSixHours:
    def test_fifty_megabytes_are_found(self) -> None:
        plan = SoakPlan(6 * HOUR, interval_seconds=5.0)
        result = soaked(plan, noisy(50_000_000 / (6 * HOUR)))
        assert result.diagnosis.verdict.state in ("suspect", "leak")
        assert [one.name for one in result.broken] == ["verdict"]

    @pytest.mark.parametrize("seed", range(3))
    def test_a_stable_process_passes(self, seed: int) -> None:
        plan = SoakPlan(6 * HOUR, interval_seconds=5.0, max_growth_bytes=50_000_000)
        result = soaked(plan, noisy(0.0, seed))
        assert result.diagnosis.verdict.state == "healthy"
        assert result.broken == ()

    def test_a_limit_is_a_limit_whatever_the_verdict(self) -> None:
        plan = SoakPlan(6 * HOUR, interval_seconds=5.0, max_growth_bytes=40_000_000, fail_on="never")
        result = soaked(plan, noisy(50_000_000 / (6 * HOUR)))
        assert [one.name for one in result.broken] == ["max-growth"]
        assert result.growth is not None
        assert result.growth.bytes == pytest.approx(50_000_000 * (1 - 300 / (6 * HOUR)), rel=0.6)


class TestLimits:
    def test_growth_counts_from_the_end_of_the_warm_up(self) -> None:
        plan = SoakPlan(100.0, max_growth_bytes=2 * MIB, max_growth_percent=1.0, warm_up_seconds=50.0)
        result = soaked(plan, lambda at: BASE + min(at, 48.0) * MIB)
        assert result.growth is not None
        assert result.growth.bytes == 0
        assert result.broken == ()

    @pytest.mark.parametrize(("percent", "broken"), [(10.0, True), (13.0, False)])
    def test_percent(self, percent: float, broken: bool) -> None:
        plan = SoakPlan(60.0, max_growth_percent=percent, warm_up_seconds=0.0, fail_on="never")
        result = soaked(plan, lambda at: 100 * MIB + at * 0.2 * MIB)
        assert bool(result.broken) is broken

    def test_the_highest_rss_counts(self) -> None:
        plan = SoakPlan(60.0, max_rss_bytes=500 * MIB, fail_on="never")
        result = soaked(plan, lambda at: BASE + (200 * MIB if at == 30 else 0))
        assert [one.name for one in result.broken] == ["max-rss"]

    def test_the_judge_says_at_once_when_rss_is_too_large(self) -> None:
        first = empty_state(series=Series().append(Sample(0.0, BASE)))
        judge = SoakJudge(SoakPlan(60.0, max_rss_bytes=BASE), first)
        more = replace(first, series=first.series.append(Sample(1.0, BASE + 1)), now_seconds=1.0)
        assert judge.see(more)
        assert not judge.see(more), "the same look again"

    @pytest.mark.parametrize(
        ("speed", "limits", "calm"),
        [
            (0.0, {}, True),
            (0.1, {}, False),
            (0.001, {}, True),
            (0.0, {"max_growth_bytes": 1, "max_rss_bytes": 2 * BASE}, True),
            (0.001, {"max_rss_bytes": BASE + 30 * MIB}, False),
        ],
    )
    def test_what_grows_is_not_calm(self, speed: float, limits: dict[str, int], calm: bool) -> None:
        judge = SoakJudge(SoakPlan(600.0, **limits), empty_state())  # type: ignore[arg-type]
        assert judge.is_calm
        _feed(judge, [BASE + speed * MIB * at for at in range(400)])
        assert judge.is_calm is calm

    @pytest.mark.parametrize(("limits", "calm"), [({}, True), ({"max_growth_bytes": 30 * MIB}, False),
        ({"max_growth_percent": 6.0}, False), ({"max_growth_bytes": 60 * MIB}, True)])  # fmt: skip
    def test_a_step_near_a_limit_is_not_calm(self, limits: dict[str, float], calm: bool) -> None:
        judge = SoakJudge(SoakPlan(600.0, warm_up_seconds=10.0, **limits), empty_state())  # type: ignore[arg-type]
        _feed(judge, [BASE + (20 * MIB if at > 30 else 0) for at in range(400)])
        assert judge.is_calm is calm

    def test_too_little_to_tell_breaks_nothing(self) -> None:
        plan = SoakPlan(HOUR, max_growth_bytes=1, max_growth_percent=0.1, has_baseline=True)
        result = soaked(plan, lambda at: BASE, seconds=0.0)
        assert {one.name: one.broken for one in result.checks} == {
            "verdict": None, "max-growth": None, "max-growth-percent": None, "baseline": None,
        }  # fmt: skip


def _feed(judge: SoakJudge, values: list[float]) -> None:
    series = Series(bound=30)
    for at, value in enumerate(values):
        series = series.append(Sample(float(at), round(value)))
        judge.see(empty_state(series=series, now_seconds=float(at)))


class TestRules:
    @pytest.mark.parametrize("seconds", [20.0, 600.0, HOUR])
    @pytest.mark.parametrize("rule", ["ols", "thirds"])
    def test_plain_rules_take_the_place_of_the_detector(self, rule: str, seconds: float) -> None:
        plan = SoakPlan(seconds, rule=rule, least_bytes=20 * MIB, least_percent=1.0)  # type: ignore[arg-type]
        speeds = (400 * MIB / seconds, 0.0)
        leaky, calm = (soaked(plan, lambda at, speed=speed: BASE + speed * at) for speed in speeds)
        assert (leaky.diagnosis.verdict.state, leaky.diagnosis.verdict.rule) == ("leak", rule)
        assert calm.diagnosis.verdict.state == "healthy"

    @pytest.mark.parametrize(
        ("fail_on", "broken"), [("leak", False), ("suspect", False), ("growing", True), ("never", False)]
    )
    def test_what_fails_is_chosen(self, fail_on: str, broken: bool) -> None:
        plan = SoakPlan(60.0, fail_on=fail_on)  # type: ignore[arg-type]
        result = soaked(plan, lambda at: BASE + at * MIB)
        assert result.diagnosis.verdict.state == "growing"
        assert bool(result.broken) is broken

    def test_one_that_ends_early_is_judged_by_its_own_time(self) -> None:
        result = soaked(SoakPlan(8 * HOUR), lambda at: BASE + 0.1 * MIB * at, seconds=600.0)
        assert result.diagnosis.verdict.state in ("suspect", "leak")
        assert result.warm_up_seconds == 100.0

    def test_the_ending_is_told(self) -> None:
        state = empty_state(series=Series().append(Sample(0.0, BASE)), ending=Ending(1.0, "It ended", exit_code=0))
        verdict = SoakJudge(SoakPlan(60.0), state).result(state).diagnosis.verdict
        assert any("It ended" in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("arguments", "pid", "words"),
    [
        ("4242 --for 10s", 4242, ("4242", "--for", "10s")),
        ("--for 10s --max-rss 1GB 4242", 4242, ("4242",)),
        ("--quick --for 10s app.py --for 3", None, ("app.py", "--for", "3")),
        ("--for 10s -m pkg --junit x", None, ("pkg", "--junit", "x")),
        ("--for 10s --junit=x.xml -- run --quick", None, ("run", "--quick")),
    ],
)
def test_what_follows_a_program_is_its_own(arguments: str, pid: int | None, words: tuple[str, ...]) -> None:
    parser = Parser(allow_abbrev=False)
    configure(parser)
    args = parse(parser, arguments.split())
    assert (args.pid, args.seconds, args.program.words) == (pid, 10.0, words)


def test_quick_is_five_minutes_and_a_guard_looks_each_second() -> None:
    found = []
    for options in ("", "--quick", "--quick --interval 2s", "--quick --max-rss 1GB"):
        parser = Parser(allow_abbrev=False)
        configure(parser)
        args = parse(parser, [*options.split(), "app.py"])
        found.append((args.seconds, args.interval))
    assert found == [(3600.0, 1.0), (300.0, 15.0), (300.0, 2.0), (300.0, 1.0)]


class TestRates:
    def test_a_line_has_its_slope_and_no_error(self) -> None:
        rate = rate_of([(at, BASE + 100.0 * at) for at in range(600)])
        assert rate is not None
        assert rate.bytes_per_second == pytest.approx(100.0)
        assert rate.error_bytes_per_second == pytest.approx(0.0, abs=1e-3)

    @pytest.mark.parametrize("count", [0, 1, 7])
    def test_too_few_looks(self, count: int) -> None:
        assert rate_of([(at, 1.0) for at in range(count)]) is None

    def test_the_error_covers_wandering_memory(self) -> None:
        """Without the correction for autocorrelation most of these would lie beyond three errors."""
        outside = 0
        for seed in range(100):
            points = [(float(at), noisy_value) for at, noisy_value in enumerate(_wander(seed))]
            rate = rate_of(points)
            assert rate is not None
            outside += abs(rate.bytes_per_second) > 3 * rate.error_bytes_per_second
        assert outside <= 8

    def test_only_worse_than_the_noise_of_both_is_worse(self) -> None:
        calm, fast = Rate(0.0, 500.0, HOUR, BASE), Rate(50_000.0, 500.0, HOUR, BASE)
        assert compare_rates(fast, calm).worse is True
        assert compare_rates(calm, fast).worse is False
        assert compare_rates(calm, calm).worse is False
        assert compare_rates(fast, replace(calm, error_bytes_per_second=40_000.0)).worse is False
        assert compare_rates(replace(fast, seconds=20.0), calm).worse is False, "1 MB does not matter"
        assert compare_rates(fast, None).worse is None
        assert compare_rates(None, calm).worse is None

    def test_a_baseline_without_noise(self) -> None:
        exact = Rate(0.0, 0.0, HOUR, BASE)
        assert compare_rates(exact, exact).z == 0.0
        worse = compare_rates(replace(exact, bytes_per_second=1e6), exact)
        assert (worse.worse, worse.z) == (True, None)


def _wander(seed: int) -> list[float]:
    random = Random(seed)
    value, values = 0.0, []
    for _ in range(900):
        value = 0.97 * value + random.gauss(0, MIB)
        values.append(BASE + value)
    return values


class TestBlockMeans:
    def test_hours_take_no_more_than_that(self) -> None:
        means = BlockMeans(most_blocks=64)
        for at in range(10_000):
            means.add(float(at), 2.0 * at)
        points = means.points()
        assert 32 <= len(points) <= 64
        assert all(value == pytest.approx(2 * at) for at, value in points)
        assert means.points(5000.0)[0][0] >= 5000.0

    def test_the_past_is_ignored(self) -> None:
        means = BlockMeans()
        for at in (5.0, 4.0, 5.5):
            means.add(at, at)
        assert means.points() == [(5.25, 5.25)]

    def test_growth_is_between_medians(self) -> None:
        points = [(float(at), value) for at, value in enumerate([10.0, 99.0, 10.0, 10.0, 20.0, 20.0, 0.0, 20.0])]
        growth = growth_of(points)
        assert growth is not None
        assert (growth.bytes, growth.percent) == (10, 100.0)
        assert growth_of(points[:1]) is None


def test_states_without_a_look_are_no_look() -> None:
    judge = SoakJudge(SoakPlan(60.0), State(empty_state().target, 0.0))
    assert judge.result(empty_state()).growth is None
