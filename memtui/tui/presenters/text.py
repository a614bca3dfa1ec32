"""Text that came from a target made safe to draw, and fitted into cells."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len, chop_cells, set_cell_size

ELLIPSIS = "…"
_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # operating system commands: titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\|$)"  # strings for the terminal
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor movements
    r"|\x1b[ -/]*[0-~]"
)
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_ASCII = str.maketrans(
    {
        "▁": "_", "▂": "_", "▃": ".", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "█": "#",
        "─": "-", "│": "|", "┤": "|", "├": "|", "└": "+", "┬": "+", "┴": "+", "┼": "+", "┌": "+", "┐": "+", "┘": "+",
        "…": "~", "–": "-", "—": "-", "·": ".", "▸": ">", "▾": "v", "▴": "^", "→": ">", "←": "<", "↑": "^", "↓": "v",
        "━": "=", "×": "x", "“": '"', "”": '"', "‘": "'", "’": "'", "•": "*",
    }
)  # fmt: skip


def clean(text: str) -> str:
    """``text`` without escape sequences, with tabs as spaces and every other invisible character as ``?``."""
    if text.isascii() and text.isprintable():
        return text
    plain = _ESCAPES.sub("", text).replace("\t", "    ")
    return "".join("?" if unicodedata.category(char) in _UNSAFE else char for char in plain)


def to_ascii(text: str) -> str:
    """``text`` for a terminal that shows ASCII only; each character keeps its width."""
    if text.isascii():
        return text
    return "".join(char if char.isascii() else "?" * cell_len(char) for char in text.translate(_ASCII))


def pad(text: str, width: int, align: str = "left") -> str:
    """``text`` in exactly ``width`` cells, cut with an ellipsis; ``align`` is left or right."""
    length = cell_len(text)
    if length > width:
        return cut_end(text, width)
    return text + " " * (width - length) if align == "left" else " " * (width - length) + text


def cut_end(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, its end cut."""
    if cell_len(text) <= width:
        return text
    return "" if width <= 0 else set_cell_size(text, width - 1).rstrip() + ELLIPSIS


def cut_start(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, its start cut."""
    if cell_len(text) <= width:
        return text
    return "" if width <= 0 else ELLIPSIS + _tail(text, width - 1)


def cut_middle(text: str, width: int) -> str:
    """``text`` in at most ``width`` cells, its middle cut: the two ends usually say most."""
    if cell_len(text) <= width:
        return text
    if width < 5:
        return cut_end(text, width)
    tail = (width - 1) // 2
    return set_cell_size(text, width - 1 - tail) + ELLIPSIS + _tail(text, tail)


def wrap(text: str, width: int) -> list[str]:
    """``text`` broken at spaces into lines of at most ``width`` cells."""
    lines: list[str] = []
    current = ""
    for word in text.split():
        joined = f"{current} {word}" if current else word
        if cell_len(joined) <= width:
            current = joined
            continue
        if current:
            lines.append(current)
        *full, current = chop_cells(word, max(1, width)) or [""]
        lines.extend(full)
    return [*lines, current] if current or not lines else lines


def short_path(path: str, width: int) -> str:
    """``path`` in at most ``width`` cells, leading directories left out first."""
    if cell_len(path) <= width:
        return path
    parts = path.split("/")
    for first in range(1, len(parts)):
        tail = f"{ELLIPSIS}/" + "/".join(parts[first:])
        if cell_len(tail) <= width:
            return tail
    return cut_start(path, width)


def _tail(text: str, width: int) -> str:
    taken, cells = len(text), 0
    while taken and cells + cell_len(text[taken - 1]) <= width:
        taken -= 1
        cells += cell_len(text[taken])
    return text[taken:]
