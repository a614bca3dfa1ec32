"""From evidence to a verdict: the state, its confidence and its reasons."""

from __future__ import annotations

import math

from memtui.analysis.detect import words
from memtui.analysis.detect.early import MIN_LOOKS, MIN_SECONDS, FirstLook
from memtui.analysis.detect.evidence import Look
from memtui.analysis.detect.track import Track
from memtui.analysis.detect.verdict import ORDER, Signal, State, Verdict
from memtui.model.units import format_seconds

MIN_HEALTHY_SECONDS = 120.0
MIN_SUSPECT_SECONDS = 120.0
MIN_LEAK_SECONDS = 240.0
"""Least time watched for each state by the curve alone, however short the blocks are."""
LONG_SECONDS = 15 * 60.0
"""Alarms of shorter watches are given less confidence, and the reason."""
TOO_SHORT = "So short a watch rules nothing out."
MAYBE_WARM_UP = "A warm-up that takes longer than so short a watch would look the same."


def at_first(first: FirstLook) -> Verdict:
    """The verdict before the curve can be judged: whether memory grows at present, never whether it is a leak."""
    seconds, stretch = first.seconds, first.stretch
    if stretch is None:
        reason = (
            f"A first word needs {format_seconds(MIN_SECONDS)} and {MIN_LOOKS} looks; "
            f"so far {format_seconds(seconds)} and {first.looks} looks."
        )
        return Verdict("inconclusive", 0.0, (reason,), None, None, seconds)
    speed = stretch.rise_bytes_per_minute
    if first.rises:
        reasons = (words.rose("rss", stretch), "It is too early to tell a leak from a warm-up by the curve.")
        return Verdict("growing", round(0.6 * seconds / (seconds + 60.0), 2), reasons, speed, None, seconds)
    calm = f"No lasting growth in {format_seconds(seconds)}"
    if seconds < MIN_HEALTHY_SECONDS:
        return Verdict("inconclusive", 0.3, (f"{calm}.", TOO_SHORT), speed, None, seconds)
    reasons = (f"{calm} so far.", "A slow leak needs a longer watch.")
    return Verdict("healthy", _watched(seconds), reasons, speed, None, seconds)


def by_curve(signal: Signal, track: Track, look: Look, watched_seconds: float) -> Verdict:
    """The verdict of a series that has been looked at long enough."""
    state = _capped(track.state, watched_seconds)
    if state in ("suspect", "leak"):
        return _alarm(state, signal, track, look, watched_seconds)
    reasons: tuple[str, ...]
    if look.growing is not None and (state == "growing" or look.hit):
        reasons = (words.endless(signal, look.growing), words.preferred(look.growing), _held(track))
        return _verdict("growing", 0.6, reasons, look.growing.growth_bytes_per_minute, look.growing.seconds, signal)
    if look.latest.rises(track.material):
        reasons = (words.rose(signal, look.latest), words.bounded(look.whole))
        return _verdict("growing", 0.5, reasons, look.latest.rise_bytes_per_minute, look.latest.seconds, signal)
    whole, speed = look.whole, look.latest.rise_bytes_per_minute
    reasons = (words.quiet(signal, whole.seconds, track.material, whole.lowest),)
    if watched_seconds < MIN_HEALTHY_SECONDS:
        return _verdict("inconclusive", 0.3, (*reasons, TOO_SHORT), speed, whole.seconds, signal)
    if whole.rise_bytes > track.material.bytes(whole.lowest):
        reasons = (words.rose_once(signal, whole), words.bounded(whole))
    return _verdict("healthy", _watched(whole.seconds), reasons, speed, whole.seconds, signal)


def _alarm(state: State, signal: Signal, track: Track, look: Look, watched_seconds: float) -> Verdict:
    reasons: tuple[str, ...]
    stretch = look.growing
    base = 0.75 if state == "leak" else 0.55
    if stretch is None or not look.hit:
        speed, seconds = look.latest.rise_bytes_per_minute, look.latest.seconds
        reasons = (_held(track), "The latest look no longer shows it: the verdict is taken back if that stays so.")
        return _verdict(state, base - 0.15, reasons, speed, seconds, signal)
    confidence = base + 0.2 * (1.0 - math.exp(-max(0.0, stretch.explanation.advantage) / 10.0))
    reasons = (words.endless(signal, stretch), words.preferred(stretch), _held(track))
    if watched_seconds < LONG_SECONDS:
        confidence, reasons = confidence * watched_seconds / (watched_seconds + 120.0), (*reasons, MAYBE_WARM_UP)
    return _verdict(state, confidence, reasons, stretch.growth_bytes_per_minute, stretch.seconds, signal)


def _held(track: Track) -> str:
    level = track.levels["leak"]
    return words.persisted(level.score_blocks * track.block_seconds, level.needed_blocks * track.block_seconds)


def _capped(state: State, watched_seconds: float) -> State:
    most: State = "leak"
    if watched_seconds < MIN_LEAK_SECONDS:
        most = "suspect"
    if watched_seconds < MIN_SUSPECT_SECONDS:
        most = "growing"
    return min(state, most, key=ORDER.index)


def _watched(seconds: float) -> float:
    return round(0.95 * seconds / (seconds + 600.0), 2)


def _verdict(
    state: State, confidence: float, reasons: tuple[str, ...], speed: float, seconds: float, signal: Signal
) -> Verdict:
    return Verdict(state, round(confidence, 2), reasons, speed, None, seconds, signal=signal)
