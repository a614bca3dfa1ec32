"""Whether the Python in a process is up: neither starting nor ending."""

from __future__ import annotations

from typing import Protocol

from memtui.errors import RefusedError
from memtui.observe.gcstate import GcReader
from memtui.observe.interpreter import Interpreter
from memtui.observe.memory import RemoteMemory
from memtui.observe.offsets import SELF_DESCRIBING, read_debug_offsets


class Readiness(Protocol):
    """Tells it at any time; close it."""

    def ready(self) -> bool:
        """Whether code may be run in the process now."""
        ...

    def close(self) -> None:
        """Let go of the process."""
        ...


def open_readiness(interpreter: Interpreter) -> Readiness:
    """By what memtui knows of this version; for newer ones by what the interpreter says of itself to debuggers."""
    try:
        return GcReader(interpreter)
    except RefusedError:
        if interpreter.free_threaded or interpreter.minor <= SELF_DESCRIBING:
            raise
        return _SelfDescribed(interpreter)


class _SelfDescribed:
    """The main interpreter exists and is not finalizing; whether it is complete, the code that is put in asks."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._memory = RemoteMemory(interpreter.pid)
        runtime = interpreter.symbols["_PyRuntime"]
        try:
            described = read_debug_offsets(self._memory, runtime)
        except BaseException:
            self._memory.close()
            raise
        self._finalizing = runtime + described.runtime_finalizing
        self._interpreters = runtime + described.runtime_interpreters

    def ready(self) -> bool:
        return self._memory.pointer(self._finalizing) == 0 and self._memory.pointer(self._interpreters) != 0

    def close(self) -> None:
        self._memory.close()
