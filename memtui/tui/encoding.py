"""What the terminal's encoding cannot say."""

from __future__ import annotations

import io
import sys


def replace_what_cannot_be_encoded() -> None:
    """Let a character that the encoding lacks become ``?``: standard error would write its escaped name instead.

    Textual draws on standard error.
    """
    if isinstance(sys.__stderr__, io.TextIOWrapper):
        sys.__stderr__.reconfigure(errors="replace")
