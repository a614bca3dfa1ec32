"""The parts that add up to a process's memory. Amounts are in MiB, times in seconds, one value a second."""

from __future__ import annotations

import math
from itertools import accumulate
from random import Random


def log_uniform(random: Random, low: float, high: float) -> float:
    """A number whose logarithm is spread evenly."""
    return math.exp(random.uniform(math.log(low), math.log(high)))


def in_flight(random: Random, seconds: int, deviation: float) -> list[float]:
    """The working set of requests under way: noise that hangs together over 10 to 500 s."""
    memory = random.uniform(0.90, 0.998)
    fresh = deviation * math.sqrt(1 - memory**2)
    gauss = random.gauss
    start = gauss(0, deviation)
    return list(accumulate((gauss(0, fresh) for _ in range(seconds - 1)), lambda x, e: memory * x + e, initial=start))


def start_up(random: Random, seconds: int, base: float) -> list[float]:
    """What is still missing while the process starts."""
    size, tau = base * random.uniform(0.05, 0.4), random.uniform(3, 60)
    return [-size * math.exp(-t / tau) for t in range(seconds)]


def steps(random: Random, seconds: int, base: float) -> list[float]:
    """One to six batches, each with a level of its own, up or down."""
    level, values = 0.0, [0.0] * seconds
    starts = sorted(int(random.uniform(120, seconds)) for _ in range(random.randint(1, 6)))
    for start, end in zip(starts, [*starts[1:], seconds], strict=True):
        level = base * random.uniform(0, 0.4)
        values[start:end] = [level] * (end - start)
    return values


def spikes(random: Random, seconds: int, base: float) -> list[float]:
    """Short high waters, about thirty."""
    values = [0.0] * seconds
    for _ in range(max(0, round(random.gauss(30, math.sqrt(30))))):
        start, length, height = random.randrange(seconds), random.randint(1, 60), base * random.uniform(0.02, 0.6)
        for index in range(start, min(seconds, start + length)):
            values[index] += height
    return values


def wave(random: Random, seconds: int, base: float, period: float) -> list[float]:
    """A load that comes and goes."""
    height, phase, turn = base * log_uniform(random, 0.03, 0.4) / 2, random.random(), math.tau / period
    return [height * (1 + math.sin(turn * t + math.tau * phase)) for t in range(seconds)]


def fragments(random: Random, seconds: int, base: float) -> list[float]:
    """Holes in the heap: the distance of a random walk from its start."""
    scale = base * log_uniform(random, 3e-4, 3e-3)
    return [scale * abs(one) for one in accumulate(random.gauss(0, 1) for _ in range(seconds))]


def filling(random: Random, seconds: int, base: float, shortest: float, longest: float) -> list[float]:
    """A cache that fills evenly and is full then."""
    size, full = base * log_uniform(random, 0.1, 3), log_uniform(random, shortest, longest)
    return [size * min(1.0, t / full) for t in range(seconds)]


def saturating(random: Random, seconds: int, base: float) -> list[float]:
    """A warm-up that levels off."""
    size, tau = base * log_uniform(random, 0.1, 2), log_uniform(random, 60, 1800)
    return [size * (1 - math.exp(-t / tau)) for t in range(seconds)]


def logarithmic(random: Random, seconds: int, base: float) -> list[float]:
    """A cache that is hit more and more often."""
    size, tau = base * log_uniform(random, 0.02, 0.15), log_uniform(random, 10, 300)
    return [size * math.log1p(t / tau) for t in range(seconds)]


def bursts(random: Random, seconds: int, rate: float) -> list[float]:
    """A leak of the same mean rate that runs only a part of each period."""
    period, duty, phase = log_uniform(random, 60, 900), random.uniform(0.05, 0.5), random.random()
    return list(accumulate(rate / duty if (t / period + phase) % 1 < duty else 0.0 for t in range(seconds)))


def resident(random: Random, live: list[float], extra: list[float]) -> list[int]:
    """RSS in bytes: memory is given back slowly, by a quarter of the processes never; whole pages of 4 KiB."""
    sticky = 1e-6 if random.random() < 0.25 else log_uniform(random, 1e-4, 0.05)
    level, pages = live[0], []
    for now, hole in zip(live, extra, strict=True):
        level = max(now, level - sticky * (level - now))
        pages.append(max(256, int((level + hole) * 256)) * 4096)
    return pages


def after_collections(tracked: list[float], period: float, phase: float) -> list[int]:
    """What was alive after the last full collection, in bytes, held until the next one."""
    values, held, number = [], 0.0, -1
    for t, now in enumerate(tracked):
        if int(t / period + phase) != number:
            held, number = now, int(t / period + phase)
        values.append(max(0, int(held * 1024 * 1024)))
    return values
