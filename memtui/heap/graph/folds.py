"""Labels of a path with what varies folded away: every index, key, element is ``[*]``, names stay."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memtui.heap.graph.analysis import Analysis
from memtui.heap.graph.labels import DICT_FIELD, FRAME_FIELDS, GARBAGE, MODULES_ROOT, PER_THREAD, Labels, frame_field
from memtui.heap.graph.words import Words
from memtui.heap.picture import NOBODY, Group, Link, NodeColumn, Picture

ANY, KEYS, MEMORY, CLASS, LOST, FIELD, NAME, LOCAL, MODULE, ROOT = range(10)
"""Kinds of folded labels; the last five have a number: a field, a node (the name) or a root."""
_SIMPLE = {ANY: "[*]", KEYS: "<key *>", MEMORY: ".<memory>", CLASS: ".__class__", LOST: GARBAGE}
_KIND_BITS, _FRAME_BITS = 40, 36
_MOST_NAMES = 500
"""A larger ``__dict__`` that is no module's is used as a mere dict: its keys vary."""

Label = tuple[int, str]
"""Kind and text: equal in two pictures when it means the same."""


class Folds:
    """``labels`` are the distinct ones; ``of_node`` is the row of the one that holds each node ."""

    def __init__(self, picture: Picture, analysis: Analysis, words: Words, namespaces: NDArray[np.bool_]) -> None:
        self._picture, self._words = picture, words
        self._labels = Labels(picture, words)
        codes = self._codes(analysis, self._named(analysis, namespaces))
        distinct, rows = np.unique(codes, return_inverse=True)
        texts = [self._label(code) for code in distinct.tolist()]
        merged = {label: row for row, label in enumerate(dict.fromkeys(texts))}
        self.labels: list[Label] = list(merged)
        self.of_node: NodeColumn = np.array([merged[text] for text in texts] or [0], np.int32)[rows]

    def _named(self, analysis: Analysis, namespaces: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Dicts whose keys are names: they stay in the path."""
        picture = self._picture
        is_module = np.array([name == "module" for name in picture.types.names] or [False], np.bool_)
        of_module = np.zeros(len(picture.nodes), np.bool_)
        held = analysis.holders != NOBODY
        of_module[held] = is_module[picture.nodes.types[analysis.holders[held]]]
        return (namespaces | self._of_threads(analysis)) & (of_module | (picture.nodes.lengths <= _MOST_NAMES))

    def _of_threads(self, analysis: Analysis) -> NDArray[np.bool_]:
        """Dicts with the attributes that a ``threading.local`` has in one thread."""
        picture = self._picture
        found = np.zeros(len(picture.nodes), np.bool_)
        if PER_THREAD in picture.field_names:
            number = picture.field_names.index(PER_THREAD)
            edges = picture.edges
            found[edges.targets[(edges.links == Link.FIELD) & (edges.numbers == number)]] = True
            found = (analysis.holders >= 0) & found[analysis.holders]
        return found

    def _codes(self, analysis: Analysis, named: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Kind and number of each node's label in one integer."""
        picture, edges = self._picture, self._picture.edges
        count = len(picture.nodes)
        kinds, numbers = np.zeros(count, np.int64), np.zeros(count, np.int64)
        kinds[analysis.roots == NOBODY] = LOST
        starts = np.flatnonzero(analysis.depths == 0)
        kinds[starts], numbers[starts] = ROOT, analysis.roots[starts]
        held = np.flatnonzero(analysis.holder_edges >= 0)
        holders = analysis.holders[held]
        links = edges.links[analysis.holder_edges[held]]
        kind = np.array([FIELD, ANY, ANY, KEYS, ANY, NAME, LOCAL, CLASS, MEMORY], np.int64)[links]
        by_name = (links == Link.VALUE) & named[holders]
        kind[by_name] = NAME
        kind[(links == Link.VALUE) & self._modules(analysis)[holders]] = MODULE
        kinds[held] = kind
        number = edges.numbers[analysis.holder_edges[held]].astype(np.int64) + 1
        numbers[held] = np.where(kind >= FIELD, number, 0)
        frames = np.zeros(count, np.int64)
        frames[held] = np.where(kind == LOCAL, self._frame_rows()[picture.nodes.types[holders]], 0)
        return kinds << _KIND_BITS | frames << _FRAME_BITS | numbers

    def _frame_rows(self) -> NDArray[np.int64]:
        """For each type the row of its way to a frame's variables."""
        rows = [list(FRAME_FIELDS).index(frame_field(name)) for name in self._picture.types.names]
        return np.array(rows or [0], np.int64)

    def _modules(self, analysis: Analysis) -> NDArray[np.bool_]:
        """``sys.modules`` itself."""
        roots = self._picture.roots
        found = np.zeros(len(self._picture.nodes), np.bool_)
        for name, node, group in zip(roots.names, roots.nodes.tolist(), roots.groups.tolist(), strict=True):
            if name == MODULES_ROOT and group == Group.MODULES:
                found[node] = analysis.depths[node] == 0
        return found

    def _label(self, code: int) -> Label:
        kind, frame, number = code >> _KIND_BITS, (code >> _FRAME_BITS) & 3, code & 0xFFFFFFFF
        if kind in _SIMPLE:
            return kind, _SIMPLE[kind]
        if kind == ROOT:
            return kind, self._picture.roots.names[number]
        number -= 1
        if kind == FIELD:
            return kind, self._picture.field_names[number]
        if kind == LOCAL:
            before = FRAME_FIELDS[frame]
            return kind, f"{before}.f_locals[{self._words.key(number)}]" if number >= 0 else f"{before}.<value stack>"
        if kind == MODULE:
            return kind, self._words.text(number) or f"sys.modules[{self._words.key(number)}]"
        return kind, self._labels.attribute(number)


def join(labels: list[Label]) -> str:
    """Folded labels as one text: ``.__dict__.name`` is ``.name``, ``sys.modules.x`` is ``x``, threads are one."""
    parts: list[str] = []
    for position, (kind, text) in enumerate(labels):
        following = labels[position + 1][0] if position + 1 < len(labels) else None
        hidden = (kind, text, following) in ((FIELD, DICT_FIELD, NAME), (ROOT, MODULES_ROOT, MODULE))
        hidden |= kind == ANY and position > 0 and labels[position - 1] == (FIELD, PER_THREAD)
        if not hidden:
            parts.append(text)
    return "".join(parts)
