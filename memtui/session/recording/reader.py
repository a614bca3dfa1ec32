"""Reading a recording: whole, cut off, or damaged; a chapter at a time."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from memtui.errors import UsageError
from memtui.model.files import RECORDING_MAGIC
from memtui.model.state import State
from memtui.session.messages import Message
from memtui.session.recording.blocks import Block, BlockKind, Damage, scan
from memtui.session.recording.codec import BadTreeError, Codec
from memtui.session.recording.encoder import FORMAT, KIND, VERSION
from memtui.session.recording.thinning import Timed

_MOST_BYTES = 1 << 30
_MOST_BLOCK_BYTES = 256 * 1024 * 1024
_KNOWN = {one.__name__ for one in get_args(Message)}
_BROKEN = (zlib.error, ValueError, LookupError, TypeError, AttributeError, RecursionError)
_NEXT = "Name a recording: memtui record PID -o FILE makes one."


@dataclass(frozen=True, slots=True)
class Chapter:
    """A stretch of a recording that can be read by itself; ``begin_seconds`` and ``end_seconds`` in session time."""

    blocks: tuple[Block, ...]

    @property
    def begin_seconds(self) -> float:
        """Session time of its State."""
        return self.blocks[0].until_seconds

    @property
    def end_seconds(self) -> float:
        """Session time of its last entry."""
        return self.blocks[-1].until_seconds


class RecordingFile:
    """A recording that was opened. Raises UsageError, with one sentence, for what is none.

    ``chapters``: what can be read, in order; at least one. ``gaps``: stretches of session time that are damaged.
    ``is_whole``: it was closed, and not cut off.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self._data = _read(path)
        self.chapters: list[Chapter] = []
        self.gaps: list[tuple[float, float]] = []
        self.is_whole = False
        self._index()
        if not self.chapters:
            raise UsageError(
                f"Nothing can be read of the recording {path}.",
                why="It was cut off at once, or all of it is damaged.",
                next_step="Record again.",
            )
        self.memtui = str(self._head(self.chapters[0])[0]["memtui"])[:20]

    @property
    def begin_seconds(self) -> float:
        """Session time at which it begins."""
        return self.chapters[0].begin_seconds

    @property
    def end_seconds(self) -> float:
        """Session time of the last entry."""
        return self.chapters[-1].end_seconds

    @property
    def size_bytes(self) -> int:
        """Length of the file when it was opened."""
        return len(self._data)

    def first_state(self, chapter: Chapter) -> State:
        """The State at the beginning of a chapter. Raises UsageError when it cannot be read."""
        head, _ = self._head(chapter)
        return self._state(head)[0]

    def read(self, chapter: Chapter) -> tuple[State, list[Timed]]:
        """The State at the beginning of a chapter, and the messages that follow. Raises UsageError.

        Where they turn out to be wrong inside, the rest of the chapter is another gap.
        """
        head, trees = self._head(chapter)
        state, codec = self._state(head)
        messages: list[Timed] = []
        try:
            messages.extend(one for tree in trees if (one := _message(codec, tree)) is not None)
        except _BROKEN:
            since = messages[-1][0] if messages else chapter.begin_seconds
            if (since, chapter.end_seconds) not in self.gaps:
                self.gaps.append((since, chapter.end_seconds))
        return state, messages

    def _index(self) -> None:
        """Sort the blocks into chapters; what follows damage is lost until the next chapter begins."""
        chapter: list[Block] = []
        lost_since: float | None = None
        last_seconds = 0.0
        for part in scan(self._data):
            if isinstance(part, Damage):
                if lost_since is None and not part.is_cut:
                    lost_since = last_seconds
                continue
            last_seconds, self.is_whole = part.until_seconds, part.kind is BlockKind.END
            if part.kind is BlockKind.CHAPTER:
                self._close(chapter)
                chapter = [part]
                if lost_since is not None:
                    self.gaps.append((lost_since, last_seconds))
                    lost_since = None
            elif part.kind is BlockKind.MORE and lost_since is None and chapter:
                chapter.append(part)
        self._close(chapter)
        if lost_since is not None:
            self.gaps.append((lost_since, last_seconds))

    def _close(self, blocks: Sequence[Block]) -> None:
        if blocks:
            self.chapters.append(Chapter(tuple(blocks)))

    def _head(self, chapter: Chapter) -> tuple[dict[str, Any], Iterator[Any]]:
        """The first entry of a chapter, and the others."""
        entries = self._entries(chapter)
        try:
            head = next(entries)
            if isinstance(head, dict) and head["format"] == FORMAT and head["kind"] == KIND:
                _check_version(self.path, head["version"])
                return head, entries
        except (*_BROKEN, StopIteration) as error:
            raise self._unreadable() from error
        raise self._unreadable()

    def _state(self, head: Mapping[str, Any]) -> tuple[State, Codec]:
        try:
            codec = Codec({str(name): [str(one) for one in names] for name, names in head["fields"].items()})
            return codec.decode(head["state"], State), codec
        except _BROKEN as error:
            raise self._unreadable() from error

    def _entries(self, chapter: Chapter) -> Iterator[Any]:
        stream = zlib.decompressobj()
        for block in chapter.blocks:
            packed = self._data[block.offset : block.offset + block.length]
            raw = stream.decompress(packed, _MOST_BLOCK_BYTES)
            if stream.unconsumed_tail:
                raise BadTreeError("a block is larger than any")
            yield from json.loads(raw)

    def _unreadable(self) -> UsageError:
        return UsageError(
            f"The recording {self.path} is damaged.",
            why="What is in it is not what memtui writes.",
            next_step="Record again.",
        )


def _message(codec: Codec, tree: Any) -> Timed | None:
    """An entry; None for a message that this memtui does not know."""
    now, *rest = tree
    if type(now) not in (int, float):
        raise BadTreeError("an entry without its time")
    if rest[0] not in _KNOWN:
        return None
    return now, codec.decode(rest, Message)


def _check_version(path: Path, version: Any) -> None:
    if not isinstance(version, int) or version > VERSION:
        raise UsageError(
            f"{path} was written by a newer memtui.",
            why=f"Its version is {str(version)[:40]}; this memtui reads up to {VERSION}.",
            next_step="Update memtui.",
        )


def _read(path: str | Path) -> bytes:
    """All bytes of a recording. Raises UsageError."""
    target = Path(path).expanduser()
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            raise UsageError(f"{path} is no file.", next_step=_NEXT)  # opening a pipe would wait for a writer
        with target.open("rb") as file:
            if not file.read(len(RECORDING_MAGIC)).startswith(RECORDING_MAGIC):
                raise UsageError(f"{path} is no recording of memtui.", next_step=_NEXT)
            file.seek(0)
            return file.read(_MOST_BYTES)
    except (OSError, ValueError, RuntimeError) as error:
        words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{path} cannot be read.", why=f"{words[:1].upper()}{words[1:]}.") from error
