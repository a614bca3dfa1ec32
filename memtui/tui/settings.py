"""What the user chose: theme, keys, interval. A mistake is reported, never fatal."""

from __future__ import annotations

import difflib
import locale
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from textual.keys import KEY_NAME_REPLACEMENTS, Keys
from textual.theme import Theme

from memtui.config import Setting, load
from memtui.model.alert import Level, levels_from
from memtui.tui.actions import ACTIONS, RESERVED_KEYS, Action, Scope, key_name
from memtui.tui.themes import ANSI_THEME, DEFAULT_THEME, load_themes

INTERVAL_SECONDS = 1.0
_SIXTEEN_COLOUR_TERMS = frozenset(("linux", "vt100", "vt220", "ansi", "xterm", "screen"))


@dataclass(frozen=True, slots=True)
class Settings:
    """How the dashboard looks and answers. ``problems``: sentences about what could not be used.

    ``keys`` maps action ids to keys, ``ascii`` draws without any character beyond ASCII, ``workload_stdin`` says
    that the workload takes lines typed into the output pane. ``bell``: levels of alerts that ring it.
    """

    theme: str = DEFAULT_THEME
    themes: Mapping[str, Theme] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    interval_seconds: float = INTERVAL_SECONDS
    problems: tuple[str, ...] = ()
    ascii: bool = False
    workload_stdin: bool = False
    bell: tuple[Level, ...] = ()


def load_settings(theme: str | None = None, *, workload_stdin: bool = False) -> Settings:
    """Settings from the configuration; ``theme`` (from the command line) wins over it."""
    themes, problems = load_themes()
    configuration = load()
    problems.extend(configuration.problems)
    return Settings(
        theme=_choose_theme(theme, configuration.text("theme"), themes, problems),
        themes=themes,
        keys=_keys(configuration.actions, problems),
        interval_seconds=configuration.number("dashboard.interval_seconds") or INTERVAL_SECONDS,
        problems=tuple(problems),
        ascii=not _utf8(),
        workload_stdin=workload_stdin,
        bell=levels_from(configuration.text("dashboard.bell")),
    )


def _choose_theme(asked: str | None, configured: str | None, themes: Mapping[str, Theme], problems: list[str]) -> str:
    if asked is not None:
        if asked in themes:
            return asked
        problems.append(f"There is no theme {asked!r}. Known themes: {', '.join(sorted(themes))}.")
    if os.environ.get("NO_COLOR"):
        return ANSI_THEME
    if configured is not None and configured in themes:  # else its file is broken, which was said
        return configured
    return ANSI_THEME if _sixteen_colours() else DEFAULT_THEME


def _keys(configured: Mapping[str, Setting], problems: list[str]) -> dict[str, str]:
    actions = {one.id for one in ACTIONS}
    chosen: dict[str, str] = {}
    for name, setting in configured.items():
        if name not in actions:
            close = difflib.get_close_matches(name, actions, n=1)
            instead = f"did you mean keys.{close[0]}?" if close else "see: memtui configure --list"
            problems.append(_about(setting, f"keys.{name} is not an action ({instead})"))
        elif keys := _parse_keys(name, setting, problems):
            chosen[name] = keys
    return _without_clashes(chosen, configured, problems)


def _parse_keys(name: str, setting: Setting, problems: list[str]) -> str:
    value = str(setting.value)
    if not value.strip():
        problems.append(_about(setting, f'keys.{name} must be a key such as "x" or "f5,ctrl+x", not {value!r}'))
        return ""
    parts = ["comma"] if value.strip() == "," else [one.strip() for one in value.split(",")]
    keys = [_named(one) for one in parts if one]
    for key in keys:
        if key in RESERVED_KEYS:
            problems.append(_about(setting, f"keys.{name}: {key} is reserved for moving, choosing or leaving"))
            return ""
        if not _is_key(key):
            problems.append(_about(setting, f"keys.{name}: {key!r} is not the name of a key"))
            return ""
    return ",".join(keys)


def _named(key: str) -> str:
    """The name Textual has for a key: ``question_mark`` for ``?``."""
    if len(key) != 1 or key.isalnum():
        return key
    name = unicodedata.name(key, key).lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)


def _is_key(key: str) -> bool:
    last = key.rsplit("+", 1)[-1]
    if len(last) == 1 or last in {one.value for one in Keys} or last in KEY_NAME_REPLACEMENTS.values():
        return True
    try:
        unicodedata.lookup(last.replace("_", " "))
    except KeyError:
        return False
    return True


def _without_clashes(
    chosen: dict[str, str], configured: Mapping[str, Setting], problems: list[str]
) -> dict[str, str]:
    """The keys without those that would put two actions of one screen on the same key."""
    kept = dict(chosen)
    for one in ACTIONS:
        for other in ACTIONS:
            if one.id < other.id and _meet(one.scope, other.scope):
                shared = _split(one, kept) & _split(other, kept)
                if shared and (one.id in kept or other.id in kept):
                    setting = configured[one.id if one.id in kept else other.id]
                    what = f"keys: {one.id} and {other.id} are both on {key_name(min(shared))}; defaults are kept"
                    problems.append(_about(setting, what))
                    kept.pop(one.id, None)
                    kept.pop(other.id, None)
    return kept


def _meet(one: Scope, other: Scope) -> bool:
    return one == other or "app" in (one, other)


def _split(action: Action, keys: Mapping[str, str]) -> set[str]:
    return set(keys.get(action.id, action.key).split(","))


def _about(setting: Setting, what: str) -> str:
    return f"Configuration {setting.origin}: {what}"


def _utf8() -> bool:
    """Whether the terminal is written to as UTF-8, by the locale's encoding."""
    encoding = locale.getpreferredencoding(False)
    return encoding.lower().replace("-", "").replace("_", "") == "utf8"


def _sixteen_colours() -> bool:
    if os.environ.get("COLORTERM"):
        return False
    return os.environ.get("TERM", "") in _SIXTEEN_COLOUR_TERMS
