"""The chain of holders from a root to an object, as steps and as one text: ``shop.cache.CACHE['k17'][3]``."""

from __future__ import annotations

import numpy as np

from memtui.heap.graph.analysis import Analysis
from memtui.heap.graph.labels import GARBAGE, MODULES_ROOT, PER_THREAD, Labels
from memtui.heap.graph.words import Words
from memtui.heap.picture import NOBODY, Group, IntColumn, Picture
from memtui.model.heap import HolderChain, HolderStep

MAX_STEPS = 120
"""A longer chain is shown without its middle."""
_MAX_PERIOD, _LEAST_REPEATS = 6, 4
_MOST_PARTS, _LAST_PARTS = 40, 12


class Chains:
    """Chains of one picture."""

    def __init__(self, picture: Picture, analysis: Analysis, words: Words) -> None:
        self._picture, self._analysis, self._words = picture, analysis, words
        self._labels = Labels(picture, words)

    def chain(self, node: int) -> HolderChain:
        """From the root to ``node``."""
        row = int(self._analysis.roots[node])
        if row == NOBODY:
            step = HolderStep(GARBAGE, node, self._words.type_name(node))
            return HolderChain(GARBAGE, GARBAGE, Group.UNKNOWN.name.lower(), (step,))
        nodes, edges = self._walk(node)
        name = self._picture.roots.names[row]
        group = Group(int(self._picture.roots.groups[row])).name.lower()
        return HolderChain(self._text(name, nodes, edges), name, group, tuple(self._steps(name, nodes, edges)))

    def path(self, node: int) -> str:
        """The chain as one text."""
        row = int(self._analysis.roots[node])
        return GARBAGE if row == NOBODY else self._text(self._picture.roots.names[row], *self._walk(node))

    def _walk(self, node: int) -> tuple[list[int], list[int]]:
        """The nodes from the root to ``node``, and the edges between them."""
        holders, holder_edges = self._analysis.holders.data, self._analysis.holder_edges.data
        nodes, edges = [node], []
        while (over := holders[node]) != NOBODY:
            edges.append(holder_edges[node])
            nodes.append(over)
            node = over
        return nodes[::-1], edges[::-1]

    def _text(self, root: str, nodes: list[int], edges: list[int]) -> str:
        root, start = self._beginning(root, edges)
        parts = [root]
        for first, period, repeats in _stretches(self._codes(edges), start):
            if repeats < 0:
                parts.append(f" …{period:,} more… ")
                continue
            text = "".join(label for label, _ in self._tokens(nodes, edges, first, first + period))
            parts.append(text if repeats == 1 else f"{text}{{x{repeats}}}")
        return "".join(parts)

    def _codes(self, edges: list[int]) -> IntColumn:
        rows = np.array(edges, np.int64)
        links = self._picture.edges.links[rows].astype(np.int64)
        return links << 32 | (self._picture.edges.numbers[rows].astype(np.int64) & 0xFFFFFFFF)

    def _tokens(self, nodes: list[int], edges: list[int], first: int, end: int) -> list[tuple[str, int]]:
        """Labels of the edges from ``first`` to ``end`` and where each leads; dicts of attributes are passed over."""
        tokens: list[tuple[str, int]] = []
        position = first
        while position < end:
            in_thread = bool(tokens) and tokens[-1][0] == PER_THREAD
            label, count = self._token(nodes[position], edges[position : min(position + 2, end)], in_thread)
            position += count
            tokens.append((label, nodes[position]))
        return tokens

    def _token(self, node: int, edges: list[int], in_thread: bool) -> tuple[str, int]:
        """One label and how many of the next edges it stands for."""
        labels = self._labels
        if in_thread and (name := labels.name_in_dict(edges[0])) is not None:
            return f".{name}", 1
        if len(edges) == 2 and labels.is_dict_field(edges[0]) and (name := labels.name_in_dict(edges[1])) is not None:
            return f".{name}", 2
        label = labels.edge(node, edges[0])
        if label == PER_THREAD and len(edges) == 2 and labels.is_value(edges[1]):
            # A dict with a dict for each thread: its key says nothing.
            return label, 2
        return label, 1

    def _beginning(self, root: str, edges: list[int]) -> tuple[str, int]:
        """What the chain begins with, and from which edge on: a module stands for its entry in ``sys.modules``."""
        if root == MODULES_ROOT and edges and (module := self._labels.module_name(edges[0])) is not None:
            return module, 1
        return root, 0

    def _steps(self, root: str, nodes: list[int], edges: list[int]) -> list[HolderStep]:
        root, start = self._beginning(root, edges)
        steps = [HolderStep(root, nodes[start], self._words.type_name(nodes[start]))]
        head, tail = len(edges), len(edges)
        if len(edges) - start > MAX_STEPS:
            head, tail = start + MAX_STEPS // 2, len(edges) - MAX_STEPS // 2
        for label, node in self._tokens(nodes, edges, start, head):
            steps.append(HolderStep(label, node, self._words.type_name(node)))
        if head < tail:
            steps.append(HolderStep(f"…{tail - head:,} more…", NOBODY, ""))
            for label, node in self._tokens(nodes, edges, tail, len(edges)):
                steps.append(HolderStep(label, node, self._words.type_name(node)))
        return steps


def _stretches(codes: IntColumn, start: int) -> list[tuple[int, int, int]]:
    """The chain in stretches: where one begins, its period, how often it repeats.

    What does not repeat is one stretch of one turn. Where too many parts would come of it, the middle is left out:
    (-1, how many, -1).
    """
    runs = [np.zeros(0, np.int64), *(_equal_runs(codes, period) for period in range(1, _MAX_PERIOD + 1))]
    stretches: list[tuple[int, int, int]] = []
    position, plain, end = start, start, len(codes)
    parts = 0
    while position < end:
        if parts >= _MOST_PARTS and end - position > 2 * _LAST_PARTS:
            stretches.append((plain, position - plain, 1))
            stretches.append((-1, end - _LAST_PARTS - position, -1))
            position = plain = end - _LAST_PARTS
        parts += 1
        period, repeats = _repeats(runs, position, end)
        if repeats >= _LEAST_REPEATS:
            stretches.append((plain, position - plain, 1))
            stretches.append((position, period, repeats))
            position = plain = position + period * repeats
        else:
            position += 1
    stretches.append((plain, end - plain, 1))
    return [one for one in stretches if one[1]]


def _repeats(runs: list[IntColumn], position: int, end: int) -> tuple[int, int]:
    """The shortest period that repeats often enough at a position, and how often."""
    for period in range(1, _MAX_PERIOD + 1):
        if position + period < end:
            repeats = int(runs[period][position]) // period + 1
            if repeats >= _LEAST_REPEATS:
                return period, repeats
    return 1, 1


def _equal_runs(codes: IntColumn, period: int) -> IntColumn:
    """From each position on, how many codes are equal to the one a period further."""
    same = codes[period:] == codes[:-period]
    count = len(same)
    # The next position that is not the same, for each.
    breaks = np.where(same, count, np.arange(count, dtype=np.int64))
    following = np.minimum.accumulate(breaks[::-1])[::-1] if count else breaks
    return following - np.arange(count, dtype=np.int64)
