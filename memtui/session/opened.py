"""A session on files: pictures that were taken before, and no process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from memtui.errors import UsageError
from memtui.model.allocation import Snapshot
from memtui.model.command import Command
from memtui.model.heap import PictureFacts
from memtui.model.state import State
from memtui.model.target import Target
from memtui.session.interface import Listener


class FilesSession:
    """Implements :class:`memtui.session.interface.Session`. Its State never changes, and requests do nothing.

    The pictures become snapshots, the oldest first. Raises UsageError when there is none.
    """

    def __init__(self, pictures: Sequence[PictureFacts]) -> None:
        if not pictures:
            raise UsageError("There is no picture to open.")
        taken = sorted((_seconds(one), number, one) for number, one in enumerate(pictures))
        began, last = taken[0][0], taken[-1][2]
        self._state = State(
            target=Target(last.pid, last.command, last.python or None),
            started_at=began,
            now_seconds=taken[-1][0] - began,
            snapshots=tuple(_snapshot(number, at, began, one) for number, (at, _, one) in enumerate(taken, 1)),
        )

    @property
    def state(self) -> State:
        """The one State."""
        return self._state

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Nothing will be heard."""
        return lambda: None

    def request(self, command: Command) -> None:
        """There is no process to do anything to."""

    def start(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def _seconds(facts: PictureFacts) -> float:
    """When it was taken, since the epoch; 0 when that cannot be read."""
    try:
        return datetime.fromisoformat(facts.taken_at.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def _snapshot(number: int, at: float, began: float, facts: PictureFacts) -> Snapshot:
    return Snapshot(
        number=number,
        at_seconds=at - began,
        taken_at=at,
        rss_bytes=facts.rss_bytes or 0,
        traced_bytes=None,
        types=(),
        objects=facts.objects,
        allocations=None,
        tracebacks=None,
        took_seconds=0.0,
        picture=facts,
    )
