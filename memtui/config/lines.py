"""Where in a TOML text each key stands, so that mistakes can be named by line and values replaced in place.

A reader of the outline only: headers, keys, and where values begin and end. What the values are is the business of
the TOML parser, and a text that it refuses is not read here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Path = tuple[str, ...]
_BARE_OR_QUOTED = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)\s*""")
_LONG_QUOTES = ('"""', "'''")


@dataclass(frozen=True, slots=True)
class Place:
    """A key with its value: the line (from 1), and the characters of the text that its value takes."""

    line: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Outline:
    """``places`` of keys by their whole path, ``headers``: where the text after each ``[table]`` line begins."""

    places: dict[Path, Place]
    headers: dict[Path, int]

    def line_of(self, path: Path) -> int | None:
        """The line of a key; of what it lies in, where it stands in an inline table. None: not found."""
        for length in range(len(path), 0, -1):
            place = self.places.get(path[:length])
            if place is not None:
                return place.line
        return None


def outline(text: str) -> Outline:
    """The outline of a text that is valid TOML."""
    places: dict[Path, Place] = {}
    headers: dict[Path, int] = {}
    table: Path = ()
    at = 0
    while at < len(text):
        end = _line_end(text, at)
        stripped = text[at:end].lstrip()
        if stripped.startswith("["):
            table, _ = _path(text, at + text[at:end].index("[") + (2 if stripped.startswith("[[") else 1))
            headers.setdefault(table, end)
        elif stripped and not stripped.startswith("#"):
            name, equals = _path(text, at)
            begin = equals + 1
            begin += len(text[begin:]) - len(text[begin:].lstrip(" \t"))
            stop = _value_end(text, begin)
            places.setdefault((*table, *name), Place(text.count("\n", 0, at) + 1, begin, stop))
            end = _line_end(text, stop)
        at = end
    return Outline(places, headers)


def _line_end(text: str, at: int) -> int:
    """Behind the newline that ends the line at ``at``."""
    newline = text.find("\n", at)
    return len(text) if newline < 0 else newline + 1


def _path(text: str, at: int) -> tuple[Path, int]:
    """A dotted key, and where it ends."""
    parts: list[str] = []
    while match := _BARE_OR_QUOTED.match(text, at):
        parts.append(match[1].strip("\"'") if match[1][0] in "\"'" else match[1])
        at = match.end()
        if text[at : at + 1] != ".":
            break
        at += 1
    return tuple(parts), at


def _value_end(text: str, at: int) -> int:
    """Where the value that begins at ``at`` ends: arrays and long strings go over several lines."""
    depth = 0
    last = at
    while at < len(text):
        character = text[at]
        if character in "\"'":
            at = last = _string_end(text, at)
            continue
        if character == "\n" and depth == 0:
            break
        if character == "#":
            at = _line_end(text, at) - (text[_line_end(text, at) - 1] == "\n")
            continue
        depth += (character in "[{") - (character in "]}")
        at += 1
        if not character.isspace():
            last = at
    return last


def _string_end(text: str, at: int) -> int:
    quote = text[at : at + 3] if text.startswith(_LONG_QUOTES, at) else text[at]
    escapes = quote[0] == '"'
    at += len(quote)
    while at < len(text):
        if escapes and text[at] == "\\":
            at += 2
        elif text.startswith(quote, at):
            at += len(quote)
            while len(quote) == 3 and text[at : at + 1] == quote[0]:
                at += 1  # up to two quotes may stand before the three that end it
            return at
        else:
            at += 1
    return at
