"""``memtui configure``: what can be configured, what is, and setting it."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from memtui import paths
from memtui.config import KEYS, Configuration, Key, Setting, find_key, load
from memtui.config.kinds import Text, as_toml
from memtui.config.read import unknown
from memtui.config.schema import ACTION_KEYS
from memtui.errors import EXIT_OK, UsageError
from memtui.tui.actions import ACTIONS, key_name

HELP = "read and set the configuration file; --list explains every key"

_ABOUT = """\
Reads and sets what is configured. The file is TOML under the XDG configuration directory; an environment variable
(MEMTUI_ and the name of the key, such as MEMTUI_WARNING_RSS) wins over it, an option of a command over both.
"""
_EXAMPLES = """\
examples:
  memtui configure --list                        every key, its value, where that comes from, what it does
  memtui configure warning.rss                   one of them
  memtui configure warning.rss 512MB             set it; comments and order of the file stay
  memtui configure alerts.webhook http://127.0.0.1:9000/alerts
  memtui configure keys.snapshot f5              a key of the dashboard (actions: memtui configure --list)
  memtui configure warning.rss --unset           back to the default
  memtui configure --path                        where the file is
  MEMTUI_CRITICAL_RSS=1GiB memtui attach 4242    for once, by the environment
  memtui configure --list --json | jq '.settings[] | select(.origin != "default")'
"""
_INDENT = " " * 4
_WIDTHS = (60, 110)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = "memtui configure [KEY [VALUE | --unset]] [--list] [--path] [--json]"
    parser.add_argument("key", metavar="KEY", nargs="?", help="the name of a key, such as warning.rss")
    parser.add_argument("value", metavar="VALUE", nargs="?", help="set it to this")
    parser.add_argument("--unset", action="store_true", help="take KEY out of the file")
    parser.add_argument("--list", action="store_true", help="every key with its value and what it does")
    parser.add_argument("--path", action="store_true", help="print where the file is (it need not exist)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Arguments of this command; exactly one thing to do."""
    args = parser.parse_args(arguments)
    if sum((args.list, args.path, args.key is not None)) > 1:
        parser.error("--list, --path and KEY are alternatives")
    if args.unset and (args.key is None or args.value is not None):
        parser.error("--unset goes with a KEY and no VALUE")
    if args.key is None and not args.path:
        args.list = True
    return args


def run(args: argparse.Namespace) -> int:
    """List, read or set. Raises UsageError for an unknown key or a bad value."""
    if args.path:
        print(paths.config_file())
        return EXIT_OK
    if args.list:
        configuration = load()
        _complain(configuration)
        print(json.dumps(_as_json(configuration), indent=1) if args.json else "\n".join(_listed(configuration)))
        return EXIT_OK
    key = _known(args.key)
    if args.unset:
        _unset(key)
    elif args.value is not None:
        _set(key, args.value)
    else:
        configuration = load()
        _complain(configuration)
        setting = next(one for one in _settings(configuration) if one.key.name == key.name)
        print(json.dumps(_one(setting)) if args.json else _value(setting))
    return EXIT_OK


def _known(name: str) -> Key:
    key = find_key(name)
    table, _, action = name.partition(".")
    if key is None or (table == ACTION_KEYS and action not in {one.id for one in ACTIONS}):
        what = unknown(name)
        raise UsageError(f"{what[:1].upper()}{what[1:]}.", next_step="See: memtui configure --list")
    return key


def _set(key: Key, word: str) -> None:
    from memtui.config.edit import set_key

    file = paths.config_file()
    set_key(file, key, word)
    configuration = load()
    _complain(configuration)
    setting = configuration.settings[key.name]
    print(f"{key.name} = {_value(setting)}   ({file})")
    if setting.origin == key.variable:
        print(f"memtui: The environment variable {key.variable} wins over the file.", file=sys.stderr)


def _unset(key: Key) -> None:
    from memtui.config.edit import unset_key

    file = paths.config_file()
    if unset_key(file, key):
        print(f"{key.name} is not set any more   ({file})")
    else:
        print(f"{key.name} was not set   ({file})")


def _complain(configuration: Configuration) -> None:
    for problem in configuration.problems:
        print(f"memtui: {problem}", file=sys.stderr)


def _listed(configuration: Configuration) -> Iterator[str]:
    width = min(_WIDTHS[1], max(_WIDTHS[0], shutil.get_terminal_size().columns - 1))
    yield f"# {configuration.file}" + ("" if configuration.file.exists() else " (there is none yet)")
    for setting in _settings(configuration):
        origin = "" if setting.origin == "default" else f"   # {setting.origin}"
        yield f"{setting.key.name} = {_value(setting)}{origin}"
        yield from textwrap.wrap(
            f"{setting.key.about}; {setting.key.kind.words}; {setting.key.variable}",
            width,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            break_long_words=False,
        )


def _settings(configuration: Configuration) -> Iterator[Setting]:
    """All keys in the order of the table, then the keyboard's."""
    for key in KEYS:
        yield configuration.settings[key.name]
    for action in ACTIONS:
        name = f"{ACTION_KEYS}.{action.id}"
        key = Key(name, Text('a key such as "x" or "f5,ctrl+x"'), action.tooltip, key_name(action.key))
        found = configuration.settings.get(name)
        yield Setting(key, key.default) if found is None else replace(found, key=key)


def _value(setting: Setting) -> str:
    shown = setting.value if setting.written is None else setting.written
    return "unset" if shown is None else as_toml(shown)


def _as_json(configuration: Configuration) -> dict[str, Any]:
    return {
        "file": str(configuration.file),
        "settings": [_one(setting) for setting in _settings(configuration)],
        "problems": list(configuration.problems),
    }


def _one(setting: Setting) -> dict[str, Any]:
    key = setting.key
    return {
        "key": key.name,
        "value": setting.value,
        "origin": setting.origin,
        "default": key.default,
        "wanted": key.kind.words,
        "about": key.about,
        "variable": key.variable,
    }
