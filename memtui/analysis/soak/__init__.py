"""Soak tests: limits, growth rates and their noise, a baseline, and what all of it says. Pure, no I/O, no clock."""

from __future__ import annotations

from memtui.analysis.soak.judge import SoakJudge
from memtui.analysis.soak.plan import SoakPlan
from memtui.analysis.soak.rate import Comparison, Rate, compare_rates, rate_of
from memtui.analysis.soak.result import Check, SoakResult

__all__ = ["Check", "Comparison", "Rate", "SoakJudge", "SoakPlan", "SoakResult", "compare_rates", "rate_of"]
