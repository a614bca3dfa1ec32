"""Judges a soak test: takes each State as it comes, in bounded memory, and says at any time how it stands."""

from __future__ import annotations

from collections.abc import Iterator

from memtui.analysis.detect import Verdict, ols, thirds
from memtui.analysis.detect.detector import RSS_MATERIAL
from memtui.analysis.detect.verdict import GROWING, ORDER
from memtui.analysis.diagnosis.diagnose import Curve, Diagnosis, age_of, diagnose, judge_curve
from memtui.analysis.soak.means import BlockMeans
from memtui.analysis.soak.plan import SoakPlan
from memtui.analysis.soak.rate import Comparison, compare_rates, rate_of
from memtui.analysis.soak.result import Check, Growth, SoakResult, growth_of
from memtui.model.state import State
from memtui.model.units import format_bytes

PLANNED_SHARE = 0.9
"""A soak that ended before this part of its time is judged by the scale of the time that it had."""

NEAR_SHARE = 0.5
"""A limit of growth, or the growth that matters, of which more than this is used up is near."""
NEAR_RSS_SHARE = 0.8


class SoakJudge:
    """Sees the States of one session, in the order of time; ``see`` and ``result`` may be called by different threads
    when the last State was seen before the result is asked for."""

    def __init__(self, plan: SoakPlan, first: State) -> None:
        self.plan = plan
        self._age = age_of(first)
        self._curve = Curve(plan.detector(plan.seconds, self._age), plan.max_rss_bytes)
        self._means = BlockMeans()
        self._looks = 0
        self.see(first)

    def see(self, state: State) -> bool:
        """Take a State; whether the limit of RSS is broken."""
        last = state.series.last
        if last is None or state.series.looks == self._looks:
            return False
        self._looks = state.series.looks
        self._curve.add(last.at_seconds, last.rss_bytes)
        self._means.add(last.at_seconds, last.rss_bytes)
        return self.plan.max_rss_bytes is not None and last.rss_bytes > self.plan.max_rss_bytes

    @property
    def is_calm(self) -> bool:
        """Whether nothing so far asks for a look into the heap: no growth that may come to matter, no limit near."""
        plan, points = self.plan, self._means.points()
        if plan.max_rss_bytes is not None and points and points[-1][1] > NEAR_RSS_SHARE * plan.max_rss_bytes:
            return False
        growth = growth_of(self._means.points(plan.warm_until(plan.seconds, self._age)))
        if growth is None:
            return True
        if self._curve.state in GROWING and growth.bytes > NEAR_SHARE * RSS_MATERIAL.bytes(growth.first_bytes):
            return False
        near = plan.max_growth_bytes is not None and growth.bytes > NEAR_SHARE * plan.max_growth_bytes
        percent, limit = growth.percent, plan.max_growth_percent
        return not (near or (percent is not None and limit is not None and percent > NEAR_SHARE * limit))

    def result(self, state: State) -> SoakResult:
        """How it stands with ``state``, the last one seen."""
        plan = self.plan
        last = state.series.last
        seconds = last.at_seconds if last else 0.0
        early = seconds < PLANNED_SHARE * plan.seconds
        scale = max(seconds, 1.0) if early else plan.seconds
        warm = plan.warm_until(scale, self._age)
        points = self._means.points(warm)
        diagnosis = self._diagnosis(state, points, scale, early=early)
        growth, rate = growth_of(points), rate_of(points)
        comparison = compare_rates(rate, plan.baseline) if plan.has_baseline else None
        checks = tuple(_checks(plan, state, diagnosis, growth, comparison))
        return SoakResult(plan, diagnosis, warm, growth, rate, checks, comparison)

    def _diagnosis(self, state: State, points: list[tuple[float, float]], scale: float, *, early: bool) -> Diagnosis:
        if early:
            options = self.plan.detector(scale, self._age)
            curve = judge_curve(state, options, self._means.points(), self.plan.max_rss_bytes)
        else:
            curve = self._curve.verdict(state)
        diagnosis = diagnose(state, curve=curve, expected=self.plan.expected)
        if self.plan.rule == "bic":
            return diagnosis
        return Diagnosis(self._by_rule(points), diagnosis.suspects, diagnosis.split)

    def _by_rule(self, points: list[tuple[float, float]]) -> Verdict:
        plan = self.plan
        seconds = points[-1][0] - points[0][0] if points else 0.0
        if plan.rule == "thirds":
            return thirds(points, threshold_bytes=plan.least_bytes)
        return ols(
            points,
            periods=plan.periods,
            period_seconds=plan.period(seconds),
            least_bytes=plan.least_bytes,
            least_percent=plan.least_percent,
        )


def _checks(
    plan: SoakPlan, state: State, diagnosis: Diagnosis, growth: Growth | None, comparison: Comparison | None
) -> Iterator[Check]:
    yield _verdict_check(plan, diagnosis.verdict)
    if plan.max_growth_bytes is not None:
        yield _growth_check(plan.max_growth_bytes, growth)
    if plan.max_growth_percent is not None:
        yield _percent_check(plan.max_growth_percent, growth)
    if plan.max_rss_bytes is not None:
        yield _rss_check(plan.max_rss_bytes, state)
    if comparison is not None:
        yield Check("baseline", comparison.worse, comparison.text, value=comparison.z)


def _verdict_check(plan: SoakPlan, verdict: Verdict) -> Check:
    text = f"{verdict.state}: {verdict.reasons[0]}"
    if verdict.state == "inconclusive":
        return Check("verdict", None, text)
    broken = plan.fail_on != "never" and ORDER.index(verdict.state) >= ORDER.index(plan.fail_on)
    return Check("verdict", broken, text)


def _growth_check(limit: int, growth: Growth | None) -> Check:
    name = "max-growth"
    if growth is None:
        return Check(name, None, "Too little was seen after the warm-up.", limit)
    text = f"{format_bytes(growth.bytes, sign=True)} after the warm-up; the limit is {format_bytes(limit)}."
    return Check(name, growth.bytes > limit, text, limit, growth.bytes)


def _percent_check(limit: float, growth: Growth | None) -> Check:
    name = "max-growth-percent"
    if growth is None or growth.percent is None:
        return Check(name, None, "Too little was seen after the warm-up.", limit)
    text = f"{growth.percent:+.1f} % after the warm-up; the limit is {limit:g} %."
    return Check(name, growth.percent > limit, text, limit, round(growth.percent, 3))


def _rss_check(limit: int, state: State) -> Check:
    rss = state.series.rss
    if rss is None:
        return Check("max-rss", None, "RSS was never seen.", limit)
    text = f"RSS was {format_bytes(rss.max)} at most; the limit is {format_bytes(limit)}."
    return Check("max-rss", rss.max > limit, text, limit, rss.max)
