"""The columns of a picture as they are kept in a file: packed small, checked when they come back.

Ascending columns are kept as differences; what is nearly the same as something else (the dominator: mostly the
holder) as the difference to that. Everything is narrowed to the smallest type that holds it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from memtui.heap.facts import Facts
from memtui.heap.graph.analysis import Analysis
from memtui.heap.graph.rows import sources
from memtui.heap.picture import (
    NOBODY,
    Duplicates,
    Edges,
    Group,
    IntColumn,
    Kind,
    Limits,
    Link,
    NodeColumn,
    Nodes,
    Numbers,
    Picture,
    Roots,
    Texts,
    Types,
)

Columns = dict[str, NDArray[Any]]
Names = dict[str, Any]

_MOST = 2**31 - 1
_BY_NODE = (Link.VALUE, Link.ATTRIBUTE, Link.LOCAL)
"""The number of these edges is a node."""


class BadColumnsError(ValueError):
    """What is in the file cannot be a picture. The text is a clause that says what was met."""


def to_columns(picture: Picture, analysis: Analysis | None) -> tuple[Names, Columns]:
    """The names (JSON) and the packed columns of a picture."""
    names: Names = {
        "types": picture.types.names,
        "fields": picture.field_names,
        "roots": picture.roots.names,
        "object_count": picture.object_count,
        "extra": picture.extra,
    }
    types, nodes, edges = picture.types, picture.nodes, picture.edges
    columns: Columns = {
        "type_nodes": types.nodes, "type_bases": types.bases, "type_kinds": types.kinds,
        "type_is_heap": types.is_heap_type.astype(np.uint8),
        "addresses": _differences(nodes.addresses.view(np.int64)), "types": nodes.types, "sizes": nodes.sizes,
        "reference_counts": nodes.reference_counts, "lengths": nodes.lengths, "flags": nodes.flags,
        "edge_counts": np.diff(edges.starts), "targets": edges.targets, "links": edges.links,
        "numbers": edges.numbers,
        "root_nodes": picture.roots.nodes, "root_groups": picture.roots.groups,
        "text_nodes": _differences(picture.texts.nodes), "text_lengths": np.diff(picture.texts.starts),
        "text_data": picture.texts.data,
        "int_nodes": _differences(picture.numbers.nodes), "int_values": picture.numbers.values,
        "duplicate_nodes": picture.duplicates.nodes, "duplicate_counts": picture.duplicates.counts,
        "duplicate_wasted": picture.duplicates.wasted_bytes,
        "limit_nodes": picture.limits.nodes, "limits": picture.limits.most,
    }  # fmt: skip
    if analysis is not None:
        columns |= {
            "holder_edges": analysis.holder_edges,
            "holder_roots": analysis.roots,
            "holder_depths": analysis.depths,
            "dominators": analysis.dominators.astype(np.int64) - analysis.holders,
            "retained": analysis.retained - nodes.sizes,
        }
    return names, {name: _narrow(column) for name, column in columns.items()}


def from_columns(facts: Facts, names: Names, columns: Columns) -> tuple[Picture, Analysis | None]:
    """The picture and its analysis. Raises :class:`BadColumnsError`, ``KeyError`` or ``TypeError``."""
    unpacked = _Unpacked(columns)
    nodes, objects = _nodes(unpacked), names["object_count"]
    count = len(nodes)
    if not isinstance(objects, int) or not 0 <= objects <= count:
        raise BadColumnsError("Its number of objects is wrong")
    types = _types(unpacked, _strings(names["types"]), count)
    _check_range("types", nodes.types, 0, len(types.names))
    edges = _edges(unpacked, count, len(_strings(names["fields"])))
    picture = Picture(
        facts=facts, types=types, nodes=nodes, object_count=objects, edges=edges,
        roots=_roots(unpacked, _strings(names["roots"]), count),
        field_names=_strings(names["fields"]),
        texts=_texts(unpacked, count),
        numbers=Numbers(unpacked.ascending("int_nodes", count), unpacked.ints("int_values")),
        duplicates=Duplicates(
            unpacked.nodes("duplicate_nodes", count), unpacked.ints("duplicate_counts"),
            unpacked.ints("duplicate_wasted"),
        ),
        limits=Limits(unpacked.nodes("limit_nodes", count), unpacked.ints("limits")),
        extra=dict(names["extra"]),
    )  # fmt: skip
    _same("int_values", picture.numbers.values, len(picture.numbers.nodes))
    _same("duplicate_counts", picture.duplicates.counts, len(picture.duplicates.nodes))
    _same("duplicate_wasted", picture.duplicates.wasted_bytes, len(picture.duplicates.nodes))
    _same("limits", picture.limits.most, len(picture.limits.nodes))
    return picture, _analysis(unpacked, picture) if "holder_edges" in columns else None


class _Unpacked:
    """Columns by name, widened and checked for their kind."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def ints(self, name: str) -> IntColumn:
        column = self._columns[name]
        if column.ndim != 1 or column.dtype.kind not in "iu" or len(column) > _MOST:
            raise BadColumnsError(f"Its column {name} is no column of numbers")
        return column.astype(np.int64)

    def bytes(self, name: str) -> NDArray[np.uint8]:
        column = self.ints(name)
        _check_range(name, column, 0, 256)
        return column.astype(np.uint8)

    def nodes(self, name: str, count: int, *, nobody: bool = False) -> NodeColumn:
        column = self.ints(name)
        _check_range(name, column, NOBODY if nobody else 0, count)
        return column.astype(np.int32)

    def ascending(self, name: str, count: int) -> NodeColumn:
        steps = self.ints(name)
        if len(steps):
            _check_range(name, steps[1:], 1, count)
        column = np.cumsum(steps)
        _check_range(name, column, 0, count)
        return column.astype(np.int32)

    def starts(self, name: str) -> IntColumn:
        counts = self.ints(name)
        _check_range(name, counts, 0, _MOST)
        starts = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=starts[1:])
        return starts


