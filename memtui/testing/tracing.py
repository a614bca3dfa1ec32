"""Where what stays behind was allocated: tracemalloc over a few rounds, left as it was found."""

from __future__ import annotations

import gc
import sysconfig
import tracemalloc
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

FRAMES = 8
LARGE_BYTES = 512
"""From here on Python's allocator passes a request on to malloc (``SMALL_REQUEST_THRESHOLD`` of ``obmalloc.c``)."""
_HERE = str(Path(__file__).parent)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_MOST_LINES = 3
_LEAST_BLOCKS, _LEAST_BYTES = 0.8, 64
"""A line that allocated less than that in an average round is not named."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line and what it allocated that stayed, each round. The nearest one outside the libraries."""

    file: str
    line: int
    size_bytes: float
    blocks: float


@dataclass(frozen=True, slots=True)
class Traced:
    """Growth of Python's memory each round; ``large_bytes`` of it came from malloc."""

    size_bytes: float
    large_bytes: float
    lines: tuple[Line, ...]


_Sums = dict[tuple[str, int], tuple[int, int, int]]


def trace(rounds: int, forget: Callable[[], None]) -> Generator[None, None, Traced | None]:
    """Yields where a round is to be run, and calls ``forget`` after it; None when the body switched tracing off."""
    found_on = tracemalloc.is_tracing()
    if not found_on:
        tracemalloc.start(FRAMES)
    try:
        yield
        forget()
        before = _sums()
        for _ in range(rounds):
            yield
            forget()
        return _difference(before, _sums(), rounds)
    except RuntimeError as error:
        if tracemalloc.is_tracing():
            raise error
        return None
    finally:
        if not found_on:
            tracemalloc.stop()


def _sums() -> _Sums:
    """Bytes, blocks and large bytes of each line, after a collection."""
    gc.collect()
    sums: _Sums = {}
    for one in tracemalloc.take_snapshot().traces:
        where = _place(one.traceback)
        if where is not None:
            size, count, large = sums.get(where, (0, 0, 0))
            sums[where] = (size + one.size, count + 1, large + one.size * (one.size > LARGE_BYTES))
    return sums


def _place(frames: tracemalloc.Traceback) -> tuple[str, int] | None:
    """The frame to name; None for what this package allocated itself."""
    newest_first = frames[::-1]
    if newest_first[0].filename.startswith(_HERE) or newest_first[0].filename == tracemalloc.__file__:
        return None
    own = (frame for frame in newest_first if not frame.filename.startswith((*_LIBRARIES, "<", _HERE)))
    frame = next(own, newest_first[0])
    return frame.filename, frame.lineno


def _difference(before: _Sums, after: _Sums, rounds: int) -> Traced:
    lines, total, large = [], 0, 0
    for where, (size, count, of_malloc) in after.items():
        old = before.get(where, (0, 0, 0))
        total += size - old[0]
        large += of_malloc - old[2]
        if size > old[0]:
            lines.append(Line(*where, (size - old[0]) / rounds, (count - old[1]) / rounds))
    total -= sum(one[0] for where, one in before.items() if where not in after)
    large -= sum(one[2] for where, one in before.items() if where not in after)
    lines.sort(key=lambda line: -line.size_bytes)
    steady = tuple(line for line in lines if line.blocks >= _LEAST_BLOCKS or line.size_bytes >= _LEAST_BYTES)
    return Traced(total / rounds, large / rounds, steady[:_MOST_LINES])
