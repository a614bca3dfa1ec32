"""Moments of a recording as people type them."""

from __future__ import annotations

import math

from memtui.model.state import Playback
from memtui.model.units import parse_duration


def moment(text: str, playback: Playback) -> float:
    """Session time of ``50%``, ``12:30``, ``1:02:03``, ``90s``, ``end``, and from here ``+5m`` or ``-10s``.

    Raises ValueError with a sentence for what is none.
    """
    try:
        seconds = _seconds(text.strip(), playback)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f"{text!r} is no moment; try 50%, 12:30, 90s or +5m")
    return seconds


def _seconds(word: str, playback: Playback) -> float:
    if word == "end":
        return playback.end_seconds
    if word.endswith("%"):
        length = playback.end_seconds - playback.begin_seconds
        return playback.begin_seconds + length * float(word[:-1]) / 100
    if ":" in word:
        parts = [int(part) for part in word.split(":")]
        return float(sum(part * 60**place for place, part in enumerate(reversed(parts))))
    if word[:1] in ("+", "-"):
        passed = parse_duration(word[1:])
        return playback.at_seconds + (passed if word[0] == "+" else -passed)
    return parse_duration(word)
