"""TOML files of the user, with errors that name the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]


class TomlProblem(Exception):
    """A file that cannot be used; the text names it."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(f"{file}: {why}")


def read_toml(file: Path) -> dict[str, Any]:
    """The tables of ``file``. Raises ``TomlProblem`` when it cannot be read or is no TOML (with the line)."""
    return parse_toml(file, read_text(file))


def read_text(file: Path) -> str:
    """The text of ``file``. Raises ``TomlProblem``."""
    try:
        return file.read_bytes().decode("utf-8")
    except OSError as error:
        raise TomlProblem(file, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise TomlProblem(file, f"is not UTF-8 (byte {error.start})") from None


def parse_toml(file: Path, text: str) -> dict[str, Any]:
    """The tables of ``text``, which is that of ``file``. Raises ``TomlProblem`` with the line."""
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TomlProblem(file, f"is not valid TOML: {error}") from None
    except RecursionError:
        raise TomlProblem(file, "is not valid TOML: it is nested too deeply") from None
    return table
