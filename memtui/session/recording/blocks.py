"""The frame of a recording: blocks that are appended, each with its length and a checksum.

::

    file    = "memtui recording\\n" block*
    block   = marker (4 bytes) kind (1) session time of its last entry (8, float) length (4) CRC-32 (4) content
    kinds   : C = begins a chapter, M = goes on with it, E = the end, written when the recording was closed

All numbers are little-endian; the checksum covers kind, time, length and content. The contents of a chapter's blocks
are one zlib stream, flushed at the end of each block; each chapter begins a new one.

A file that was cut (memtui was killed, the disk was full) is read up to the cut. Where a checksum does not match, the
reader looks for the next marker and goes on with the next chapter: what lies between is lost, and said to be.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from memtui.model.files import RECORDING_MAGIC

MARKER = b"\xb5mR\n"
HEAD = struct.Struct("<4sBdII")
_SUMMED = struct.Struct("<BdI")


class BlockKind(Enum):
    """What a block is."""

    CHAPTER = ord("C")
    MORE = ord("M")
    END = ord("E")


@dataclass(frozen=True, slots=True)
class Block:
    """Where a block's content is in the file. ``until_seconds``: session time of its last entry."""

    kind: BlockKind
    until_seconds: float
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of the file that are no blocks. ``is_cut``: they are the last ones, as of a file that was cut."""

    offset: int
    length: int
    is_cut: bool


def frame(kind: BlockKind, until_seconds: float, content: bytes) -> bytes:
    """The bytes of a block."""
    summed = zlib.crc32(content, zlib.crc32(_SUMMED.pack(kind.value, until_seconds, len(content))))
    return HEAD.pack(MARKER, kind.value, until_seconds, len(content), summed) + content


def scan(data: bytes) -> Iterator[Block | Damage]:
    """The blocks of a whole file, in their order, and what is between and behind them that is none."""
    at = good = len(RECORDING_MAGIC)
    while 0 <= at < len(data):
        block = _block_at(data, at)
        if block is None:
            at = data.find(MARKER, at + 1)
            continue
        if good < at:
            yield Damage(good, at - good, False)
        yield block
        at = good = block.offset + block.length
    if good < len(data):
        yield Damage(good, len(data) - good, True)


def _block_at(data: bytes, at: int) -> Block | None:
    """The block that begins there; None when there is none, or not all of it, or it was changed."""
    if len(data) - at < HEAD.size:
        return None
    marker, kind, until_seconds, length, summed = HEAD.unpack_from(data, at)
    begin = at + HEAD.size
    if marker != MARKER or length > len(data) - begin or kind not in (one.value for one in BlockKind):
        return None
    content = memoryview(data)[begin : begin + length]
    if zlib.crc32(content, zlib.crc32(_SUMMED.pack(kind, until_seconds, length))) != summed:
        return None
    return Block(BlockKind(kind), until_seconds, begin, length)
