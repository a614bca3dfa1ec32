"""Made-up memory series of known kinds, the same for the same seed."""

from __future__ import annotations

from series.classes import BENIGN, HARD, LEAKS, generate
from series.model import Series

__all__ = ["BENIGN", "HARD", "LEAKS", "Series", "generate"]
