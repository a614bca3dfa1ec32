"""Telling memtui's files apart by how they begin. Both kinds are called ``*.memtui``."""

from __future__ import annotations

from typing import Literal

RECORDING_MAGIC = b"memtui recording\n"
"""The first line of a recording; a heap picture is a zip archive."""
PICTURE_MAGIC = b"PK\x03\x04"
HEAD_BYTES = 32
"""So many bytes of a file tell its kind."""


def kind_of(head: bytes) -> Literal["recording", "heap picture"] | None:
    """What a file is whose first bytes are ``head``; None: no file of memtui."""
    if head.startswith(RECORDING_MAGIC):
        return "recording"
    return "heap picture" if head.startswith(PICTURE_MAGIC) else None
