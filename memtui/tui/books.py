"""The heap pictures that screens leaf through: each is open in a process of its own, a few at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from memtui.errors import MemtuiError, UsageError
from memtui.heap.book import HeapBook
from memtui.model.heap import (
    DuplicateText,
    HeapDiff,
    HeapDiffBy,
    HeapFound,
    HeapLink,
    HeapObject,
    HeapType,
    HolderChain,
    HolderPath,
    InstanceOrder,
    TypeOrder,
)

OPEN_BOUND = 2
"""Pictures open at a time; each takes some hundred bytes an object, in its own process."""


class Book(Protocol):
    """What screens ask of a picture; :class:`memtui.heap.book.HeapBook` says what the answers mean."""

    def types(
        self, order: TypeOrder = "retained", search: str = "", offset: int = 0, limit: int = 200
    ) -> tuple[HeapType, ...]:
        """Types."""
        ...

    def instances(
        self, type_name: str, order: InstanceOrder = "retained", offset: int = 0, limit: int = 200
    ) -> tuple[HeapObject, ...]:
        """Objects of one type."""
        ...

    def object(self, node: int) -> HeapObject:
        """One object."""
        ...

    def references(self, node: int, offset: int = 0, limit: int = 200) -> tuple[HeapLink, ...]:
        """What it holds."""
        ...

    def holders(self, node: int, offset: int = 0, limit: int = 200) -> tuple[HeapLink, ...]:
        """What holds it."""
        ...

    def chain(self, node: int) -> HolderChain:
        """How it hangs on a root."""
        ...

    def paths(self, type_name: str | None = None, limit: int = 50) -> tuple[HolderPath, ...]:
        """Where objects hang."""
        ...

    def retainers(self, limit: int = 50, modules: bool = False) -> tuple[HeapLink, ...]:
        """What keeps the most alive."""
        ...

    def biggest(self, limit: int = 50) -> tuple[HeapLink, ...]:
        """The largest objects."""
        ...

    def duplicates(self, limit: int = 50) -> tuple[DuplicateText, ...]:
        """Texts that exist more than once."""
        ...

    def held_from_c(self, limit: int = 50) -> tuple[HeapLink, ...]:
        """Objects that only C code holds."""
        ...

    def search(self, text: str, limit: int = 100) -> tuple[HeapFound, ...]:
        """Types, roots and texts."""
        ...

    def diff(self, other_path: str | Path, by: HeapDiffBy, limit: int = 100) -> HeapDiff:
        """What this picture has more than an earlier one."""
        ...

    def close(self) -> None:
        """End its process; whoever waits for an answer gets a MemtuiError."""
        ...


class Shelf:
    """Opens pictures when they are asked for, closes those not asked for longest. May be used from all threads."""

    def __init__(self, open_book: Callable[[str], Book] = HeapBook) -> None:
        self._open_book = open_book
        self._lock = threading.Lock()
        self._books: dict[str, Book] = {}
        self._closed = False

    def book(self, path: str) -> Book:
        """The picture in ``path``, opened now if need be. Raises MemtuiError."""
        with self._lock:
            if self._closed:
                raise MemtuiError("memtui is leaving.")
            book = self._books.pop(path, None) or self._open_book(path)
            self._books[path] = book
            longest_not_asked = list(self._books)[:-OPEN_BOUND]
            old = [self._books.pop(one) for one in longest_not_asked]
        for one in old:
            one.close()
        return book

    def failed(self, path: str, error: MemtuiError) -> None:
        """A question was answered by ``error``: unless the question was wrong, open the picture anew next time."""
        if not isinstance(error, UsageError):
            with self._lock:
                book = self._books.pop(path, None)
            if book is not None:
                book.close()

    def close(self) -> None:
        """Close all; questions under way are ended by this."""
        with self._lock:
            self._closed = True
            books, self._books = list(self._books.values()), {}
        for one in books:
            one.close()
