"""The configuration in force: defaults, then the file, then the environment. Mistakes are kept, not raised."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from memtui import paths
from memtui.config.kinds import Value
from memtui.config.lines import Outline, outline
from memtui.config.schema import ACTION_KEYS, KEYS, TABLES, Key, find_key
from memtui.config.toml import TomlProblem, parse_toml, read_text

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Setting:
    """The value of a key and where it comes from: ``default``, ``FILE, line N`` or an environment variable.

    ``written``: as the user wrote it (``"512MB"``); the value has plain units (bytes, seconds, percent).
    """

    key: Key
    value: Value | None
    origin: str = DEFAULT
    written: object = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Every key with its value; ``problems``: sentences about what could not be used, each with file and line."""

    file: Path
    settings: Mapping[str, Setting]
    problems: tuple[str, ...] = ()

    def text(self, name: str) -> str | None:
        """A text, or None when it is not set."""
        value = self.settings[name].value
        return None if value is None else str(value)

    def number(self, name: str) -> float | None:
        """A number (bytes, seconds, percent, a count), or None when it is not set."""
        value = self.settings[name].value
        assert value is None or isinstance(value, (int, float)), name
        return value

    @property
    def actions(self) -> dict[str, Setting]:
        """What is set in ``[keys]``, by action."""
        prefix = f"{ACTION_KEYS}."
        return {name.removeprefix(prefix): one for name, one in self.settings.items() if name.startswith(prefix)}


def load(environment: Mapping[str, str] | None = None) -> Configuration:
    """The configuration of this user; ``environment`` is that of the process, unless one is given."""
    file = paths.config_file()
    settings = {one.name: Setting(one, one.default) for one in KEYS}
    problems: list[str] = []
    _read_file(file, settings, problems)
    _read_environment(os.environ if environment is None else environment, settings, problems)
    return Configuration(file, settings, tuple(problems))


def _read_file(file: Path, settings: dict[str, Setting], problems: list[str]) -> None:
    if not file.exists():
        return
    try:
        text = read_text(file)
        table = parse_toml(file, text)
    except TomlProblem as problem:
        problems.append(f"Configuration {problem}")
        return
    reader = _FileReader(file, outline(text), settings, problems)
    for name, found in table.items():
        reader.entry(name, found)


@dataclass(frozen=True, slots=True)
class _FileReader:
    """Puts what the file says into ``settings``, and what is wrong with it into ``problems``."""

    file: Path
    outline: Outline
    settings: dict[str, Setting]
    problems: list[str]

    def entry(self, name: str, found: object) -> None:
        """A key at the top of the file, or a table."""
        if name not in TABLES:
            self._value((name,), found)
        elif isinstance(found, dict):
            for member, value in found.items():
                self._value((name, member), value)
        else:
            self._complain((name,), f"{name} is not a table")

    def _value(self, path: tuple[str, ...], found: object) -> None:
        name = ".".join(path)
        key = find_key(name)
        if key is None:
            self._complain(path, unknown(name))
            return
        try:
            value = key.kind.read(found)
        except ValueError as error:
            self._complain(path, f"{name} = {found!r} {error}")
        else:
            self.settings[name] = Setting(key, value, f"{self.file}{self._line(path)}", found)

    def _complain(self, path: tuple[str, ...], what: str) -> None:
        self.problems.append(f"Configuration {self.file}{self._line(path)}: {what}")

    def _line(self, path: tuple[str, ...]) -> str:
        line = self.outline.line_of(path)
        return "" if line is None else f", line {line}"


def _read_environment(environment: Mapping[str, str], settings: dict[str, Setting], problems: list[str]) -> None:
    by_variable = {one.variable: one for one in KEYS}
    for variable in sorted(one for one in environment if one.startswith("MEMTUI_")):
        key = by_variable.get(variable) or _action_key(variable)
        if key is None:
            # Other variables of this prefix are memtui's own; a table's name shows that a key was meant.
            if variable.removeprefix("MEMTUI_").lower().startswith(tuple(f"{one}_" for one in TABLES)):
                problems.append(f"Environment variable {variable}: no such key. See: memtui configure --list")
            continue
        word = environment[variable]
        found = key.kind.of_word(word)
        try:
            settings[key.name] = Setting(key, key.kind.read(found), variable, found)
        except ValueError as error:
            problems.append(f"Environment variable {variable}: {key.name} = {word!r} {error}")


def _action_key(variable: str) -> Key | None:
    prefix = f"MEMTUI_{ACTION_KEYS.upper()}_"
    if not variable.startswith(prefix):
        return None
    return find_key(f"{ACTION_KEYS}.{variable.removeprefix(prefix).lower().replace('_', '-')}")


def unknown(name: str) -> str:
    """What is said of a key that does not exist, with what may have been meant."""
    import difflib

    close = difflib.get_close_matches(name, [one.name for one in KEYS], n=1, cutoff=0.7)
    return f"unknown key {name}" + (f" (did you mean {close[0]}?)" if close else "")
