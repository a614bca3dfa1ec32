"""Questions whose answers are known, put to every picture: a reader with wrong offsets refuses instead of lying."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np

from memtui.errors import RefusedError
from memtui.heap.picture import NOBODY, Kind, Link
from memtui.heap.read.image import Indices
from memtui.heap.read.known import (
    MOST_LOOKED_AT,
    Answers,
    Question,
    about_code,
    about_containers,
    about_elements,
    about_types,
    field,
    sample,
)
from memtui.heap.read.known_frames import about_frames, about_interpreter
from memtui.heap.read.roots import Heap
from memtui.heap.read.strings import Strings

_FEWEST = 20
_FEW_OF_A_TYPE, _FEW_TYPES = 5, 4
_MOST_WIDE = 0.9
_MODULE_DICT = 16
"""Offset of a module's dict (``Objects/moduleobject.c``)."""


class UnknownLayoutError(RefusedError):
    """Objects are not where they should be: another table is needed, or the memory changed while it was read."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question; ``share`` of the cases that were right (of ``cases``), and how much it must be."""

    name: str
    share: float
    needed: float
    cases: int
    fewest: int = _FEWEST

    @property
    def passed(self) -> bool:
        """Whether enough were right; fewer cases than ``fewest`` prove nothing."""
        return self.cases < self.fewest or self.share >= self.needed


def check_quickly(heap: Heap, strings: Strings) -> list[Check]:
    """What can be asked without references. Raises :class:`UnknownLayoutError` when one is wrong."""
    questions = chain(about_types(heap), about_containers(heap), about_code(heap), about_frames(heap))
    return _judge([*_answered(questions), _share("texts end in a zero", _texts(heap, strings), 0.995)])


def run_checks(heap: Heap, strings: Strings, modules: int, explained: Answers, interpreter: int) -> list[Check]:
    """All checks. ``explained``: for each object whether its count is what was found, -1 where it has none.

    ``interpreter``: address of its state, 0 when it is not known. Raises :class:`UnknownLayoutError` when one fails.
    """
    checks = check_quickly(heap, strings)
    checks += _answered(about_elements(heap))
    if interpreter:
        checks += _answered(about_interpreter(heap, interpreter))
    checks.append(_share("dicts have an entry for each key", _dicts(heap), 0.98))
    checks.append(_share("modules in sys.modules have their names", _modules(heap, modules), 0.8))
    for link, name in ((Link.ITEM, "items"), (Link.VALUE, "values"), (Link.ATTRIBUTE, "attributes")):
        held = np.zeros(len(heap.objects), bool)
        held[heap.edges.targets[heap.edges.links == link]] = True
        targets = np.flatnonzero(held & (explained >= 0))
        right = explained[targets] > 0
        checks.append(_share_by_type(f"{name} are held as often as they say", right, heap.objects.row[targets]))
    return _judge(checks)


def _answered(questions: Iterable[Question]) -> list[Check]:
    return [
        Check(name, float(np.mean(right)) if len(right) else 1.0, needed, len(right), fewest)
        for name, right, needed, fewest in questions
    ]


def _judge(checks: list[Check]) -> list[Check]:
    failed = [one for one in checks if not one.passed]
    if failed:
        raise UnknownLayoutError(
            "The heap of this process is laid out in a way memtui does not know; it was not read.",
            why="; ".join(f"{one.name}: {one.share:.1%} of {one.cases}" for one in failed) + ".",
        )
    return checks


def _share(name: str, right: Answers, needed: float) -> Check:
    return Check(name, float(np.mean(right)) if len(right) else 1.0, needed, len(right))


def _share_by_type(name: str, right: Answers, rows: Indices) -> Check:
    """Each type counts as much as any other: a leak of references to one type is no sign of a wrong table."""
    counts = np.bincount(rows)
    shares = np.bincount(rows, right) / np.maximum(counts, 1)
    known = counts >= _FEW_OF_A_TYPE
    if known.sum() < _FEW_TYPES:
        return _share(name, right, 0.5)
    return Check(name, float(shares[known].mean()), 0.8, len(right))


def _texts(heap: Heap, strings: Strings) -> Answers:
    some = np.flatnonzero(strings.width > 0)[:: max(1, len(strings.rows) // MOST_LOOKED_AT)]
    at = strings.start[some] * 8 + strings.length[some] * strings.width[some]
    everything = heap.image.words.view(np.uint8)
    zeros: Answers = everything[np.minimum(at, len(everything) - 1)] == 0
    wide = ~strings.ascii[some]
    # Those that are not ASCII are few, and begin elsewhere: they count by themselves.
    return zeros if not wide.any() or zeros[wide].mean() >= _MOST_WIDE else zeros[wide].repeat(_FEWEST)


def _dicts(heap: Heap) -> Answers:
    """As many keys as the dict says it has, of those dicts that have a table of their own."""
    rows = sample(heap, Kind.DICT)
    rows = rows[field(heap, rows, heap.layout.ma_values) == 0]
    keys = np.bincount(heap.edges.sources[heap.edges.links == Link.KEY], minlength=len(heap.objects))
    values = np.bincount(heap.edges.sources[heap.edges.links == Link.VALUE], minlength=len(heap.objects))
    used = field(heap, rows, heap.layout.ma_used).astype(np.int64)
    counted = np.maximum(keys, values)[rows]
    right: Answers = (used == counted) | (counted == 0)
    return right


def _modules(heap: Heap, modules: int) -> Answers:
    """The key in ``sys.modules`` beside the ``__name__`` in the module's own dict."""
    if modules == NOBODY:
        return np.zeros(_FEWEST, bool)
    entries = heap.edges.of(modules)
    module = np.array([one.name == "module" for one in heap.classes.raw], bool)[heap.objects.row]
    entries = entries.where((entries.links == Link.VALUE) & module[entries.targets] & (entries.numbers != NOBODY))
    right = []
    for key, node in zip(entries.numbers.tolist(), entries.targets.tolist(), strict=True):
        attributes = heap.edges.of(heap.numbering.one(int(field(heap, np.array([node]), _MODULE_DICT)[0])))
        named = zip(attributes.numbers.tolist(), attributes.targets.tolist(), strict=True)
        names = [heap.text(target) for number, target in named if number >= 0 and heap.text(number) == "__name__"]
        right.append(heap.text(key) in names)
    return np.array(right, bool)