def _nodes(columns: _Unpacked) -> Nodes:
    addresses = np.cumsum(columns.ints("addresses")).view(np.uint64)
    count = len(addresses)
    sizes = columns.ints("sizes")
    references = columns.ints("reference_counts")
    _check_range("sizes", sizes, 0, 2**50)
    _check_range("reference_counts", references, 0, 2**32)
    nodes = Nodes(
        addresses, columns.ints("types").astype(np.int32), sizes, references.astype(np.uint32),
        columns.ints("lengths"), columns.bytes("flags"),
    )  # fmt: skip
    for name in ("types", "sizes", "reference_counts", "lengths", "flags"):
        _same(name, getattr(nodes, name), count)
    return nodes


def _types(columns: _Unpacked, names: tuple[str, ...], node_count: int) -> Types:
    types = Types(
        names,
        columns.nodes("type_nodes", node_count, nobody=True),
        columns.nodes("type_bases", len(names), nobody=True),
        columns.bytes("type_kinds"),
        columns.bytes("type_is_heap").astype(np.bool_),
    )
    for name in ("nodes", "bases", "kinds", "is_heap_type"):
        _same(f"type_{name}", getattr(types, name), len(names))
    _check_range("type_kinds", types.kinds, 0, max(Kind) + 1)
    return types


def _edges(columns: _Unpacked, node_count: int, field_count: int) -> Edges:
    starts = columns.starts("edge_counts")
    targets = columns.nodes("targets", node_count)
    links, numbers = columns.bytes("links"), columns.ints("numbers")
    if len(starts) != node_count + 1:
        if len(targets):
            raise BadColumnsError("Its references do not belong to its objects")
        starts = np.zeros(node_count + 1, np.int64)
    if int(starts[-1]) != len(targets):
        raise BadColumnsError("Its references are not complete")
    _same("links", links, len(targets))
    _same("numbers", numbers, len(targets))
    _check_range("links", links, 0, max(Link) + 1)
    _check_range("numbers", numbers, -(2**31), 2**31)
    for link, most in ((Link.FIELD, field_count), *((link, node_count) for link in _BY_NODE)):
        _check_range("numbers", numbers[links == link], 0 if link == Link.FIELD else NOBODY, most)
    return Edges(starts, targets, links, numbers.astype(np.int32))


