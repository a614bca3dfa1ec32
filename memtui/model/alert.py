"""Thresholds over figures of a process, and the alerts that are raised when one is crossed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from memtui.model.target import PROCESS_BOUND
from memtui.model.units import format_bytes, format_count, format_seconds, parse_duration, parse_size

Level = Literal["warning", "critical"]
LEVELS: tuple[Level, ...] = ("warning", "critical")


def levels_from(lowest: str | None) -> tuple[Level, ...]:
    """The levels from ``lowest`` on; none for ``off`` or None."""
    names: tuple[str, ...] = LEVELS
    return LEVELS[names.index(lowest) :] if lowest in names else ()


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that may have a threshold. ``below``: it is dangerous below the threshold, not above it.

    ``momentary``: it is about what happened since the last look, not about a state that lasts.

    ``unit`` is that of its values: bytes, bytes a minute, percent, seconds, or a count. ``suffix`` is put behind a
    plain number so that it can be read. ``parse`` reads a threshold and raises ValueError; ``shown`` writes a value
    for people, beside a threshold that the user wrote in some unit.
    """

    name: str
    words: str
    unit: str
    suffix: str
    parse: Callable[[str], float]
    shown: Callable[[float, str], str]
    below: bool = False
    momentary: bool = False


def _rate(text: str) -> float:
    return parse_size(re.sub(r"/(min|minute|m)$", "", text))


def _percent(text: str) -> float:
    return float(text.removesuffix("%"))


def _bytes(value: float, threshold: str) -> str:
    """In powers of 1000 beside a threshold that is: 59.6 MiB would not look like more than 60MB."""
    unit = re.search(r"([kmgt]b)(/|$)", threshold.lower())
    if unit is None:
        return format_bytes(value)
    return f"{value / parse_size('1' + unit[1]):.1f} {unit[1].upper().replace('K', 'k')}"


def _bytes_a_minute(value: float, threshold: str) -> str:
    return f"{_bytes(value, threshold)}/min"


def _share(value: float, _: str) -> str:
    return f"{value:.1f} %"


def _seconds(value: float, _: str) -> str:
    return format_seconds(value)


METRICS: dict[str, Metric] = {
    one.name: one
    for one in (
        Metric("rss", "RSS", "bytes", "", parse_size, _bytes),
        Metric("uss", "USS", "bytes", "", parse_size, _bytes),
        Metric(
            "growth",
            "growth of RSS",
            "bytes a minute",
            "/min",
            _rate,
            _bytes_a_minute,
        ),
        Metric("limit", "RSS against the cgroup's limit", "percent", "%", _percent, _share),
        Metric("time_to_limit", "time to the limit", "seconds", "s", parse_duration, _seconds, below=True),
        Metric("gc_pause", "gc pause", "seconds", "s", parse_duration, _seconds, momentary=True),
        Metric("processes", "number of processes", "processes", "", float, lambda value, _: format_count(int(value))),
    )
}
"""What can have a threshold, by the name it has on the command line and in the configuration."""

_RULE = re.compile(r"\s*([A-Za-z][A-Za-z_ -]*?)\s*(>=?|<=?|=|:)\s*(\S.*?)\s*")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A rule: an alert of ``level`` when ``metric`` crosses ``value``, in the metric's unit.

    ``text`` is the value as the user wrote it.
    """

    level: Level
    metric: str
    value: float
    text: str

    @property
    def rule(self) -> str:
        """``rss>512MB``."""
        return f"{self.metric}{'<' if METRICS[self.metric].below else '>'}{self.text}"

    def crossed_by(self, value: float) -> bool:
        """Whether a value is on the dangerous side."""
        return value < self.value if METRICS[self.metric].below else value > self.value


@dataclass(frozen=True, slots=True)
class Alert:
    """A threshold was crossed at ``at_seconds`` of the session. ``until_seconds``: None while it stands."""

    at_seconds: float
    level: Level
    rule: str
    value: float
    """What was measured then, in the metric's unit."""
    until_seconds: float | None = None

    @property
    def text(self) -> str:
        """``RSS is 530.2 MB (rss>512MB)``."""
        name, *threshold = re.split("[<>]", self.rule, maxsplit=1)
        metric = METRICS.get(name)
        if metric is None:
            return f"{self.rule}: {self.value:g}"
        return f"{metric.words} is {metric.shown(self.value, ''.join(threshold))} ({self.rule})"


def threshold(level: Level, metric: str, written: object) -> Threshold:
    """The threshold of one metric from a number or a text. Raises ValueError with a sentence's end."""
    known = METRICS[metric]
    text = _with_suffix(str(written).replace(" ", "").removesuffix(".0"), known)
    try:
        value = known.parse(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf") or (value == 0 and not known.below and metric != "processes"):
        raise ValueError(f"{str(written)!r} is no threshold for {metric}, which is in {known.unit}")
    if metric == "processes" and value >= PROCESS_BOUND:
        raise ValueError(f"no more than {PROCESS_BOUND} processes are counted, so that {text} are never exceeded")
    return Threshold(level, metric, value, text)


def _with_suffix(text: str, metric: Metric) -> str:
    """A plain number gets its unit, and a size of growth its time."""
    plain = text.replace(".", "", 1).isdigit()
    return text + metric.suffix if plain or (metric.name == "growth" and "/" not in text) else text


def parse_rule(level: Level, text: str) -> tuple[str, Threshold | None]:
    """The metric and threshold of ``rss>512MB`` (or ``rss=512MB``); no threshold for ``rss=off``.

    Raises ValueError with a sentence.
    """
    match = _RULE.fullmatch(text)
    name = match[1].strip().lower().replace("-", "_").replace(" ", "_") if match else ""
    metric = METRICS.get(name)
    if match is None or metric is None:
        known = ", ".join(METRICS)
        raise ValueError(f"{text!r} is no rule such as rss=512MB; it begins with one of {known}")
    if match[3] == "off":
        return name, None
    if match[2] in (("<", "<=") if not metric.below else (">", ">=")):
        side = "below" if metric.below else "above"
        raise ValueError(f"{text!r}: {name} is dangerous {side} its threshold, not on the other side")
    return name, threshold(level, name, match[3])
