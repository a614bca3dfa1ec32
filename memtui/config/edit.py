"""Changing one key of the configuration file: comments, order and everything else stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memtui.atomic import replace_file
from memtui.config.kinds import as_toml
from memtui.config.lines import Outline, outline
from memtui.config.schema import Key
from memtui.config.toml import TomlProblem, parse_toml, read_text
from memtui.errors import UsageError, WriteError

_NEXT_STEP = "Change it with an editor."


def set_key(file: Path, key: Key, word: str) -> None:
    """Set ``key`` to what ``word`` means. The file and its directory are made if need be.

    Raises UsageError for a value that the key does not take, and for a file that cannot be changed safely;
    WriteError when it cannot be written.
    """
    found = key.kind.of_word(word)
    try:
        key.kind.read(found)
    except ValueError as error:
        raise UsageError(f"{key.name} = {word!r} {error}.", next_step="See: memtui configure --list") from None
    before = _text_of(file)
    after = text_with(before, key.name, as_toml(found))
    _check(file, before, after, key.name, found)
    _write(file, after)


def unset_key(file: Path, key: Key) -> bool:
    """Take ``key`` out of the file; False when it was not in it. Raises as :func:`set_key` does."""
    before = _text_of(file)
    place = outline(before).places.get(tuple(key.name.split(".", 1)))
    if place is None:
        if _value_at(parse_toml(file, before), key.name) is not None:
            raise _refusal(file, key.name)
        return False
    begin = before.rfind("\n", 0, place.begin) + 1
    end = before.find("\n", place.end)
    after = before[:begin] + ("" if end < 0 else before[end + 1 :])
    _check(file, before, after, key.name, None)
    _write(file, after)
    return True


def text_with(text: str, name: str, value: str) -> str:
    """``text`` of a TOML file in which ``name`` (``table.key`` or ``key``) has ``value``, which is TOML as well."""
    found = outline(text)
    path = tuple(name.split(".", 1))
    place = found.places.get(path)
    if place is not None:
        return text[: place.begin] + value + text[place.end :]
    line = f"{path[-1]} = {value}\n"
    if len(path) == 1:
        at = _end_of_section(text, found, 0)
    elif path[:1] in found.headers:
        at = _end_of_section(text, found, found.headers[path[:1]])
    else:
        gap = "\n" if text.strip() else ""
        return f"{_with_newline(text)}{gap}[{path[0]}]\n{line}"
    head = _with_newline(text[:at])
    return head + line + text[at:]


def _end_of_section(text: str, found: Outline, begin: int) -> int:
    """Behind the last key of the section that begins at ``begin``, else where it begins."""
    following = [at for at in found.headers.values() if at > begin]
    stop = min(following, default=len(text) + 1)
    ends = [one.end for one in found.places.values() if begin <= one.begin < stop]
    if not ends:
        return begin
    newline = text.find("\n", max(ends))
    return len(text) if newline < 0 else newline + 1


def _with_newline(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _text_of(file: Path) -> str:
    try:
        text = read_text(file) if file.exists() else ""
        parse_toml(file, text)
    except TomlProblem as problem:
        raise UsageError(
            f"The configuration {problem}.", next_step="Mend it with an editor, or move it away."
        ) from None
    return text


def _check(file: Path, before: str, after: str, name: str, wanted: object) -> None:
    """Raise UsageError when more or less than ``name`` would change: it stands where only a person can tell."""
    try:
        old, new = parse_toml(file, before), parse_toml(file, after)
    except TomlProblem:
        raise _refusal(file, name) from None
    if _value_at(new, name) != wanted or _without(old, name) != _without(new, name):
        raise _refusal(file, name)


def _refusal(file: Path, name: str) -> UsageError:
    return UsageError(f"{name} in {file} is written in a way that memtui does not change.", next_step=_NEXT_STEP)


def _value_at(table: dict[str, Any], name: str) -> object:
    top, dot, member = name.partition(".")
    found = table.get(top)
    return (found.get(member) if isinstance(found, dict) else None) if dot else found


def _without(table: dict[str, Any], name: str) -> dict[str, Any]:
    """The tables without one key; a table that is empty then counts as absent."""
    top, dot, member = name.partition(".")
    rest = {key: value for key, value in table.items() if key != top}
    if dot and isinstance(table.get(top), dict):
        others = {key: value for key, value in table[top].items() if key != member}
        return {**rest, top: others} if others else rest
    return rest


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file.resolve(), text.encode("utf-8"))
    except OSError as error:
        what = f"The configuration was not written to {file}."
        raise WriteError(
            what, why=f"{error.strerror}.", next_step="See where it is: memtui configure --path"
        ) from error
