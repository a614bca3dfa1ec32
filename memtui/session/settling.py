"""Whether a program is still importing: what it makes then is no leak."""

from __future__ import annotations

from memtui.errors import MemtuiError
from memtui.heap.read.layout import layout_for
from memtui.observe.interpreter import Interpreter, find_interpreter
from memtui.observe.memory import RemoteMemory

_MOST_MODULES = 1_000_000


class ModuleCounter:
    """Counts the entries of ``sys.modules`` of a process, by a few reads of its memory."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._interpreter: Interpreter | None = None

    def count(self) -> int | None:
        """How many there are; None where that cannot be told (yet)."""
        try:
            if self._interpreter is None:
                self._interpreter = find_interpreter(self._pid)
            layout = layout_for(self._interpreter.minor)
            with RemoteMemory(self._pid) as memory:
                state = memory.pointer(self._interpreter.symbols["_PyRuntime"] + layout.runtime_main)
                found = memory.i64(memory.pointer(state + layout.interpreter_modules) + layout.ma_used)
        except (MemtuiError, OSError):
            return None
        return found if 0 < found < _MOST_MODULES else None
