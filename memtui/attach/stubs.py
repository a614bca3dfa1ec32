"""The few dozen bytes of machine code that start the agent's thread, and the page they travel on.

Nothing here runs at an arbitrary moment: ``queue`` only registers a pending call (safe anywhere), ``pending`` is run
by the interpreter itself between two bytecodes, ``thread`` is the start of a fresh native thread.
"""

from __future__ import annotations

from memtui.attach.native import stub_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from memtui.attach.architecture import StubCode

_SOURCE_OFFSET = 512
PAGE_BYTES = 4096


class Page:
    """One read-and-execute mapping in the target: stubs first, then the source text of the bootstrap.

    Addresses are absolute. ``queue`` takes (function, argument) as its own arguments, calls ``Py_AddPendingCall`` and
    stores the result at ``result``.
    """

    __slots__ = ("content", "pending", "queue", "source", "thread")

    def __init__(self, content: bytes, queue: int, pending: int, thread: int, source: int) -> None:
        self.content = content
        self.queue, self.pending, self.thread, self.source = queue, pending, thread, source


def page_bytes(source: bytes) -> int:
    """Size of the mapping for this source text, in whole memory pages."""
    return -(-(_SOURCE_OFFSET + len(source) + 1) // PAGE_BYTES) * PAGE_BYTES


def build_page(
    base: int,
    source: bytes,
    symbols: Mapping[str, int],
    result: int,
    leave_zero: int | None,
    code: StubCode = stub_code,
) -> Page:
    """Assemble the page for mapping address ``base``, from the stubs ``code``.

    ``symbols`` holds absolute addresses of ``Py_AddPendingCall Py_IsInitialized PyRun_SimpleString PyGILState_Ensure
    PyGILState_Release pthread_create pthread_self pthread_detach munmap``. With ``leave_zero`` (such a piece of
    code in the target) the page removes itself when the agent's thread ends; without it it stays. ``source`` may
    consist of several texts with zeros between them, to be run in turn.
    """
    size = page_bytes(source)
    queue, pending, thread = base + 16, base + 96, base + 192
    source_at = base + _SOURCE_OFFSET
    removal = (base, size) if leave_zero else None
    texts = source.split(b"\0")
    then = [source_at + len(b"\0".join(texts[:number])) + 1 for number in range(1, len(texts))]
    parts = {
        queue: code.queue_stub(symbols, result),
        pending: code.pending_stub(symbols, thread, source_at, leave_zero),
        thread: code.thread_stub(symbols, removal, then),
        source_at: source + b"\0",
    }
    content = bytearray(b"\xcc" * size)
    ends = [*sorted(parts), base + size]
    for (start, part), end in zip(sorted(parts.items()), ends[1:], strict=True):
        if len(part) > end - start:
            raise ValueError("a stub does not fit its place")
        content[start - base : start - base + len(part)] = part
    return Page(bytes(content), queue, pending, thread, source_at)
