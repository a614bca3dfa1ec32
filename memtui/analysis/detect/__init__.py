"""The leak detector: pure functions of numbers, no I/O and no clock."""

from __future__ import annotations

from memtui.analysis.detect.detector import Detector, DetectorOptions
from memtui.analysis.detect.holders import HolderEvidence, with_holder
from memtui.analysis.detect.limits import Limit, limits, nearest
from memtui.analysis.detect.plain_rules import ols, rolling_trend, thirds
from memtui.analysis.detect.verdict import Pressure, Rule, Signal, State, Verdict

__all__ = [
    "Detector",
    "DetectorOptions",
    "HolderEvidence",
    "Limit",
    "Pressure",
    "Rule",
    "Signal",
    "State",
    "Verdict",
    "limits",
    "nearest",
    "ols",
    "rolling_trend",
    "thirds",
    "with_holder",
]
