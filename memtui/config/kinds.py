"""What values a key may have: read from a TOML value or from a word, written as TOML, shown to people."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from memtui.config.urls import problem_of_url
from memtui.model.units import parse_duration, parse_size

Value = str | int | float
OFF = "off"


class Kind(Protocol):
    """``words`` says what is wanted, for an error or a table. ``read`` raises ValueError with a sentence's end."""

    @property
    def words(self) -> str:
        """What a value must be."""
        ...

    def read(self, found: object) -> Value | None:
        """The value of what TOML holds; None for one that switches off. Raises ValueError."""
        ...

    def of_word(self, word: str) -> object:
        """What a word of the command line or the environment would be in TOML."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """Any text."""

    words: str = "a text"

    def read(self, found: object) -> Value:
        """The text itself."""
        if isinstance(found, str):
            return found
        raise ValueError(f"must be {self.words}")

    def of_word(self, word: str) -> object:
        """The word itself."""
        return word


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL; an empty text is none."""

    words: str = "an http or https URL"

    def read(self, found: object) -> Value:
        """The URL."""
        if not isinstance(found, str):
            raise ValueError(f"must be {self.words}")
        if found and (why := problem_of_url(found)):
            raise ValueError(f"is no URL for a webhook. {why.removesuffix('.')}")
        return found

    def of_word(self, word: str) -> object:
        """The word itself."""
        return word


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words, which are asked for when they are needed; ``what`` names one of them."""

    known: Callable[[], Sequence[str]]
    what: str = "one of"

    @property
    def words(self) -> str:
        """The words that are known."""
        return f"{self.what} ({', '.join(self.known())})"

    def read(self, found: object) -> Value:
        """The word."""
        if isinstance(found, str) and found in self.known():
            return found
        raise ValueError(f"is not {self.words}")

    def of_word(self, word: str) -> object:
        """The word itself."""
        return word


@dataclass(frozen=True, slots=True)
class Seconds:
    """A duration: a number of seconds, or a text such as ``"250ms"``."""

    low: float = 0.0
    high: float | None = None

    @property
    def words(self) -> str:
        """The range in seconds."""
        if self.high is None:
            return "a duration such as 90s or 10m"
        return f"between {self.low:g} and {self.high:g} seconds"

    def read(self, found: object) -> Value:
        """Seconds."""
        value = _number_or(found, parse_duration, self.words)
        if value < self.low or (self.high is not None and value > self.high):
            raise ValueError(f"must be {self.words}")
        return float(value)

    def of_word(self, word: str) -> object:
        """A number where it is one."""
        return number_of(word)


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes: a number, or a text such as ``"512MB"``; ``per``: a text that may follow, such as ``/min``."""

    per: str = ""

    @property
    def words(self) -> str:
        """An example."""
        return f"a size such as 512MB{self.per}"

    def read(self, found: object) -> Value:
        """Bytes."""
        return int(_number_or(found, lambda text: parse_size(text.removesuffix(self.per)), self.words))

    def of_word(self, word: str) -> object:
        """A number where it is one."""
        return number_of(word)


@dataclass(frozen=True, slots=True)
class Percent:
    """A percentage: a number, or a text such as ``"80%"``."""

    words: str = "a percentage such as 80%"

    def read(self, found: object) -> Value:
        """Percent, above 0."""
        value = _number_or(found, lambda text: float(text.removesuffix("%")), self.words)
        if not 0 < value < float("inf"):
            raise ValueError(f"must be {self.words}")
        return float(value)

    def of_word(self, word: str) -> object:
        """A number where it is one."""
        return number_of(word)


@dataclass(frozen=True, slots=True)
class Count:
    """A whole number, at least ``low``."""

    low: int = 1

    @property
    def words(self) -> str:
        """The least number."""
        return f"a whole number of at least {self.low}"

    def read(self, found: object) -> Value:
        """The number."""
        if isinstance(found, int) and not isinstance(found, bool) and found >= self.low:
            return found
        raise ValueError(f"must be {self.words}")

    def of_word(self, word: str) -> object:
        """A number where it is one."""
        return number_of(word)


@dataclass(frozen=True, slots=True)
class OrOff:
    """What another kind takes, or ``"off"``, which is how a default is switched off."""

    kind: Kind

    @property
    def words(self) -> str:
        """Those of the other kind."""
        return f'{self.kind.words}, or "{OFF}"'

    def read(self, found: object) -> Value | None:
        """The value; None for "off"."""
        return None if found == OFF else self.kind.read(found)

    def of_word(self, word: str) -> object:
        """As the other kind has it."""
        return word if word == OFF else self.kind.of_word(word)


def number_of(word: str) -> object:
    """A whole or decimal number where ``word`` is one, else the word."""
    if word.isascii() and word.isdigit():
        return int(word)
    plain = word.replace(".", "", 1)
    return float(word) if plain.isascii() and plain.isdigit() and word[0] != "." and word[-1] != "." else word


def as_toml(value: object) -> str:
    """A text, flag or number as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    # Strings of JSON are strings of TOML, but for DEL, which TOML wants escaped.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _number_or(found: object, parse: Callable[[str], float], words: str) -> float:
    try:
        if isinstance(found, str):
            return parse(found.strip())
        if isinstance(found, (int, float)) and not isinstance(found, bool) and 0 <= found < float("inf"):
            return found
    except ValueError:
        pass
    raise ValueError(f"must be {words}")
