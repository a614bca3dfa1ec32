"""Nineteen kinds of processes: nine healthy, two that nobody can tell within two hours, eight that leak."""

from __future__ import annotations

from random import Random

from series import parts
from series.model import MIB, Series
from series.parts import log_uniform

BENIGN = (
    "stable",
    "sawtooth",
    "warm_log",
    "warm_exp",
    "cache_fill",
    "periodic",
    "steps",
    "randwalk_frag",
    "spiky_highwater",
)
HARD = ("cache_slow", "diurnal24h")
"""A cache that fills for longer than the watch, and half a day of a daily rhythm: no leak, and no way to know."""
LEAKS = (
    "leak_plain",
    "leak_sawtooth",
    "leak_periodic",
    "leak_after_warm",
    "leak_late",
    "leak_bursty",
    "leak_noisy_steps",
    "leak_cache_mix",
)
SECONDS = 7200


def generate(kind: str, seed: int, seconds: int = SECONDS) -> Series:
    """One process of this kind. The same kind and seed give the same process."""
    random = Random(f"{kind}:{seed}")
    base = log_uniform(random, 50, 10240)
    noise = parts.in_flight(random, seconds, base * log_uniform(random, 3e-4, 6e-3))
    start = parts.start_up(random, seconds, base)
    period, phase = random.uniform(20, 300), random.random()
    tooth = base * (log_uniform(random, 0.03, 0.5) if "sawtooth" in kind else log_uniform(random, 0.002, 0.02))
    cache, load = _cache(random, kind, seconds, base), _load(random, kind, seconds, base)
    rate, onset, leak = _leak(random, kind, seconds, base)
    kept = [base + s + c + k for s, c, k in zip(start, cache, leak, strict=True)]
    live = [
        k + n + w + tooth * ((t / period + phase) % 1.0)
        for t, (k, n, w) in enumerate(zip(kept, noise, load, strict=True))
    ]
    tracked = [k + 0.5 * n + 0.8 * w for k, n, w in zip(kept, noise, load, strict=True)]
    holes = parts.fragments(random, seconds, base) if kind == "randwalk_frag" else [0.0] * seconds
    return Series(
        kind,
        parts.resident(random, live, holes),
        parts.after_collections(tracked, period, phase),
        base * MIB,
        rate * MIB,
        leak[-1] * MIB,
        onset,
    )


def _cache(random: Random, kind: str, seconds: int, base: float) -> list[float]:
    if kind == "warm_log":
        return parts.logarithmic(random, seconds, base)
    if kind in ("warm_exp", "leak_after_warm"):
        return parts.saturating(random, seconds, base)
    if kind in ("cache_fill", "leak_cache_mix"):
        return parts.filling(random, seconds, base, 60, 3000)
    if kind == "cache_slow":
        return parts.filling(random, seconds, base, 3000, 14400)
    return [0.0] * seconds


def _load(random: Random, kind: str, seconds: int, base: float) -> list[float]:
    if kind in ("periodic", "leak_periodic"):
        return parts.wave(random, seconds, base, log_uniform(random, 300, 5400))
    if kind == "diurnal24h":
        return parts.wave(random, seconds, base, 86400)
    if kind in ("steps", "leak_noisy_steps"):
        return parts.steps(random, seconds, base)
    if kind == "spiky_highwater":
        return parts.spikes(random, seconds, base)
    return [0.0] * seconds


def _leak(random: Random, kind: str, seconds: int, base: float) -> tuple[float, float, list[float]]:
    """MiB per second, the second of the onset, and what has leaked by each second."""
    if kind not in LEAKS:
        return 0.0, 0.0, [0.0] * seconds
    rate = log_uniform(random, base * 1e-4 / 60, min(10.0, base * 0.02))
    if kind == "leak_bursty":
        return rate, 0.0, parts.bursts(random, seconds, rate)
    onset = random.uniform(1800, 5400) if kind == "leak_late" else 0.0
    return rate, onset, [rate * max(0.0, t - onset) for t in range(seconds)]
