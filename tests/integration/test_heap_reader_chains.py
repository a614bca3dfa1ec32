"""Who holds what, in words: fifty ways in which programs keep objects, on every interpreter."""

from __future__ import annotations

import re
from pathlib import Path

from heap_truth import PROGRAMS
from interpreters import Interpreter
from observed import line_from, running

from memtui.heap.shelf import Shelf
from memtui.heap.taking import PictureJob

HOLDERS = {
    "InDict": "HISTORY['pages'][#]",
    "InClass": "Registry.items[#]",
    "InCache": "Service.get.cache[<tuple>]",
    "InBounded": "Service.bounded.cache[<tuple>].result",
    "Listener": "bus.listeners[#].__self__",
    "InClosure": "handler.__closure__[#].cell_contents[#]",
    "InTask": "TASKS{<Task>}._coro.cr_frame.f_locals['mine']",
    "InTraceback": "ERRORS[#].__traceback__.tb_next.tb_frame.f_locals['big']",
    "InThread": "local<per thread>.buffer[#]",
    "InDeque": "WINDOW[#]",
    "Linked": re.compile(r"__main__\.HEAD(\.next)+(\{x#\})?"),
    "InFrame": re.compile(r"thread #+ in_thread\(\)( local |\.f_locals\[)'mine'\]?\[#\]"),
    "InSlots": "SLOTS[#].value",
    "Slotted": "SLOTS[#]",
    "Receiver": "signal.strong[#]",
    "Record": "logger.handlers[#].records[#].args[#]",
    "InContext": "CONTEXTS[#]<variables><root><entry>",
    "Finalized": re.compile(r"weakref\.finalize\._registry\[<finalize>\]\.args\[#\]"),
    "InCoroutine": "NEVER_AWAITED[#].cr_frame.f_locals['mine']",
    "InException": "Failures.last.__traceback__.tb_next.tb_frame.f_locals['one'][#]",
    "Registered": "Plugin.known['Plugin#'].state",
    "Addressed": "BY_ADDRESS[#]",
    "InGenerator": "half_way.gi_frame.f_locals['rows'][#]",
    "InPartial": "CALLBACKS[#].args[#]",
    "InKeyword": "CALLBACKS[#].keywords['end']",
    "Ordered": "RECENT[#]",
    "InSet": "GROUPS['g#']{<InSet>}",
    "InDefault": "FACTORY.default_factory.args[#]",
    "Deep": "app.store.index.rows[#]",
    "Nested": "nested.__closure__[#].cell_contents[#]",
    "Queued": "inbox._queue[#]",
    "InSubDict": "TABLE.extra[#]",
    "InSubList": "ROWS.extra[#]",
    "Keyed": "TABLE['x']",
    "Attached": "attached.calls[#]",
    "InProperty": "Static.wide.fget.__defaults__[#][#]",
    "InStatic": "Static.helper.__func__.__defaults__[#][#]",
    "InDefaults": "defaults.__defaults__[#][#]",
    "Waiting": "THREAD_QUEUE.queue[#]",
    "InFuture": "FUTURES[#]._result",
    "Awaited": "pending._callbacks[#][#].args[#]",
    "InIterator": "ITERATOR.sequence[#]",
    "Iterated": "MAPPED.iterators[#].sequence[#]",
    "Chained": "CHAINED.iterators.sequence[#][#]",
    "InView": "VIEW.mapping['rows'][#]",
    "InNamespace": "SPACE.rows[#]",
    "InAsyncGenerator": "streaming.ag_frame.f_locals['rows'][#]",
    "InTimer": "timer.args[#][#]",
    "InWeakKey": re.compile(r"__main__\.SIDE\.data\[<(weakref|ReferenceType)>\]"),
    "InChainMap": "SCOPES.maps[#]['rows'][#]",
}
"""By type: the chain of holders in module ``__main__``, or all of it as a pattern; ``#`` stands for any number."""
COUNT, CACHED_BYTES = 20, 5034


def test_every_holder_has_its_name(interpreter: Interpreter, tmp_path: Path) -> None:
    with running(interpreter.path, "-W", "ignore", str(PROGRAMS / "heap_leaks.py"), str(COUNT)) as process:
        assert line_from(process) == b"ready\n"
        PictureJob(process.pid, tmp_path / "heap.memtui").run()
    shelf = Shelf.open(tmp_path / "heap.memtui")
    wrong = {}
    for name, wanted in HOLDERS.items():
        nodes = (shelf.named_types == shelf.type_rows[f"__main__.{name}"]).nonzero()[0].tolist()
        if name not in ("InDefault", "Keyed"):
            assert len(nodes) == COUNT, name
        told = [re.sub(r"\d+", "#", shelf.chains.path(node)) for node in nodes]
        pattern = wanted if isinstance(wanted, re.Pattern) else re.compile(re.escape(f"__main__.{wanted}"))
        others = [path for path in told if not pattern.fullmatch(path)]
        # One of them may also have another name: that of the variable with which they were made.
        if len(others) > 1 or any("<+" in path for path in told):
            wrong[name] = set(others)
    assert wrong == {}


def test_bytes_in_a_dict_that_the_collector_does_not_know(interpreter: Interpreter, tmp_path: Path) -> None:
    code = f"CACHE = {{'key%d' % n: bytes({CACHED_BYTES - 33}) for n in range(50)}}\nprint(1, flush=True); input()"
    with running(interpreter.path, "-c", code) as process:
        assert line_from(process) == b"1\n"
        PictureJob(process.pid, tmp_path / "heap.memtui").run()
    shelf = Shelf.open(tmp_path / "heap.memtui")
    (cached,) = (shelf.picture.nodes.sizes == CACHED_BYTES).nonzero()
    assert {shelf.chains.path(node) for node in cached.tolist()} == {f"__main__.CACHE['key{n}']" for n in range(50)}
    holder = int(shelf.analysis.holders[cached[0]])
    # Since 3.12 the last one may still be on the stack of the function that runs.
    assert 49 * CACHED_BYTES < shelf.analysis.retained[holder] < 50 * (CACHED_BYTES + 200)
