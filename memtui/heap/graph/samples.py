"""Objects in a few words, out of a picture: ``Order(id=17, name='x', items=<list of 3>)``. No code of theirs runs."""

from __future__ import annotations

from memtui.heap.graph.labels import DICT_FIELD, Labels
from memtui.heap.graph.words import Words
from memtui.heap.picture import Kind, Link, Picture

MOST_CHARACTERS = 120
_MOST_PARTS = 5
_PART_CHARACTERS = 30
_MOST_EDGES = 64
_IN_BRACKETS = {Kind.LIST: ("[", "]"), Kind.TUPLE: ("(", ")"), Kind.SET: ("{", "}"), Kind.DEQUE: ("[", "]")}
_HIDDEN = (DICT_FIELD, ".__weakref__", ".__class__")


class Samples:
    """Texts of one picture's objects."""

    def __init__(self, picture: Picture, words: Words, labels: Labels) -> None:
        self._picture, self._words, self._labels = picture, words, labels

    def show(self, node: int) -> str:
        """An object with what it is made of, one step deep, of bounded length."""
        text = self._words.show(node, MOST_CHARACTERS // 2) or self._composed(node)
        return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"

    def _composed(self, node: int) -> str:
        kind = Kind(self._words.kind(node))
        name = self._words.short_type(node)
        if kind in _IN_BRACKETS:
            begin, end = _IN_BRACKETS[kind]
            parts = [self._part(target) for link, _, target in self._edges(node) if link in (Link.ITEM, Link.ELEMENT)]
            text = begin + self._joined(parts, self._length(node)) + end
            return text if name in ("list", "tuple", "set") else f"{name}({text})"
        if kind in (Kind.DICT, Kind.ORDERED_DICT):
            pairs = [
                f"{self._words.key(number)}: {self._part(target)}"
                for link, number, target in self._edges(node)
                if link == Link.VALUE
            ]
            text = "{" + self._joined(pairs, self._length(node)) + "}"
            return text if name == "dict" else f"{name}({text})"
        return f"{name}({self._joined(self._fields(node), None)})" if kind == Kind.GENERIC else self._part(node)

    def _fields(self, node: int) -> list[str]:
        """Attributes with their values, wherever the object keeps them."""
        fields: list[str] = []
        first = int(self._picture.edges.starts[node])
        for edge, (link, number, target) in enumerate(self._edges(node), first):
            if link == Link.ATTRIBUTE:
                fields.append(f"{self._labels.attribute(number)[1:]}={self._part(target)}")
            elif self._labels.is_dict_field(edge):
                fields += [
                    f"{name}={self._part(value)}"
                    for inner, key, value in self._edges(target)
                    if inner == Link.VALUE and (name := self._words.identifier(key)) is not None
                ]
            elif link == Link.FIELD:
                label = self._picture.field_names[number]
                if label not in _HIDDEN and not label.startswith(".<"):
                    fields.append(f"{label[1:]}={self._part(target)}")
        return fields

    def _edges(self, node: int) -> list[tuple[int, int, int]]:
        """Link, number and target of the first references."""
        edges = self._picture.edges
        first = int(edges.starts[node])
        rows = slice(first, min(int(edges.starts[node + 1]), first + _MOST_EDGES))
        return list(
            zip(edges.links[rows].tolist(), edges.numbers[rows].tolist(), edges.targets[rows].tolist(), strict=True)
        )

    def _part(self, node: int) -> str:
        """An object inside another: its text, or its type and length."""
        text = self._words.show(node, _PART_CHARACTERS)
        if text is not None:
            return text
        length = self._length(node)
        return f"<{self._words.short_type(node)}{'' if length is None else f' of {length}'}>"

    def _length(self, node: int) -> int | None:
        length = int(self._picture.nodes.lengths[node])
        return length if length >= 0 else None

    def _joined(self, parts: list[str], length: int | None) -> str:
        count = len(parts) if length is None else length
        shown = parts[:_MOST_PARTS]
        return ", ".join([*shown, "…"] if count > len(shown) else shown)
