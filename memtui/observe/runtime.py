"""Where in a process CPython's runtime flags and its main interpreter's collector are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from memtui.errors import RefusedError
from memtui.observe.interpreter import Interpreter
from memtui.observe.memory import RemoteMemory
from memtui.observe.offsets import SELF_DESCRIBING, DebugOffsets, Offsets, read_debug_offsets

_MAX_INTERPRETERS = 10_000


class RuntimePlaces(Protocol):
    """Addresses in one process."""

    @property
    def initialized(self) -> int:
        """Of the C int that is 1 while Python is initialized."""
        ...

    @property
    def finalizing(self) -> int:
        """Of the pointer that is not null while Python finalizes."""
        ...

    def collector(self, memory: RemoteMemory) -> int:
        """Of the main interpreter's garbage collector, which exists once Python is initialized."""
        ...


def locate(memory: RemoteMemory, interpreter: Interpreter, offsets: Offsets) -> RuntimePlaces:
    """The places of ``interpreter``: by its own word where it gives it, else by the table of ``offsets``."""
    runtime = interpreter.symbols["_PyRuntime"]
    if interpreter.minor < SELF_DESCRIBING:
        return _ByTable(runtime, offsets)
    described = read_debug_offsets(memory, runtime)
    if described.minor != interpreter.minor:
        raise RefusedError(f"The Python in process {interpreter.pid} gives two versions of itself.")
    return _ByDescription(runtime, offsets, described)


@dataclass(frozen=True, slots=True)
class _ByTable:
    runtime: int
    offsets: Offsets

    @property
    def initialized(self) -> int:
        return self.runtime + self.offsets.runtime_initialized

    @property
    def finalizing(self) -> int:
        return self.runtime + self.offsets.runtime_finalizing

    def collector(self, memory: RemoteMemory) -> int:
        if self.offsets.gc_owner == "runtime":
            return self.runtime + self.offsets.gc
        return memory.pointer(self.runtime + self.offsets.runtime_main_interpreter) + self.offsets.gc


@dataclass(frozen=True, slots=True)
class _ByDescription:
    runtime: int
    offsets: Offsets
    described: DebugOffsets

    @property
    def initialized(self) -> int:
        return self.finalizing + self.offsets.runtime_initialized - self.offsets.runtime_finalizing

    @property
    def finalizing(self) -> int:
        return self.runtime + self.described.runtime_finalizing

    def collector(self, memory: RemoteMemory) -> int:
        interpreter = memory.pointer(self.runtime + self.described.runtime_interpreters)
        for _ in range(_MAX_INTERPRETERS):
            # The list begins with the newest interpreter; the main one has the id 0.
            if not interpreter or memory.i64(interpreter + self.described.interpreter_id) == 0:
                break
            interpreter = memory.pointer(interpreter + self.described.interpreter_next)
        return interpreter + self.described.interpreter_gc
