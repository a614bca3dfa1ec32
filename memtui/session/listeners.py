"""Who is told of each new State of a session."""

from __future__ import annotations

from collections.abc import Callable

from memtui.model.state import State
from memtui.session.interface import Listener


class Listeners:
    """Called in the order in which they came. One that is told may take itself out."""

    def __init__(self) -> None:
        self._all: tuple[Listener, ...] = ()

    def add(self, listener: Listener) -> Callable[[], None]:
        """Returns a function that takes it out again."""
        self._all = (*self._all, listener)

        def end() -> None:
            self._all = tuple(one for one in self._all if one is not listener)

        return end

    def tell(self, state: State) -> None:
        """Call each of them."""
        for listener in self._all:
            listener(state)
