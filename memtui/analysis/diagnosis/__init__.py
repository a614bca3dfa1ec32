"""From what grew in the heap to suspects with a name, a category and advice. Pure functions."""

from __future__ import annotations

from memtui.analysis.diagnosis.split import split_growth
from memtui.analysis.diagnosis.suspects import find_suspects
from memtui.analysis.diagnosis.verdict import judge

__all__ = ["find_suspects", "judge", "split_growth"]
