"""From messages to the bytes of a recording: chapters of blocks, each a stretch of JSON in one zlib stream.

The content of a chapter's blocks is a sequence of JSON arrays, one a block. The first entry of a chapter is
``{"memtui", "format", "version", "fields", "state"}``: the State at its beginning, and the fields of all classes; all
other entries are ``[session time, name of the message's class, fields...]``. A chapter can be read without those
before it: what is damaged costs a chapter at most, and a place in a long recording is found without reading it all.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any, NamedTuple

from memtui import __version__
from memtui.model.state import State
from memtui.session.messages import Message
from memtui.session.recording.blocks import BlockKind, frame
from memtui.session.recording.codec import Codec
from memtui.session.recording.thinning import Thinner, Timed

FORMAT, KIND, VERSION = "memtui", "recording", 1
CHAPTER_SECONDS = 120.0
_MOST_SHARE = 5
"""A new chapter waits as long as its State would take more than one part of so many of what was written."""
_EXPECTED_RATIO = 0.25


class Entry(NamedTuple):
    """A message and the session time at which it was folded.

    ``touches``: the allocations or the output of the State are others since. ``chapter``: the State it led to, when a
    new chapter may begin here.
    """

    now_seconds: float
    message: Message
    touches: bool = False
    chapter: State | None = None


class Encoder:
    """Makes the blocks of one recording, in bounded memory. It begins with ``state``."""

    def __init__(self, state: State) -> None:
        self._thinner = Thinner(self._write)
        self._ready = bytearray()
        self._begin(*_head(state), state.now_seconds)

    def add(self, entry: Entry) -> None:
        """Take a message in."""
        if entry.chapter is not None and self._offer_chapter(entry.chapter):
            return
        self._until_seconds = entry.now_seconds
        self._thinner.add((entry.now_seconds, entry.message), touches=entry.touches)

    def take(self) -> bytes:
        """The blocks of all that was added since the last time, except what waits to be thinned out."""
        if self._pending:
            self._pack(BlockKind.MORE)
        made, self._ready = bytes(self._ready), bytearray()
        return made

    def end(self) -> bytes:
        """The last blocks."""
        self._thinner.flush(self._until_seconds)
        return self.take() + frame(BlockKind.END, self._until_seconds, b"")

    def _write(self, item: Timed) -> float:
        """Write a message; returns about how many bytes of the file it takes."""
        now, message = item
        text = _json([now, *self._codec.encode(message, Message)])
        self._pending.append(text)
        ratio = self._packed_bytes / self._raw_bytes if self._raw_bytes else _EXPECTED_RATIO
        return len(text) * ratio

    def _offer_chapter(self, state: State) -> bool:
        """Begin a new chapter, unless its head would be large beside what was written since the last one."""
        head, codec = _head(state)
        if len(zlib.compress(head.encode(), 1)) * _MOST_SHARE > self._packed_bytes:
            return False
        if self._pending:
            self._pack(BlockKind.MORE)
        self._thinner.forget()
        self._begin(head, codec, state.now_seconds)
        return True

    def _begin(self, head: str, codec: Codec, now_seconds: float) -> None:
        self._codec, self._until_seconds = codec, now_seconds
        self._stream = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9)
        self._raw_bytes = self._packed_bytes = 0
        self._pending = [head]
        self._pack(BlockKind.CHAPTER)
        self._raw_bytes = self._packed_bytes = 0  # the budgets count what comes after the head

    def _pack(self, kind: BlockKind) -> None:
        """Make a block of what is pending."""
        raw = f"[{','.join(self._pending)}]".encode()
        self._pending = []
        content = self._stream.compress(raw) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        block = frame(kind, self._until_seconds, content)
        self._raw_bytes += len(raw)
        self._packed_bytes += len(block)
        self._ready += block


def _head(state: State) -> tuple[str, Codec]:
    """The first entry of a chapter, and the codec that goes on from it."""
    codec = Codec()
    fields = {**codec.field_table(State), **codec.field_table(Message)}
    about = {"format": FORMAT, "kind": KIND, "version": VERSION, "memtui": __version__}
    return _json({**about, "fields": fields, "state": codec.encode(without_viewer(state), State)}), codec


def without_viewer(state: State) -> State:
    """``state`` without what concerns who looks at the process, and not the process."""
    return replace(state, recording=None, playback=None)


def _json(value: Any) -> str:
    # ASCII only, because a command line may hold bytes that are no text.
    return json.dumps(value, separators=(",", ":"))
