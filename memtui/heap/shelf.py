"""One picture with all that is worked out from it when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memtui.errors import UsageError
from memtui.heap.file import facts_of, read_picture
from memtui.heap.graph.analysis import Analysis, analyse
from memtui.heap.graph.chains import Chains
from memtui.heap.graph.folds import Folds
from memtui.heap.graph.forest import Forest
from memtui.heap.graph.labels import DICT_FIELD, Labels
from memtui.heap.graph.paths import HolderPaths, PathSums, path_sums
from memtui.heap.graph.rows import Backward, backward, sources
from memtui.heap.graph.samples import Samples
from memtui.heap.graph.words import Words
from memtui.heap.picture import IntColumn, Kind, Link, NodeColumn, NodeFlag, Picture
from memtui.model.heap import HeapObject, PictureFacts

_NEVER_FOLDED_KINDS = (
    Kind.LIST,
    Kind.DICT,
    Kind.ORDERED_DICT,
    Kind.TUPLE,
    Kind.SET,
    Kind.DEQUE,
    Kind.TYPE,
    Kind.BLOCK,
)
_NEVER_FOLDED_TYPES = ("module", "cell")
"""A path that meets an object of these again has not come back to where it was."""


class Shelf:
    """A picture and its parts. ``analysis`` raises :class:`UsageError` for a quick picture."""

    def __init__(self, path: str | Path, picture: Picture, analysis: Analysis | None) -> None:
        self.path = Path(path)
        self.picture = picture
        self._kept = analysis
        self.words = Words(picture)
        self.labels = Labels(picture, self.words)

    @classmethod
    def open(cls, path: str | Path) -> Shelf:
        """Read a file. Raises :class:`UsageError`."""
        return cls(path, *read_picture(path))

    @cached_property
    def facts(self) -> PictureFacts:
        """The head of the picture."""
        return facts_of(self.path, self.picture.facts)

    @cached_property
    def analysis(self) -> Analysis:
        """Holders, dominators and retained sizes: those of the file, or worked out now."""
        if self.picture.is_quick:
            raise UsageError(
                f"The picture {self.path} does not say who holds what.",
                why="It is a quick one: types and sizes only.",
                next_step="Take one without --quick.",
            )
        return self._kept or analyse(self.picture)

    @cached_property
    def chains(self) -> Chains:
        """Chains of holders."""
        return Chains(self.picture, self.analysis, self.words)

    @cached_property
    def samples(self) -> Samples:
        """Objects in a few words."""
        return Samples(self.picture, self.words, self.labels)

    @cached_property
    def forest(self) -> Forest:
        """The dominator tree."""
        return Forest(self.analysis)

    @cached_property
    def paths(self) -> HolderPaths:
        """Folded holder paths of all objects."""
        types = self.picture.types
        comes_back = np.zeros(len(self.type_names), np.bool_)
        for name, kind in zip(types.names, types.kinds.tolist(), strict=True):
            comes_back[self.type_rows[name]] = kind not in _NEVER_FOLDED_KINDS and name not in _NEVER_FOLDED_TYPES
        folds = Folds(self.picture, self.analysis, self.words, self.namespaces)
        return HolderPaths(folds, self.analysis, self.named_types, comes_back)

    @cached_property
    def path_sums(self) -> PathSums:
        """Figures by path."""
        return path_sums(self.paths, self.picture)

    @cached_property
    def retained_by_path(self) -> IntColumn:
        """Bytes by path."""
        return self.forest.retained_by_group(self.paths.of_node, len(self.paths.tree.parents))

    @cached_property
    def backward(self) -> Backward:
        """References by target."""
        return backward(self.picture.edges.targets, len(self.picture.nodes))

    @cached_property
    def sources(self) -> NodeColumn:
        """The source of each reference."""
        return sources(self.picture.edges.starts)

    @cached_property
    def type_names(self) -> list[str]:
        """The distinct names of types, sorted: several types may share one."""
        return sorted(set(self.picture.types.names))

    @cached_property
    def type_rows(self) -> dict[str, int]:
        """Row of each name in ``type_names``."""
        return {name: row for row, name in enumerate(self.type_names)}

    @cached_property
    def named_types(self) -> NodeColumn:
        """For each node the row of its type's name in ``type_names``."""
        rows = np.array([self.type_rows[name] for name in self.picture.types.names] or [0], np.int32)
        return rows[self.picture.nodes.types]

    @cached_property
    def retained_by_type(self) -> IntColumn | None:
        """Bytes by row of ``type_names``; None in a quick picture."""
        if self.picture.is_quick:
            return None
        return self.forest.retained_by_group(self.named_types, len(self.type_names))

    @cached_property
    def namespaces(self) -> NDArray[np.bool_]:
        """Dicts that some object has as its ``__dict__``."""
        edges = self.picture.edges
        found = np.zeros(len(self.picture.nodes), np.bool_)
        if DICT_FIELD in self.picture.field_names:
            number = self.picture.field_names.index(DICT_FIELD)
            found[edges.targets[(edges.links == Link.FIELD) & (edges.numbers == number)]] = True
        return found

    @cached_property
    def module_parts(self) -> NDArray[np.bool_]:
        """Modules and their dicts."""
        edges = self.picture.edges
        is_module = np.array([name == "module" for name in self.picture.types.names] or [False], np.bool_)
        modules = is_module[self.picture.nodes.types]
        parts: NDArray[np.bool_] = modules.copy()
        held = edges.targets[modules[self.sources] & (edges.links == Link.FIELD)]
        parts[held[self.namespaces[held]]] = True
        return parts

    def shared_holder(self, path: int) -> int | None:
        """The last object that the holder chains of all on a folded path share; None when there is none."""
        over = self.paths.tree.parents[path]
        while over >= 0:
            node = int(self.path_sums.examples[over])
            if self.path_sums.counts[over] == 1 and not self.namespaces[node]:
                return node
            over = self.paths.tree.parents[over]
        return None

    def check(self, node: int) -> int:
        """The node; raises :class:`UsageError` when there is none of this number."""
        if not isinstance(node, int) or not 0 <= node < len(self.picture.nodes):
            raise UsageError(f"There is no object {node} in the picture {self.path}.")
        return node

    def object(self, node: int) -> HeapObject:
        """One object as front ends get it."""
        nodes = self.picture.nodes
        flags, length = int(nodes.flags[node]), int(nodes.lengths[node])
        return HeapObject(
            node=node,
            type=self.words.type_name(node),
            address=int(nodes.addresses[node]),
            size_bytes=int(nodes.sizes[node]),
            retained_bytes=None if self.picture.is_quick else int(self.analysis.retained[node]),
            references=-1 if flags & NodeFlag.IMMORTAL else int(nodes.reference_counts[node]),
            length=length if length >= 0 else None,
            text=self.words.show(node),
            held_from_c=bool(flags & NodeFlag.HELD_FROM_C),
        )
