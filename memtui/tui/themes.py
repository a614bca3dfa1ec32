"""Themes are TOML files: colours and a few text styles, checked before Textual sees them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textual.color import Color, ColorParseError
from textual.theme import Theme

from memtui import paths
from memtui.config.toml import TomlProblem, read_toml

DEFAULT_THEME = "memtui-dark"
ANSI_THEME = "memtui-ansi"

VARIABLE_DEFAULTS: Mapping[str, str] = {
    "mem-dim": "#8a94a6",
    "mem-strong": "#e6e9ef",
    "mem-title": "#7fb4ca",
    "mem-key": "#7fb4ca",
    "mem-chart": "#6a9fb5",
    "mem-good": "#87a987",
    "mem-warn": "#d9a65a",
    "mem-bad": "#d9737a",
    "mem-grow": "#d9a65a",
    "mem-shrink": "#87a987",
    "mem-rule": "#3a4252",
    "mem-header": "#20252f",
    "mem-cursor": "#2c3a4d",
    "mem-cursor-blurred": "#242a35",
    "mem-cursor-style": "none",
}
"""Variables that the style sheets use, and what they are where a theme says nothing."""

_COLOURS = frozenset(
    (
        "primary", "secondary", "warning", "error", "success", "accent",
        "foreground", "background", "surface", "panel", "boost",
    )
)  # fmt: skip
_TEXTUAL_VARIABLES = frozenset(
    (
        "border", "border-blurred", "ansi-background", "ansi-foreground", "block-hover-background",
        "block-cursor-foreground", "block-cursor-background", "block-cursor-text-style",
        "input-cursor-background", "input-cursor-foreground", "input-cursor-text-style",
        "input-selection-background", "input-selection-foreground",
        "screen-selection-background", "screen-selection-foreground",
        "scrollbar", "scrollbar-hover", "scrollbar-active", "scrollbar-background",
        "scrollbar-background-hover", "scrollbar-background-active", "scrollbar-corner-color",
    )
)  # fmt: skip
_STYLES = frozenset(("none", "bold", "dim", "italic", "reverse", "underline", "strike"))
_OPACITY = re.compile(r"\s+\d{1,3}%$")


def load_themes() -> tuple[dict[str, Theme], list[str]]:
    """The bundled themes with the user's over them, and a sentence for every file that cannot be used."""
    themes: dict[str, Theme] = {}
    problems: list[str] = []
    for directory in (paths.bundled_themes(), paths.user_themes()):
        for file in sorted(directory.glob("*.toml")) if directory.is_dir() else []:
            try:
                themes[file.stem] = read_theme(file)
            except TomlProblem as problem:
                problems.append(f"Theme {problem}")
    return themes, problems


def read_theme(file: Path) -> Theme:
    """The theme in ``file``, named as the file. Raises ``TomlProblem`` naming the file and the key."""
    table = read_toml(file)
    _only_keys(file, "", table, {"dark", "ansi", "colors", "variables"})
    colours = _table(file, table, "colors")
    _only_keys(file, "colors.", colours, _COLOURS)
    variables = _table(file, table, "variables")
    _only_keys(file, "variables.", variables, _TEXTUAL_VARIABLES | VARIABLE_DEFAULTS.keys())
    if "primary" not in colours:
        raise TomlProblem(file, "colors.primary is missing")
    checked: dict[str, Any] = {key: _colour(file, f"colors.{key}", value) for key, value in colours.items()}
    return Theme(
        name=file.stem,
        dark=_flag(file, table, "dark", default=True),
        ansi=_flag(file, table, "ansi", default=False),
        variables={key: _variable(file, f"variables.{key}", value) for key, value in variables.items()},
        **checked,
    )


def _table(file: Path, table: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = table.get(key, {})
    if not isinstance(found, dict):
        raise TomlProblem(file, f"{key} is not a table")
    return found


def _flag(file: Path, table: Mapping[str, Any], key: str, *, default: bool) -> bool:
    found = table.get(key, default)
    if not isinstance(found, bool):
        raise TomlProblem(file, f"{key} must be true or false, not {found!r}")
    return found


def _only_keys(file: Path, prefix: str, table: Mapping[str, Any], allowed: frozenset[str] | set[str]) -> None:
    for key in table:
        if key not in allowed:
            raise TomlProblem(file, f"{prefix}{key} is not a key of a theme")


def _variable(file: Path, key: str, value: object) -> str:
    if not key.endswith("-style"):
        return _colour(file, key, value)
    if isinstance(value, str) and value.split() and set(value.split()) <= _STYLES:
        return value
    raise TomlProblem(file, f"{key} must be made of {', '.join(sorted(_STYLES))}, not {value!r}")


def _colour(file: Path, key: str, value: object) -> str:
    if isinstance(value, str):
        try:
            if not value.startswith("auto"):
                Color.parse(_OPACITY.sub("", value))
                return value
        except ColorParseError:
            pass
    raise TomlProblem(file, f'{key} must be a colour such as "#7fb4ca" or "ansi_blue", not {value!r}')
