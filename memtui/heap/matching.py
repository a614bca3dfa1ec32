"""The same path in two pictures. Addresses play no part: after some churn another object may live at each of them."""

from __future__ import annotations

import numpy as np

from memtui.heap.picture import NOBODY, IntColumn, NodeColumn
from memtui.heap.shelf import Shelf


def same_types(before: Shelf, after: Shelf) -> NodeColumn:
    """For each type (row of ``type_names``) of the one picture its row in the other; NOBODY: it has none."""
    rows = [after.type_rows.get(name, NOBODY) for name in before.type_names]
    return np.array(rows or [NOBODY], np.int32)


def same_paths(before: Shelf, after: Shelf) -> NodeColumn:
    """For each folded path of the one picture its number in the other; NOBODY: it has none."""
    old, new = before.paths.tree, after.paths.tree
    known = {
        (new.parents[path], new.labels[path], new.types[path], path in new.begins): path
        for path in range(len(new.parents))
    }
    rows = {label: row for row, label in enumerate(after.paths.labels)}
    labels = [rows.get(label, NOBODY) for label in before.paths.labels]
    types = same_types(before, after).tolist()
    same: list[int] = []
    for path, (parent, label, kind) in enumerate(zip(old.parents, old.labels, old.types, strict=True)):
        over = same[parent] if parent >= 0 else NOBODY
        found = NOBODY
        if parent < 0 or over >= 0:
            found = known.get((over, labels[label], types[kind], path in old.begins), NOBODY)
        same.append(found)
    return np.array(same or [NOBODY], np.int32)[: len(same)]


def moved(values: IntColumn, rows: NodeColumn, count: int) -> IntColumn:
    """The figures of one picture's groups at the rows that these have in the other; 0 where nothing is the same."""
    found = np.zeros(count, np.int64)
    there = np.flatnonzero(rows >= 0)
    found[rows[there]] = values[there]
    return found
