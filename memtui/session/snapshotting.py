"""Snapshots: through the agent, type counts first and then the traced allocations; or of a scan from outside."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from memtui.errors import ChannelError
from memtui.heap.scanner import TypeScan
from memtui.model.allocation import Allocations, Snapshot, Tracing, TypeCount
from memtui.protocol import Frame
from memtui.session import wire
from memtui.session.asking import Asking
from memtui.session.messages import SnapshotTaken

_SNAPSHOT_ROWS = 3000
_SNAPSHOT_TRACEBACKS = 300
_SNAPSHOT_TYPES = 3000


class Snapshotting(Asking, Protocol):
    """A conversation in which snapshots are taken."""

    tracing: Tracing

    def snapshot_taken(self, lines: Allocations | None) -> None:
        """The snapshot is complete."""
        ...


Answered = Callable[[Frame], None]
Traced = Callable[[Allocations | None, Allocations | None], None]
"""Takes the traced groups by line, and by traceback where more than one frame is kept; None for what is not there."""


class TracedInTheMaking:
    """The traced groups that travel with a heap picture. ``then`` is called once, whatever happens."""

    def __init__(self, conversation: Snapshotting, then: Traced) -> None:
        self._conversation, self._then = conversation, then
        self._lines: Allocations | None = None
        self._over = False

    def begin(self) -> None:
        """Send the first request."""
        self._ask(self._have_lines, by="line", limit=_SNAPSHOT_ROWS)

    def _ask(self, answered: Answered, **arguments: Any) -> None:
        try:
            self._conversation.ask("asking for traced memory", "allocations", answered, self._refused, **arguments)
        except ChannelError:
            self._refused()
            raise

    def _have_lines(self, reply: Frame) -> None:
        self._lines = wire.allocations(reply, self._conversation.clock())
        if self._conversation.tracing.frames > 1:
            self._ask(self._have_tracebacks, by="traceback", limit=_SNAPSHOT_TRACEBACKS)
        else:
            self._finish(None)

    def _have_tracebacks(self, reply: Frame) -> None:
        self._finish(wire.allocations(reply, self._conversation.clock()))

    def _refused(self) -> None:
        self._finish(None)

    def _finish(self, tracebacks: Allocations | None) -> None:
        if not self._over:
            self._over = True
            self._then(self._lines, tracebacks)


class SnapshotInTheMaking:
    """A snapshot is several requests, one after the other."""

    def __init__(self, conversation: Snapshotting, rss_bytes: int) -> None:
        self._conversation, self._rss_bytes = conversation, rss_bytes
        self._began = time.monotonic()
        self._types: tuple[TypeCount, ...] = ()
        self._objects = 0
        self._lines: Allocations | None = None

    def begin(self) -> None:
        """Send the first request."""
        self._ask("types", self._have_types, limit=_SNAPSHOT_TYPES)

    def _ask(self, do: str, answered: Answered, **arguments: Any) -> None:
        self._conversation.ask("taking a snapshot", do, answered, **arguments)

    def _have_types(self, reply: Frame) -> None:
        self._types, self._objects = wire.type_counts(reply)
        if self._conversation.tracing.on:
            self._ask("allocations", self._have_lines, by="line", limit=_SNAPSHOT_ROWS)
        else:
            self._finish(None)

    def _have_lines(self, reply: Frame) -> None:
        self._lines = wire.allocations(reply, self._conversation.clock())
        if self._conversation.tracing.frames > 1:
            self._ask("allocations", self._have_tracebacks, by="traceback", limit=_SNAPSHOT_TRACEBACKS)
        else:
            self._finish(None)

    def _have_tracebacks(self, reply: Frame) -> None:
        self._finish(wire.allocations(reply, self._conversation.clock()))

    def _finish(self, tracebacks: Allocations | None) -> None:
        snapshot = Snapshot(
            number=0,  # the State it becomes part of numbers it
            at_seconds=self._conversation.clock(),
            taken_at=time.time(),
            rss_bytes=self._rss_bytes,
            traced_bytes=self._lines.total_bytes if self._lines else None,
            types=self._types,
            objects=self._objects,
            allocations=self._lines,
            tracebacks=tracebacks,
            took_seconds=time.monotonic() - self._began,
        )
        self._conversation.emit(SnapshotTaken(snapshot))
        self._conversation.snapshot_taken(self._lines)


def scanned_snapshot(scan: TypeScan, at_seconds: float, rss_bytes: int) -> Snapshot:
    """What a scan from outside saw: type counts and nothing else."""
    return Snapshot(
        number=0,  # the State it becomes part of numbers it
        at_seconds=at_seconds,
        taken_at=time.time(),
        rss_bytes=rss_bytes,
        traced_bytes=None,
        types=scan.types,
        objects=scan.objects,
        allocations=None,
        tracebacks=None,
        took_seconds=scan.seconds,
        scanned=True,
    )
