"""From a stack of addresses to the place that is to blame: the innermost frame that is no allocator's."""

from __future__ import annotations

from dataclasses import dataclass

from memtui.model.native import NativeFrame, NativeKind
from memtui.native.frames import NativeFrames
from memtui.native.libraries import is_python, is_runtime
from memtui.native.symbols import Functions

_EVALUATION = "_PyEval_EvalFrameDefault"
"""The loop of the interpreter (Python/ceval.c): what is outside of it called the Python code, not the allocator."""
_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Site:
    """The place to blame, and the stack from the allocation to the interpreter's loop, innermost first."""

    kind: NativeKind
    library: str | None
    frame: NativeFrame
    stack: tuple[NativeFrame, ...]


class Sites:
    """Finds the place of each stack of one recording, each frame once.

    ``root`` is put before the libraries' paths: where the process's file system is seen from here.
    """

    def __init__(self, frames: NativeFrames, root: str = "") -> None:
        self._frames, self._root = frames, root
        self._functions: dict[str, Functions] = {}
        self._resolved: dict[int, NativeFrame] = {}
        self._sites: dict[tuple[int, bool], Site] = {}
        main = frames.main_program
        self._main_is_python = main is not None and (is_python(main) or self._of(main).has(_EVALUATION))

    def find(self, frame_id: int, is_mapping: bool) -> Site:
        """The place to blame for what was allocated in this frame; ``is_mapping``: by mmap, not by malloc."""
        key = frame_id, is_mapping
        if key not in self._sites:
            self._sites[key] = self._find(frame_id, is_mapping)
        return self._sites[key]

    def _find(self, frame_id: int, is_mapping: bool) -> Site:
        stack: list[NativeFrame] = []
        for address in self._frames.stack(frame_id):
            frame = self._resolve(address)
            stack.append(frame)
            if (frame.function or "").startswith(_EVALUATION) or len(stack) == _DEEPEST:
                break
        allocating = [one for one in stack if one.library is None or not is_runtime(one.library)]
        if is_mapping and allocating and self._is_python(allocating[0].library):
            return Site(NativeKind.ARENA, allocating[0].library, allocating[0], tuple(stack))
        for frame in allocating:
            if frame.library is not None and not self._is_python(frame.library):
                return Site(NativeKind.EXTENSION, frame.library, frame, tuple(stack))
        python = [one for one in allocating if self._is_python(one.library)]
        if python:
            return Site(NativeKind.PYTHON, python[0].library, _asking(python), tuple(stack))
        return Site(NativeKind.UNKNOWN, None, stack[0] if stack else NativeFrame(None, None, None), tuple(stack))

    def _resolve(self, address: int) -> NativeFrame:
        if address not in self._resolved:
            place = self._frames.place(address)
            if place is None:
                self._resolved[address] = NativeFrame(None, None, None)
            else:
                # A return address may be that of the next function: look at the call before it.
                name = self._of(place.library).at(place.address - 1)
                self._resolved[address] = NativeFrame(name, None, None, place.library, place.address)
        return self._resolved[address]

    def _of(self, library: str) -> Functions:
        if library not in self._functions:
            self._functions[library] = Functions(self._root + library)
        return self._functions[library]

    def _is_python(self, library: str | None) -> bool:
        if library is None:
            return False
        return is_python(library) or (self._main_is_python and library == self._frames.main_program)


_MIDDLEMEN = ("_PyObject_", "PyObject_", "_PyMem_", "PyMem_", "_PyMem", "pymalloc", "_Py_Dealloc", "PyType_Generic")


def _asking(python: list[NativeFrame]) -> NativeFrame:
    """The innermost function of the interpreter that is not its allocator."""
    return next((one for one in python if one.function and not one.function.startswith(_MIDDLEMEN)), python[0])
