"""A picture's file, opened in a process of its own that answers questions about it. numpy stays over there.

The wire is one JSON document a line: a question is ``{"do": name, "with": [arguments]}``, an answer
``{"result": ...}`` or ``{"error": ...}`` with the parts of a :class:`MemtuiError`. The other side is
:mod:`memtui.heap.explorer_main`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from memtui import errors
from memtui.errors import MemtuiError
from memtui.heap.apart import start_apart
from memtui.heap.facts import facts_from
from memtui.model.heap import (
    DuplicateText,
    HeapDiff,
    HeapDiffBy,
    HeapDiffRow,
    HeapFound,
    HeapLink,
    HeapObject,
    HeapType,
    HolderChain,
    HolderPath,
    HolderStep,
    InstanceOrder,
    PictureFacts,
    TypeOrder,
)

_GOODBYE_SECONDS = 2.0

_Answer = TypeVar("_Answer")
_Json = dict[str, Any]


class HeapBook:
    """One picture to leaf through; close it, or use it in a ``with`` block. May be used from several threads.

    Making it returns at once; the first question waits until the file is read. Every method raises
    :class:`MemtuiError`: the file cannot be read or is damaged (``UsageError``), a node is not in the picture
    (``UsageError``), the process that answers died, or the book was closed meanwhile. Lists are bounded: ``limit``
    is cut to 10,000. Fewer rows than asked for means that there are no more.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self._lock = threading.Lock()
        self._closed = False
        self._messages = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            self._process = start_apart(
                "memtui.heap.explorer_main", str(self.path), stdin=subprocess.PIPE, stderr=self._messages
            )
        except BaseException:
            self._messages.close()
            raise

    def __enter__(self) -> HeapBook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process. A question that waits in another thread is ended by this, too."""
        self._closed = True
        self._process.kill()
        with self._lock:
            # Its pipes are closed and it is reaped; what could not be written to it any more is of no interest.
            with contextlib.suppress(OSError), self._process:
                pass
            self._messages.close()

    def facts(self) -> PictureFacts:
        """Where and when it was taken, and how large it is."""
        return self._ask(facts_from, "facts")

    def types(
        self, order: TypeOrder = "retained", search: str = "", offset: int = 0, limit: int = 200
    ) -> tuple[HeapType, ...]:
        """Types, most first; only those with ``search`` in their names (upper and lower case are the same)."""
        return self._ask(_rows(_heap_type), "types", order, search, offset, limit)

    def instances(
        self, type_name: str, order: InstanceOrder = "retained", offset: int = 0, limit: int = 200
    ) -> tuple[HeapObject, ...]:
        """The objects of one type, most first."""
        return self._ask(_rows(_heap_object), "instances", type_name, order, offset, limit)

    def object(self, node: int) -> HeapObject:
        """One object."""
        return self._ask(_heap_object, "object", node)

    def references(self, node: int, offset: int = 0, limit: int = 200) -> tuple[HeapLink, ...]:
        """What an object holds, in the object's own order."""
        return self._ask(_rows(_link), "references", node, offset, limit)

    def holders(self, node: int, offset: int = 0, limit: int = 200) -> tuple[HeapLink, ...]:
        """Everything that holds an object. The label is the way in which the holder holds it."""
        return self._ask(_rows(_link), "holders", node, offset, limit)

    def chain(self, node: int) -> HolderChain:
        """The chain of holders from a named root to an object."""
        return self._ask(_chain, "chain", node)

    def paths(self, type_name: str | None = None, limit: int = 50) -> tuple[HolderPath, ...]:
        """Where the objects of a type (None: of all types) hang, indices and keys folded; most bytes first."""
        return self._ask(_rows(_path), "paths", type_name, limit)

    def retainers(self, limit: int = 50, modules: bool = False) -> tuple[HeapLink, ...]:
        """Objects that keep the most bytes alive, labelled by their path. Modules themselves only if asked for."""
        return self._ask(_rows(_link), "retainers", limit, modules)

    def biggest(self, limit: int = 50) -> tuple[HeapLink, ...]:
        """The largest single objects (shallow), labelled by their path."""
        return self._ask(_rows(_link), "biggest", limit)

    def duplicates(self, limit: int = 50) -> tuple[DuplicateText, ...]:
        """Texts that exist more than once, most wasted bytes first."""
        return self._ask(_rows(_duplicate), "duplicates", limit)

    def held_from_c(self, limit: int = 50) -> tuple[HeapLink, ...]:
        """Objects that only C code holds, most retained bytes first, labelled by their path."""
        return self._ask(_rows(_link), "held_from_c", limit)

    def search(self, text: str, limit: int = 100) -> tuple[HeapFound, ...]:
        """Types, roots and texts that contain ``text`` (upper and lower case are the same)."""
        return self._ask(_rows(_found), "search", text, limit)

    def diff(self, other_path: str | Path, by: HeapDiffBy, limit: int = 100) -> HeapDiff:
        """What this picture (the later one) has more than the one in ``other_path`` (the earlier one)."""
        return self._ask(_diff, "diff", str(Path(other_path).expanduser().absolute()), by, limit)

    def born_and_alive(self, b_path: str | Path, c_path: str | Path, limit: int = 100) -> HeapDiff:
        """What was born between this picture and B and is still alive in C, by folded holder path and type."""
        b, c = (str(Path(path).expanduser().absolute()) for path in (b_path, c_path))
        return self._ask(_diff, "born_and_alive", b, c, limit)

    def _ask(self, read: Callable[[Any], _Answer], name: str, *arguments: Any) -> _Answer:
        question = json.dumps({"do": name, "with": arguments}).encode() + b"\n"
        with self._lock:
            if self._closed:
                raise MemtuiError(f"The picture {self.path} is closed.")
            try:
                answer = json.loads(self._exchange(question))
            except (OSError, ValueError) as error:
                raise self._died() from error
        if "error" in answer:
            raise _error(answer["error"])
        return read(answer["result"])

    def _exchange(self, question: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question)
        self._process.stdin.flush()
        return self._process.stdout.readline()

    def _died(self) -> MemtuiError:
        if self._closed:
            return MemtuiError(f"The picture {self.path} was closed.")
        try:
            code: int | None = self._process.wait(_GOODBYE_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        self._messages.seek(0)
        last = self._messages.read().decode(errors="replace").strip().splitlines()[-1:]
        why = {-9: "It was killed; perhaps memory ran out.", None: "It said something that is no answer."}.get(
            code, f"It ended with exit code {code}{': ' + last[0] if last else ''}."
        )
        return MemtuiError(
            f"The process that reads the picture {self.path} ended.", why=why, next_step="Open the picture again."
        )


def _error(answer: _Json) -> MemtuiError:
    kind = getattr(errors, answer["error"], MemtuiError)
    error: MemtuiError = kind(answer["what"], why=answer["why"], next_step=answer["next_step"])
    return error


def _rows(read: Callable[[Any], _Answer]) -> Callable[[list[Any]], tuple[_Answer, ...]]:
    return lambda rows: tuple(read(row) for row in rows)


def _heap_type(answer: _Json) -> HeapType:
    return HeapType(**answer)


def _heap_object(answer: _Json) -> HeapObject:
    return HeapObject(**answer)


def _link(answer: _Json) -> HeapLink:
    return HeapLink(answer["label"], _heap_object(answer["object"]))


def _chain(answer: _Json) -> HolderChain:
    steps = tuple(HolderStep(**step) for step in answer["steps"])
    return HolderChain(answer["path"], answer["root"], answer["group"], steps)


def _path(answer: _Json) -> HolderPath:
    return HolderPath(**answer)


def _duplicate(answer: _Json) -> DuplicateText:
    return DuplicateText(**answer)


def _found(answer: _Json) -> HeapFound:
    return HeapFound(**answer)


def _diff(answer: _Json) -> HeapDiff:
    rows = tuple(HeapDiffRow(**row) for row in answer["rows"])
    return HeapDiff(answer["by"], rows, answer["seconds_between"], answer["note"])
