"""Heap pictures made by hand: objects by name, references between them, roots."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from memtui.heap.picture import (
    NOBODY,
    Duplicates,
    Edges,
    Group,
    Kind,
    Limits,
    Link,
    NodeFlag,
    Nodes,
    Numbers,
    Picture,
    Roots,
    Texts,
    Types,
)

KINDS = {
    "str": Kind.STR, "int": Kind.INT, "bytes": Kind.BYTES, "float": Kind.LEAF, "NoneType": Kind.LEAF,
    "tuple": Kind.TUPLE, "list": Kind.LIST, "dict": Kind.DICT, "collections.OrderedDict": Kind.ORDERED_DICT,
    "set": Kind.SET, "collections.deque": Kind.DEQUE, "type": Kind.TYPE, "code": Kind.CODE, "frame": Kind.FRAME,
    "generator": Kind.GENERATOR, "coroutine": Kind.GENERATOR, "memory": Kind.BLOCK,
}  # fmt: skip
CONTAINERS = {"tuple", "list", "dict", "collections.OrderedDict", "set", "collections.deque"}
FIRST_ADDRESS = 0x7F00_0000_0000


@dataclass
class Heap:
    """Objects are numbers in the order of making; ``picture()`` renumbers nothing."""

    types: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    addresses: dict[int, int] = field(default_factory=dict)
    flags: dict[int, int] = field(default_factory=dict)
    held: list[tuple[int, Link, int, int]] = field(default_factory=list)
    fields: list[str] = field(default_factory=lambda: [".__dict__"])
    texts: dict[int, str] = field(default_factory=dict)
    values: dict[int, int] = field(default_factory=dict)
    roots: list[tuple[int, str, Group]] = field(default_factory=list)
    classes: dict[str, int] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    extra: dict[str, object] = field(default_factory=dict)
    _words: dict[str, int] = field(default_factory=dict)
    _positions: dict[int, int] = field(default_factory=dict)
    _modules: int | None = None

    def add(self, type_name: str, size: int = 64, address: int | None = None) -> int:
        """A new object (all blocks after all objects)."""
        self.types.append(type_name)
        self.sizes.append(size)
        node = len(self.types) - 1
        if address is not None:
            self.addresses[node] = address
        return node

    def text(self, words: str, kind: str = "str") -> int:
        """The string; there is one of each, as if interned."""
        if words not in self._words or kind != "str":
            node = self.add(kind, 49 + len(words))
            self.texts[node] = words
            if kind != "str":
                return node
            self._words[words] = node
        return self._words[words]

    def number(self, value: int) -> int:
        """A new int."""
        node = self.add("int", 28)
        self.values[node] = value
        return node

    def link(self, holder: int, link: Link, target: int, number: int = 0) -> int:
        """A reference as it is kept; returns the target."""
        self.held.append((holder, link, target, number))
        return target

    def field(self, holder: int, name: str, target: int) -> int:
        """``holder.name`` in a field of its own."""
        label = f".{name}"
        if label not in self.fields:
            self.fields.append(label)
        return self.link(holder, Link.FIELD, target, self.fields.index(label))

    def item(self, holder: int, target: int) -> int:
        """Append to a list, tuple or deque."""
        position = self._positions[holder] = self._positions.get(holder, -1) + 1
        return self.link(holder, Link.ITEM, target, position)

    def items(self, holder: int, targets: list[int]) -> None:
        """All at once."""
        self.held += [(holder, Link.ITEM, target, position) for position, target in enumerate(targets)]

    def value(self, holder: int, key: str | int, target: int) -> int:
        """``holder[key]``; a str is made if it is not there yet, an int is a node."""
        node = self.text(key) if isinstance(key, str) else key
        self.link(holder, Link.KEY, node)
        return self.link(holder, Link.VALUE, target, node)

    def attribute(self, holder: int, name: str, target: int) -> int:
        """An instance attribute kept in the object."""
        return self.link(holder, Link.ATTRIBUTE, target, self.text(name))

    def root(self, node: int, name: str, group: Group = Group.MODULES) -> int:
        """A root."""
        self.roots.append((node, name, group))
        return node

    def module(self, name: str) -> int:
        """A module in ``sys.modules``; returns its dict."""
        if self._modules is None:
            self._modules = self.root(self.add("dict", 232), "sys.modules")
        module = self.value(self._modules, name, self.add("module", 72))
        return self.field(module, "__dict__", self.add("dict", 232))

    def cls(self, namespace: int, module: str, name: str) -> int:
        """A class; returns its dict."""
        node = self.value(namespace, name, self.add("type", 1064))
        self.classes[f"{module}.{name}"] = node
        return self.field(node, "__dict__", self.add("dict", 232))

    def instance(self, type_name: str, size: int = 48) -> int:
        """An object of a class made by ``cls``; it holds its class."""
        node = self.add(type_name, size)
        self.link(node, Link.CLASS, self.classes[type_name])
        return node

    def picture(self) -> Picture:
        """Everything in columns."""
        count = len(self.types)
        names = tuple(dict.fromkeys(["type", *self.types]))
        row = {name: number for number, name in enumerate(names)}
        held = sorted(self.held, key=lambda one: one[0])
        starts = np.searchsorted([one[0] for one in held], np.arange(count + 1)) if held else np.zeros(count + 1)
        column = np.array([one[1:] for one in held], np.int64).reshape(-1, 3)
        objects = next((node for node, name in enumerate(self.types) if name == "memory"), count)
        addresses = [self.addresses.get(node, FIRST_ADDRESS + 64 * node) for node in range(count)]
        return Picture(
            facts={
                "target": {"pid": 4242, "command": ["python", "app.py"], "python": "3.11.7", "started_at": None},
                "taken_at": "2026-11-21T12:00:00Z", "source": "frozen copy", "quick": False, "objects": objects,
                "edges": len(held), "bytes": sum(self.sizes), "rss_bytes": None, "stop_seconds": 0.004,
                "quality": 0.99, "notes": [], **self.facts,
            },
            types=Types(
                names,
                np.array([self.classes.get(name, NOBODY) for name in names], np.int32),
                np.full(len(names), NOBODY, np.int32),
                np.array([KINDS.get(name, Kind.GENERIC) for name in names], np.uint8),
                np.array([name in self.classes for name in names], np.bool_),
            ),
            nodes=Nodes(
                np.array(addresses, np.uint64),
                np.array([row[name] for name in self.types], np.int32),
                np.array(self.sizes, np.int64),
                np.bincount(column[:, 1], minlength=count).astype(np.uint32) if held else np.ones(count, np.uint32),
                self._lengths(count),
                np.array([self.flags.get(node, int(NodeFlag.TRACKED)) for node in range(count)], np.uint8),
            ),
            object_count=objects,
            edges=Edges(
                np.asarray(starts, np.int64), column[:, 1].astype(np.int32), column[:, 0].astype(np.uint8),
                column[:, 2].astype(np.int32),
            ),
            roots=Roots(
                np.array([node for node, _, _ in self.roots], np.int32),
                tuple(name for _, name, _ in self.roots),
                np.array([group for _, _, group in self.roots], np.uint8),
            ),
            field_names=tuple(self.fields),
            texts=self._texts(),
            numbers=Numbers(np.array(sorted(self.values), np.int32),
                            np.array([self.values[node] for node in sorted(self.values)], np.int64)),
            duplicates=Duplicates(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64)),
            limits=Limits(np.zeros(0, np.int32), np.zeros(0, np.int64)),
            extra=dict(self.extra),
        )  # fmt: skip

    def _lengths(self, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        lengths = np.full(count, -1, np.int64)
        for node, name in enumerate(self.types):
            if name in CONTAINERS:
                lengths[node] = 0
        for source, link, _, _ in self.held:
            if self.types[source] in CONTAINERS and link != Link.KEY:
                lengths[source] += 1
        for node, words in self.texts.items():
            lengths[node] = len(words)
        return lengths

    def _texts(self) -> Texts:
        nodes = sorted(self.texts)
        pieces = [self.texts[node].encode() for node in nodes]
        starts = np.cumsum([0, *map(len, pieces)]).astype(np.int64)
        return Texts(np.array(nodes, np.int32), starts, np.frombuffer(b"".join(pieces), np.uint8).copy())
