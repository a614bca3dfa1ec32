"""Heap pictures of real programs beside what these say of their heaps themselves, on every interpreter."""

from __future__ import annotations

from pathlib import Path

from heap_truth import compare, truthful
from interpreters import Interpreter

LEAST, MOST_DIFFERENT = 0.995, 0.02
FEW_MISSING, FEW_WRONG = 3, 8
"""Of types with few objects: as many may be of the question itself, or held only from C memory that was not found."""
WITH_SIZES_OF_THEIR_OWN = {"_io.BufferedReader", "_struct.Struct", "builtins.Struct", "_io.BytesIO"}
"""Their ``__sizeof__`` counts buffers in C memory, or bytes that are an object of their own."""
HELD_BY_C_MEMORY = ("module", "PyCapsule", "functools._lru_cache_wrapper")
"""What these hold they hold through memory in between: the picture has it as theirs, but not as one reference."""


def test_objects_sizes_and_references_are_what_the_program_says(interpreter: Interpreter, tmp_path: Path) -> None:
    with truthful(interpreter.path, tmp_path, "10000") as (picture, truth):
        verdict = compare(picture, truth)
    assert verdict.counts.total() > 80_000
    assert verdict.recall >= LEAST
    assert verdict.precision >= LEAST
    for name, count in verdict.counts.items():
        assert verdict.missing[name] <= max(FEW_MISSING, (1 - LEAST) * count), name
    for name, wrong in verdict.wrong.items():
        count = verdict.counts[name] + verdict.counts[f"builtins.{name}"]
        assert wrong <= max(FEW_WRONG, (1 - LEAST) * count), name
    sizes = {name for name, share in verdict.size_differences().items() if abs(share) > MOST_DIFFERENT}
    assert sizes <= WITH_SIZES_OF_THEIR_OWN
    total = verdict.bytes_true.total()
    assert abs(verdict.bytes_read.total() - total) <= MOST_DIFFERENT * total
    missing = {pair: count for pair, count in verdict.edges_missing.items() if not pair.startswith(HELD_BY_C_MEMORY)}
    assert verdict.edges > 20_000
    assert sum(missing.values()) <= (1 - LEAST) * verdict.edges, missing
    assert picture.facts["quality"] >= 0.99
