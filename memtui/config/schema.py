"""Every key of the configuration: its kind, its default, and one line on what it does.

A new key is a line here; it is then read from the file and from the environment, and listed and set by
``memtui configure``.
"""

from __future__ import annotations

from dataclasses import dataclass

from memtui import paths
from memtui.config.kinds import OFF, Choice, Count, Kind, OrOff, Percent, Seconds, Size, Text, Url, Value

ACTION_KEYS = "keys"
"""The table in which each key of the keyboard is named by its action."""


@dataclass(frozen=True, slots=True)
class Key:
    """``name`` is ``table.key``, or ``key`` at the top of the file. ``default``: None where nothing is set."""

    name: str
    kind: Kind
    about: str
    default: Value | None = None

    @property
    def variable(self) -> str:
        """The environment variable that wins over the file."""
        return "MEMTUI_" + self.name.replace(".", "_").replace("-", "_").upper()


def theme_names() -> list[str]:
    """The themes there are: those of memtui, and the user's own."""
    directories = (paths.bundled_themes(), paths.user_themes())
    return sorted({file.stem for one in directories if one.is_dir() for file in one.glob("*.toml")})


def _thresholds(table: str, share: float) -> tuple[Key, ...]:
    """The keys of ``[warning]`` and ``[critical]``, which have the same ones."""
    return (
        Key(f"{table}.rss", OrOff(Size()), f"{table} when resident memory is above this"),
        Key(f"{table}.uss", OrOff(Size()), f"{table} when memory that only this process has is above this"),
        Key(f"{table}.growth", OrOff(Size("/min")), f"{table} when resident memory grows faster than this a minute"),
        Key(f"{table}.limit", OrOff(Percent()), f"{table} when RSS is above this part of the cgroup's limit", share),
        Key(f"{table}.time_to_limit", OrOff(Seconds()), f"{table} when less is left until the cgroup's limit"),
        Key(f"{table}.gc_pause", OrOff(Seconds()), f"{table} when a collection takes longer (needs the agent)"),
        Key(f"{table}.processes", OrOff(Count()), f"{table} when there are more processes, descendants included"),
    )  # fmt: skip


LEVELS = (OFF, "warning", "critical")

KEYS: tuple[Key, ...] = (
    Key("theme", Choice(theme_names, "a known theme"), "colours of the dashboard; unset: what suits the terminal"),
    Key("dashboard.interval_seconds", Seconds(0.1, 60.0), "time between two looks", 1.0),
    Key("dashboard.bell", Choice(lambda: LEVELS), "ring the terminal's bell at alerts from this level on", OFF),
    *_thresholds("warning", 80.0),
    *_thresholds("critical", 90.0),
    Key("alerts.on_alert", Text("a shell command"), "run at each alert, which it gets as JSON on its stdin"),
    Key("alerts.command_seconds", Seconds(0.1, 300.0), "so long the command of an alert may take", 10.0),
    Key("alerts.webhook", Url(), "each alert is posted there as JSON"),
    Key("alerts.webhook_seconds", Seconds(0.1, 60.0), "so long the webhook may take to answer", 5.0),
    Key("cleanup.cooldown_seconds", Seconds(0.0, 86400.0), "least time between two clean-ups of a process", 300.0),
    Key("alerts.snapshot_on", Choice(lambda: LEVELS), "a heap picture at the first alert from this level on", OFF),
)  # fmt: skip

_BY_NAME = {one.name: one for one in KEYS}
TABLES = frozenset(one.name.partition(".")[0] for one in KEYS if "." in one.name) | {ACTION_KEYS}


def find_key(name: str) -> Key | None:
    """The key of this name; those of ``keys.ACTION`` are made as they are asked for. None for an unknown one."""
    table, dot, action = name.partition(".")
    if table == ACTION_KEYS and dot and action:
        return Key(name, Text('a key such as "x" or "f5,ctrl+x"'), f"the key for {action}")
    return _BY_NAME.get(name)
