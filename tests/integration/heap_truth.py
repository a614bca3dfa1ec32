"""A heap picture beside what the program itself says of its heap (``tests/programs/heap_truth.py``)."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from observed import line_from, running

from memtui.heap.file import read_picture
from memtui.heap.picture import Group, IntColumn, NodeFlag, Picture, WordColumn
from memtui.heap.taking import PictureJob

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


@dataclass(frozen=True)
class Truth:
    """What the program says: a row for each object; ``edges``: addresses that some of them hold."""

    addresses: WordColumn
    sizes: IntColumn
    kinds: WordColumn
    names: dict[int, str]
    edges: dict[int, list[int]]


@dataclass
class Verdict:
    """Differences by the name of the type. ``edges``: how many were compared."""

    counts: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    """In the picture, though the program does not know it, nothing holds it and it is no constant of a program."""
    bytes_true: Counter[str] = field(default_factory=Counter)
    bytes_read: Counter[str] = field(default_factory=Counter)
    edges: int = 0
    edges_missing: Counter[str] = field(default_factory=Counter)

    @property
    def recall(self) -> float:
        """Share of the program's objects that are in the picture."""
        return 1 - self.missing.total() / self.counts.total()

    @property
    def precision(self) -> float:
        """Share of the picture's objects that are right."""
        return 1 - self.wrong.total() / self.counts.total()

    def size_differences(self) -> dict[str, float]:
        """By type how much the bytes differ from ``sys.getsizeof``, as a share of it."""
        return {
            name: self.bytes_read[name] / true - 1
            for name, true in self.bytes_true.items()
            if true and self.bytes_read[name] != true
        }


@contextmanager
def truthful(python: str, folder: Path, *arguments: str) -> Iterator[tuple[Picture, Truth]]:
    """A program that built its heap: the picture of it, then its own words."""
    file = folder / "truth"
    with running(python, str(PROGRAMS / "heap_truth.py"), str(file), *arguments) as process:
        assert line_from(process) == b"ready\n"
        PictureJob(process.pid, folder / "heap.memtui").run()
        assert process.stdin is not None
        process.stdin.write(b"now\n")
        process.stdin.flush()
        assert line_from(process) == b"told\n"
        picture, _ = read_picture(folder / "heap.memtui")
        yield picture, _read(file)


def _read(path: Path) -> Truth:
    told: dict[str, Any] = pickle.loads(path.read_bytes())
    return Truth(
        np.frombuffer(told["addresses"], np.uint64),
        np.frombuffer(told["sizes"], np.int64),
        np.frombuffer(told["kinds"], np.uint64),
        told["names"],
        told["edges"],
    )


def compare(picture: Picture, truth: Truth) -> Verdict:
    """What of the picture is not as the program says."""
    verdict = Verdict()
    nodes = picture.nodes
    addresses = nodes.addresses[: picture.object_count]
    row = np.minimum(np.searchsorted(addresses, truth.addresses), len(addresses) - 1)
    of_type = np.where(picture.types.nodes >= 0, addresses[np.maximum(picture.types.nodes, 0)], 0)
    right = (addresses[row] == truth.addresses) & (of_type[nodes.types[row]] == truth.kinds)
    for kind, name in truth.names.items():
        mine = truth.kinds == kind
        verdict.counts[name] += int(mine.sum())
        verdict.missing[name] += int((mine & ~right).sum())
        verdict.bytes_true[name] += int(truth.sizes[mine & right].sum())
        verdict.bytes_read[name] += int(nodes.sizes[row[mine & right]].sum())
    _count_wrong(picture, verdict, row[right])
    _compare_edges(
        picture, truth, verdict, dict(zip(truth.addresses[right].tolist(), row[right].tolist(), strict=True))
    )
    return verdict


def _count_wrong(picture: Picture, verdict: Verdict, known: NDArray[np.int64]) -> None:
    """Objects that the program does not know are right when they are constants, or when something holds them."""
    unknown = np.ones(picture.object_count, bool)
    unknown[known] = False
    sources = np.repeat(np.arange(len(picture.nodes)), np.diff(picture.edges.starts))
    good = np.append(~unknown, np.zeros(len(picture.nodes) - len(unknown), bool))
    good[picture.roots.nodes[picture.roots.groups < Group.UNKNOWN]] = True
    while True:  # held by what is right
        more = np.zeros(len(good), bool)
        more[picture.edges.targets[good[sources]]] = True
        if not (more & ~good).any():
            break
        good |= more
    bad = unknown & ~good[: len(unknown)] & (picture.nodes.flags[: len(unknown)] & NodeFlag.STATIC == 0)
    for kind, count in zip(*np.unique(picture.nodes.types[: len(unknown)][bad], return_counts=True), strict=True):
        verdict.wrong[picture.types.names[kind]] += int(count)


def _compare_edges(picture: Picture, truth: Truth, verdict: Verdict, row_of: dict[int, int]) -> None:
    starts, nodes = picture.edges.starts, picture.nodes
    for address, held in truth.edges.items():
        if (row := row_of.get(address)) is None:
            continue
        mine = slice(int(starts[row]), int(starts[row + 1]))
        found = Counter(nodes.addresses[picture.edges.targets[mine]].tolist())
        wanted = Counter(one for one in held if one in row_of)
        for other, count in (wanted - found).items():
            names = (picture.types.names[nodes.types[one]] for one in (row, row_of[other]))
            verdict.edges_missing[" -> ".join(names)] += count
        verdict.edges += wanted.total()
