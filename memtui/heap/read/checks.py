"""Questions whose answers are known, put to every picture: a reader with wrong offsets refuses instead of lying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtui.errors import RefusedError
from memtui.heap.picture import NOBODY, Kind, Link
from memtui.heap.read.image import Indices, Words
from memtui.heap.read.layout import ABSENT
from memtui.heap.read.roots import Heap
from memtui.heap.read.strings import Strings

Answers = NDArray[Any]
"""One of each case: true where it is as it should be; in ``explained``, -1 for those without an answer."""

_MOST_LOOKED_AT = 20_000
_FEWEST = 20
_FEW_OF_A_TYPE, _FEW_TYPES = 5, 4
_MODULE_DICT = 16
"""Offset of a module's dict (``Objects/moduleobject.c``)."""


@dataclass(frozen=True, slots=True)
class Check:
    """A question; ``share`` of the cases that were right (of ``cases``), and how much it must be."""

    name: str
    share: float
    needed: float
    cases: int

    @property
    def passed(self) -> bool:
        """Whether enough were right; few cases prove nothing."""
        return self.cases < _FEWEST or self.share >= self.needed


def run_checks(heap: Heap, strings: Strings, modules: int, explained: Answers) -> list[Check]:
    """All checks. ``explained``: for each object whether its count is what was found, -1 where it has none.

    Raises :class:`RefusedError` when one fails.
    """
    checks = [
        _basic_types(heap),
        _share("classes are first in their own order of resolution", _mro(heap), 0.98),
        _share("texts end in a zero", _texts(heap, strings), 0.995),
        _share("lists have room for their items", _lists(heap), 0.995),
        _share("dicts have an entry for each key", _dicts(heap), 0.98),
        _share("code has a name and names for its variables", _codes(heap), 0.98),
        _share("modules in sys.modules have their names", _modules(heap, modules), 0.8),
    ]
    for link, name in ((Link.ITEM, "items"), (Link.VALUE, "values"), (Link.ATTRIBUTE, "attributes")):
        held = np.zeros(len(heap.objects), bool)
        held[heap.edges.targets[heap.edges.links == link]] = True
        targets = np.flatnonzero(held & (explained >= 0))
        right = explained[targets] > 0
        checks.append(_share_by_type(f"{name} are held as often as they say", right, heap.objects.row[targets]))
    failed = [one for one in checks if not one.passed]
    if failed:
        raise RefusedError(
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


def _basic_types(heap: Heap) -> Check:
    """``object`` has a count and a type and no base; ``type`` comes from it and is as long as classes are."""
    classes = heap.classes
    by_name = {one.name: one for one in classes.raw if one.name in ("object", "type", "int", "str", "dict")}
    object_, type_ = by_name.get("object"), by_name.get("type")
    right = [
        object_ is not None and object_.base == 0 and object_.body_bytes == 16,
        type_ is not None and object_ is not None and type_.base == object_.address,
        type_ is not None and type_.body_bytes == heap.layout.heap_type_size,
        "dict" in by_name and by_name["dict"].body_bytes == heap.layout.dict_size,
        "str" in by_name and by_name["str"].body_bytes == heap.layout.unicode_size,
    ]
    return Check("basic types are as long as they should be", float(np.mean(right)), 1.0, _FEWEST)


def _sample(heap: Heap, kind: Kind) -> Indices:
    rows = np.flatnonzero(heap.classes.kinds[heap.objects.row] == kind)
    return rows[:: max(1, len(rows) // _MOST_LOOKED_AT)]


def _field(heap: Heap, rows: Indices, offset: int) -> Words:
    words: Words = heap.image.words[heap.objects.index[rows] + (offset >> 3)]
    return words


def _mro(heap: Heap) -> Answers:
    addresses = heap.classes.addresses
    mro = np.array([heap.image.word(int(one) + heap.layout.tp_mro) for one in addresses.tolist()], np.uint64)
    words = heap.image.find(mro + np.uint64(heap.layout.tuple_items))
    known = words >= 0
    right: Answers = heap.image.words[words[known]] == addresses[known]
    return right


def _texts(heap: Heap, strings: Strings) -> Answers:
    some = np.flatnonzero(strings.ascii)[:: max(1, len(strings.rows) // _MOST_LOOKED_AT)]
    at = strings.start[some] * 8 + strings.length[some]
    everything = heap.image.words.view(np.uint8)
    right: Answers = everything[np.minimum(at, len(everything) - 1)] == 0
    return right


def _lists(heap: Heap) -> Answers:
    rows = _sample(heap, Kind.LIST)
    right: Answers = _field(heap, rows, 16) <= _field(heap, rows, heap.layout.list_allocated)
    return right


def _dicts(heap: Heap) -> Answers:
    """As many keys as the dict says it has, of those dicts that have a table of their own."""
    rows = _sample(heap, Kind.DICT)
    rows = rows[_field(heap, rows, heap.layout.ma_values) == 0]
    keys = np.bincount(heap.edges.sources[heap.edges.links == Link.KEY], minlength=len(heap.objects))
    values = np.bincount(heap.edges.sources[heap.edges.links == Link.VALUE], minlength=len(heap.objects))
    used = _field(heap, rows, heap.layout.ma_used).astype(np.int64)
    counted = np.maximum(keys, values)[rows]
    right: Answers = (used == counted) | (counted == 0)
    return right


def _codes(heap: Heap) -> Answers:
    layout = heap.layout
    rows = _sample(heap, Kind.CODE)
    is_str = heap.classes.kinds[heap.objects.row] == Kind.STR
    name = heap.numbering.lookup(_field(heap, rows, layout.co_name))
    right: Answers = (name != NOBODY) & is_str[name]
    if layout.co_localsplusnames != ABSENT and layout.co_nlocalsplus != ABSENT:
        names = heap.image.find(_field(heap, rows, layout.co_localsplusnames))
        half = np.uint64(32 * (layout.co_nlocalsplus >> 2 & 1))
        count = (_field(heap, rows, layout.co_nlocalsplus) >> half) & np.uint64(0xFFFFFFFF)
        right &= (names >= 0) & (heap.image.words[np.maximum(names, 0) + 2] == count)
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
        attributes = heap.edges.of(heap.numbering.one(int(_field(heap, np.array([node]), _MODULE_DICT)[0])))
        named = zip(attributes.numbers.tolist(), attributes.targets.tolist(), strict=True)
        names = [heap.text(target) for number, target in named if number >= 0 and heap.text(number) == "__name__"]
        right.append(heap.text(key) in names)
    return np.array(right, bool)
