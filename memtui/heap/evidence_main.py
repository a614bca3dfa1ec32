"""The process behind :class:`memtui.heap.gathering.EvidenceJob`: paths of pictures in, one JSON document out."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

from memtui.errors import MemtuiError, RefusedError
from memtui.heap.evidence import gather_evidence
from memtui.heap.shelf import Shelf

_NICENESS = 5


def main() -> None:
    """Print the evidence that the pictures named by the arguments hold, or the error."""
    os.nice(_NICENESS)  # the target comes first
    try:
        answer = {"evidence": asdict(gather_evidence([Shelf.open(path) for path in sys.argv[1:]]))}
    except MemtuiError as error:
        answer = {"error": _parts(error)}
    except MemoryError:
        answer = {"error": _parts(RefusedError("There is not enough memory to compare these pictures."))}
    sys.stdout.write(json.dumps(answer))


def _parts(error: MemtuiError) -> dict[str, str]:
    return {"kind": type(error).__name__, "what": error.what, "why": error.why, "next_step": error.next_step}
