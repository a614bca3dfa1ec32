"""The garbage collector's state, read out of a running CPython that is not stopped for it."""

from __future__ import annotations

import struct
import time
from types import TracebackType

from memtui.errors import RefusedError
from memtui.model.gc import GcState, Generation
from memtui.observe.interpreter import Interpreter
from memtui.observe.memory import RemoteMemory, UnreadableError
from memtui.observe.offsets import offsets_for
from memtui.observe.runtime import locate

_GENERATIONS = 3
_I32 = struct.Struct("<i")
_I64 = struct.Struct("<q")
_STATS = struct.Struct("<qqq")
_LINKS = struct.Struct("<QQ")
_LINK_FLAGS = 3
_MAX_COUNT = 1 << 48
_TRIES = 20
_PAUSE_SECONDS = 0.001


class GcReader:
    """Reads the collector of one interpreter; close it, or use it in a ``with`` block.

    Reading takes some ten microseconds and costs the target nothing. What was read is checked before it is
    believed: where the memory does not look like a collector, :class:`RefusedError` is raised.
    """

    def __init__(self, interpreter: Interpreter) -> None:
        if interpreter.free_threaded:
            raise RefusedError(
                f"The garbage collector of process {interpreter.pid} cannot be read from outside.",
                why="It runs a free-threaded Python, which keeps its state in another way.",
            )
        self._pid = interpreter.pid
        self._offsets = offsets_for(interpreter.minor)
        self._memory = RemoteMemory(interpreter.pid)
        try:
            self._places = locate(self._memory, interpreter, self._offsets)
        except BaseException:
            self._memory.close()
            raise
        self._believed_at = 0

    def __enter__(self) -> GcReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the process."""
        self._memory.close()

    def ready(self) -> bool:
        """Whether Python is initialized and not finalizing: only then may code be run in the process."""
        initialized = self._memory.i32(self._places.initialized)
        return initialized == 1 and self._memory.pointer(self._places.finalizing) == 0

    def read(self) -> GcState:
        """The collector now.

        Raises :class:`RefusedError` while Python starts or ends, or when the memory does not look like a collector,
        and :class:`TargetDiedError` when the process is gone or runs another program.
        """
        if not self.ready():
            raise RefusedError(
                f"Python in process {self._pid} is starting up or shutting down.", next_step="Try again in a moment."
            )
        try:
            address = self._places.collector(self._memory)
            if address != self._believed_at:
                self._check_links(address)
                self._believed_at = address
            return self._decode(self._memory.read(address, self._offsets.gc_size))
        except UnreadableError as error:
            raise self._nonsense() from error

    def _decode(self, data: bytes) -> GcState:
        offsets = self._offsets
        generations = tuple(self._generation(data, number) for number in range(_GENERATIONS))
        (enabled,) = _I32.unpack_from(data, offsets.gc_enabled)
        (total,) = _I64.unpack_from(data, offsets.gc_long_lived_total)
        (pending,) = _I64.unpack_from(data, offsets.gc_long_lived_pending)
        numbers = [total, pending]
        for one in generations:
            numbers += [one.count, one.threshold, one.collections, one.collected, one.uncollectable]
        if enabled not in (0, 1) or not all(0 <= number < _MAX_COUNT for number in numbers):
            raise self._nonsense()
        # Both stay 0 until the oldest generations have been collected: that is "not known yet", not "none".
        return GcState(bool(enabled), generations, (total + pending) or None)

    def _generation(self, data: bytes, number: int) -> Generation:
        offsets = self._offsets
        start = offsets.gc_generations + number * offsets.gc_generation_size
        (threshold,) = _I32.unpack_from(data, start + offsets.gc_threshold)
        (count,) = _I32.unpack_from(data, start + offsets.gc_count)
        stats = _STATS.unpack_from(data, offsets.gc_stats + number * offsets.gc_stats_size)
        return Generation(count, threshold, *stats)

    def _check_links(self, address: int) -> None:
        """The heads of the collector's lists must be linked with their neighbours.

        A running program changes its lists while they are looked at, hence the several tries. During a collection
        the links of the generations hold other things; those of the permanent generation are always in order.
        """
        for _ in range(_TRIES):
            data = self._memory.read(address, self._offsets.gc_size)
            (collecting,) = _I32.unpack_from(data, self._offsets.gc_collecting)
            heads = [self._offsets.gc_permanent]
            if not collecting:
                size = self._offsets.gc_generation_size
                heads += [self._offsets.gc_generations + number * size for number in range(_GENERATIONS)]
            if collecting in (0, 1) and all(self._linked(address + head) for head in heads):
                return
            time.sleep(_PAUSE_SECONDS)
        raise self._nonsense()

    def _linked(self, head: int) -> bool:
        try:
            after, before = self._memory.unpack(_LINKS, head)
            _, back = self._memory.unpack(_LINKS, after)
            forth, _ = self._memory.unpack(_LINKS, before & ~_LINK_FLAGS)
        except UnreadableError:
            return False
        return back & ~_LINK_FLAGS == head and forth & ~_LINK_FLAGS == head

    def _nonsense(self) -> RefusedError:
        return RefusedError(
            f"The garbage collector of process {self._pid} is not where memtui expects it.",
            why=f"This build of Python differs from the one memtui knows ({self._offsets.compiled_from}).",
        )
