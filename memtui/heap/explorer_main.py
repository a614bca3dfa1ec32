"""The process behind :class:`memtui.heap.book.HeapBook`: reads questions from stdin, writes answers to stdout."""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import asdict, is_dataclass
from typing import Any

from memtui.errors import MemtuiError
from memtui.heap.explorer import Explorer

QUESTIONS = frozenset(name for name in vars(Explorer) if not name.startswith("_"))


def main() -> None:
    """Answer until stdin ends. The one argument is the file of the picture."""
    explorer: Explorer | None = None
    for line in sys.stdin:
        try:
            explorer = explorer or Explorer(sys.argv[1])
            answer = {"result": _plain(_answer(explorer, json.loads(line)))}
        except MemtuiError as error:
            answer = {"error": _parts(error)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the next question may be answered
            traceback.print_exc()
            answer = {"error": _parts(_not_foreseen(error))}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _answer(explorer: Explorer, question: dict[str, Any]) -> Any:
    name = question["do"]
    if name not in QUESTIONS:
        raise MemtuiError(f"Nobody can answer {str(name)[:40]} about a picture.")
    return getattr(explorer, name)(*question["with"])


def _plain(answer: Any) -> Any:
    """Dataclasses as JSON."""
    if isinstance(answer, tuple):
        return [_plain(one) for one in answer]
    return asdict(answer) if is_dataclass(answer) and not isinstance(answer, type) else answer


def _parts(error: MemtuiError) -> dict[str, str]:
    return {"error": type(error).__name__, "what": error.what, "why": error.why, "next_step": error.next_step}


def _not_foreseen(error: Exception) -> MemtuiError:
    if isinstance(error, MemoryError):
        return MemtuiError("Memory does not suffice to answer this about the picture.")
    return MemtuiError("The picture gave no answer.", why=f"{type(error).__name__}: {error}."[:300])