def _roots(columns: _Unpacked, names: tuple[str, ...], node_count: int) -> Roots:
    roots = Roots(columns.nodes("root_nodes", node_count), names, columns.bytes("root_groups"))
    _same("root_nodes", roots.nodes, len(names))
    _same("root_groups", roots.groups, len(names))
    _check_range("root_groups", roots.groups, 0, max(Group) + 1)
    return roots


def _texts(columns: _Unpacked, node_count: int) -> Texts:
    texts = Texts(
        columns.ascending("text_nodes", node_count), columns.starts("text_lengths"), columns.bytes("text_data")
    )
    _same("text_lengths", texts.starts, len(texts.nodes) + 1)
    if int(texts.starts[-1]) != len(texts.data):
        raise BadColumnsError("Its texts are not complete")
    return texts


def _analysis(columns: _Unpacked, picture: Picture) -> Analysis:
    count = len(picture.nodes)
    edges = columns.nodes("holder_edges", len(picture.edges), nobody=True)
    depths = columns.nodes("holder_depths", count, nobody=True)
    roots = columns.nodes("holder_roots", len(picture.roots.names), nobody=True)
    for name, column in (("holder_edges", edges), ("holder_depths", depths), ("holder_roots", roots)):
        _same(name, column, count)
    holders = np.full(count, NOBODY, np.int32)
    held = np.flatnonzero(edges >= 0)
    holders[held] = sources(picture.edges.starts)[edges[held]]
    # Every step leads one nearer to a root: following holders comes to an end.
    if not (
        np.array_equal(picture.edges.targets[edges[held]], held)
        and np.array_equal(depths[held], depths[holders[held]] + 1)
        and np.array_equal((depths >= 0) & (edges < 0), depths == 0)
        and np.array_equal(roots >= 0, depths >= 0)
    ):
        raise BadColumnsError("Its chains of holders lead nowhere")
    dominators = columns.ints("dominators")
    _same("dominators", dominators, count)
    dominators += holders
    _check_range("dominators", dominators, NOBODY, count)
    # A dominator lies on the chain of holders, too.
    if np.any(depths[dominators[dominators >= 0]] >= depths[dominators >= 0]):
        raise BadColumnsError("Its dominators are no forest")
    retained = columns.ints("retained")
    _same("retained", retained, count)
    return Analysis(holders, edges, roots, depths, dominators.astype(np.int32), retained + picture.nodes.sizes)


def _differences(column: NDArray[Any]) -> IntColumn:
    steps = column.astype(np.int64)
    steps[1:] -= column[:-1].astype(np.int64)
    return steps


def _narrow(column: NDArray[Any]) -> NDArray[Any]:
    if not len(column):
        return column.astype(np.uint8)
    low, high = int(column.min()), int(column.max())
    kinds = ("u1", "u2", "u4") if low >= 0 else ("i1", "i2", "i4")
    for kind in kinds:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return column.astype(f"<{kind}", copy=False)
    return column.astype("<i8", copy=False)


def _check_range(name: str, column: NDArray[Any], low: int, end: int) -> None:
    if len(column) and not (low <= int(column.min()) and int(column.max()) < end):
        raise BadColumnsError(f"Its column {name} holds numbers that cannot be")


def _same(name: str, column: NDArray[Any], count: int) -> None:
    if len(column) != count:
        raise BadColumnsError(f"Its column {name} has the wrong length")


def _strings(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadColumnsError("Its names are no names")
    return tuple(value)
