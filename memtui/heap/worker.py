"""What the process of a scan does: it prints one JSON document, the result or the error."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from memtui.errors import MemtuiError, RefusedError
from memtui.heap.pieces import PieceReader, Words
from memtui.heap.regions import PageMap, searched, writable
from memtui.heap.scan import count_types
from memtui.heap.types import TypeReader
from memtui.observe.maps import read_maps
from memtui.observe.memory import RemoteMemory, UnreadableError
from memtui.observe.offsets import offsets_for

MAX_TYPES = 3000
_NICENESS = 10


def main() -> None:
    """Scan as the one argument, a JSON object, says; ends early when the process that asked is gone."""
    os.nice(_NICENESS)  # the target comes first
    plan = json.loads(sys.argv[1])
    try:
        answer = scan(plan["pid"], plan["library"], tuple(plan["minor"]), plan["asked_by"])
    except MemtuiError as error:
        answer = {
            "error": type(error).__name__,
            "what": error.what,
            "why": error.why,
            "next_step": error.next_step,
        }
    sys.stdout.write(json.dumps(answer))


def scan(pid: int, library: str, minor: tuple[int, int], asked_by: int) -> dict[str, Any]:
    """Types with their numbers, most first, and what the scan took. Raises :class:`MemtuiError`."""
    with RemoteMemory(pid) as memory, PageMap(pid) as pages:
        maps = read_maps(pid)
        if not any(mapping.path == library for mapping in maps):
            raise RefusedError(
                f"Process {pid} replaced its program (exec) just now, or is ending.", next_step="Try again."
            )
        types = TypeReader(memory, offsets_for(minor).objects)
        pieces = PieceReader(memory, pages, searched(maps))
        spans = writable(maps)
        counts = count_types(_while_wanted(pieces, asked_by), spans, types.is_tracked_type) if spans else {}
        named = _by_name(counts, types)
        # A program that was replaced or ended meanwhile has no such memory any more: then this raises.
        memory.read(next(mapping.start for mapping in maps if mapping.path == library), 1)
    return {
        "types": sorted(named.items(), key=lambda item: (-item[1], item[0]))[:MAX_TYPES],
        "objects": sum(named.values()),
        "bytes_read": pieces.bytes_read,
        "swapped_bytes": pieces.swapped_bytes,
        "cpu_seconds": time.process_time(),
    }


def _while_wanted(pieces: PieceReader, asked_by: int) -> Iterator[Words]:
    for words in pieces:
        if os.getppid() != asked_by:
            sys.exit(1)
        yield words


def _by_name(counts: dict[int, int], types: TypeReader) -> dict[str, int]:
    """Types that share a name are added up, as they are everywhere else."""
    named: dict[str, int] = {}
    for address, count in counts.items():
        try:
            name = types.name(address)
        except UnreadableError:
            continue
        named[name] = named.get(name, 0) + count
    return named
