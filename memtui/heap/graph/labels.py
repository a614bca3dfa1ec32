"""How an edge is written: ``['key']``, ``[3]``, ``.name``."""

from __future__ import annotations

from memtui.heap.graph.words import Words
from memtui.heap.picture import Link, Picture

DICT_FIELD = ".__dict__"
MODULES_ROOT = "sys.modules"
PER_THREAD = "<per thread>"
"""The field of a ``threading.local`` in which its attributes are."""
GARBAGE = "(no holder: garbage that waits for the collector)"
FRAME_FIELDS = ("", ".gi_frame", ".cr_frame", ".ag_frame")
"""How what has variables leads to its frame: a frame itself, a generator, a coroutine, an asynchronous generator."""
_FRAME_TYPES = ("frame", "generator", "coroutine", "async_generator")


class Labels:
    """The labels of one picture's edges."""

    def __init__(self, picture: Picture, words: Words) -> None:
        self._edges = picture.edges
        self._fields = picture.field_names
        self._words = words

    def edge(self, source: int, edge: int) -> str:
        """How ``source`` holds the target of its edge. An unknown field is followed by the target's type."""
        link, number = int(self._edges.links[edge]), int(self._edges.numbers[edge])
        if link == Link.ITEM:
            return f"[{number}]"
        if link == Link.VALUE:
            return f"[{self._words.key(number)}]"
        if link == Link.ATTRIBUTE:
            return self.attribute(number)
        if link == Link.LOCAL:
            return self._local(source, number)
        target = int(self._edges.targets[edge])
        if link == Link.FIELD:
            name = self._fields[number]
            return name if not name.startswith(".<+") else f"{name}<{self._words.short_type(target)}>"
        if link == Link.MEMORY:
            return f".<memory+{number}><{self._words.short_type(target)}>"
        if link == Link.CLASS:
            return ".__class__"
        return f"<key {self._words.key(target)}>" if link == Link.KEY else f"{{{self._words.key(target)}}}"

    def attribute(self, name: int) -> str:
        """``.name``; where the name is not known or no Python name, what there is of it."""
        text = self._words.identifier(name)
        return f".{text}" if text is not None else f".<{self._words.key(name)}>"

    def is_dict_field(self, edge: int) -> bool:
        """From an object to the dict of its attributes."""
        return self._edges.links[edge] == Link.FIELD and self._fields[int(self._edges.numbers[edge])] == DICT_FIELD

    def is_value(self, edge: int) -> bool:
        """From a dict to a value in it."""
        return bool(self._edges.links[edge] == Link.VALUE)

    def name_in_dict(self, edge: int) -> str | None:
        """The key of a value that is a Python name: ``.__dict__['name']`` is the same as ``.name``."""
        if self._edges.links[edge] != Link.VALUE:
            return None
        return self._words.identifier(int(self._edges.numbers[edge]))

    def module_name(self, edge: int) -> str | None:
        """The key of a value that is a str, as ``package.module`` in ``sys.modules``."""
        if self._edges.links[edge] != Link.VALUE:
            return None
        text = self._words.text(int(self._edges.numbers[edge]))
        return text if text is not None and text.replace(".", "_").isidentifier() else None

    def _local(self, source: int, number: int) -> str:
        frame = frame_field(self._words.type_name(source))
        return f"{frame}.f_locals[{self._words.key(number)}]" if number >= 0 else f"{frame}.<value stack>"


def frame_field(type_name: str) -> str:
    """The one of ``FRAME_FIELDS`` for a type; a generator's for what is not known."""
    return FRAME_FIELDS[_FRAME_TYPES.index(type_name) if type_name in _FRAME_TYPES else 1]
