"""A chain of holders from a named root to an object, as the failure messages show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

_LEAST_REPEATS = 4
_DICT = ".__dict__"
_MOST_STEPS = 24


@dataclass(frozen=True, slots=True)
class Step:
    """``label`` tells how the object before holds this one, ``type`` what this one is."""

    label: str
    type: str


@dataclass(frozen=True, slots=True)
class Chain:
    """``root`` is a module, a class, a function, a running thread or a task; ``kind`` says which."""

    kind: str
    root: str
    steps: tuple[Step, ...]

    @property
    def text(self) -> str:
        """As heap pictures write it: ``shop.CACHE['k17'][3]``, ``shop.HEAD.next{x60}``."""
        return self.root + _joined([step.label for step in plain_steps(self.steps)])

    def lines(self) -> list[str]:
        """One line for the root and one for each step, with the types."""
        steps = plain_steps(self.steps)
        width = max((len(step.label) for step in steps), default=0)
        lines = [f"{self.kind} {self.root}"]
        for step, run in groupby(steps):
            count = len(list(run))
            times = f", {count} times in a row" if count > 1 else ""
            lines.append(f"  {step.label:{min(width, 48)}}  {step.type}{times}")
        if len(lines) > _MOST_STEPS:
            half = _MOST_STEPS // 2
            lines[half:-half] = [f"  … {len(lines) - 2 * half} more …"]
        return lines


def plain_steps(steps: tuple[Step, ...]) -> list[Step]:
    """The steps, where ``.__dict__['name']`` is ``.name``."""
    plain: list[Step] = []
    for step in steps:
        name = _name_in(step.label)
        if plain and plain[-1].label == _DICT and name:
            plain[-1] = Step(f".{name}", step.type)
        else:
            plain.append(step)
    return plain


def _name_in(label: str) -> str:
    text = label[2:-2] if label.startswith("['") and label.endswith("']") else ""
    return text if text.isidentifier() else ""


def _joined(labels: list[str]) -> str:
    return "".join(_runs(labels))


def _runs(labels: list[str]) -> Iterator[str]:
    for label, run in groupby(labels):
        count = len(list(run))
        yield f"{label}{{x{count}}}" if count >= _LEAST_REPEATS else label * count
