"""Every key of the dashboard in one table: bindings, footer, help screen and README are made from it.

``memtui configure`` lists it too, so that Textual is loaded only where bindings are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from textual.binding import Binding

Scope = Literal["app", "dashboard", "diff", "heap", "leaks", "native", "replay"]


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does. ``id`` is its name in the configuration, ``scope`` the screen it works on."""

    id: str
    key: str
    label: str
    tooltip: str
    scope: Scope = "app"
    in_footer: bool = True

    @property
    def method(self) -> str:
        """Name of the Textual action."""
        return self.id.replace("-", "_")


ACTIONS: tuple[Action, ...] = (
    Action(
        "quit",
        "q",
        "Quit",
        "Leave an attached process as it was found, end a program that run started; ctrl+c does the same",
    ),
    Action("help", "question_mark", "Help", "All keys, and what the words on the screen mean"),
    Action("snapshot", "s", "Snapshot", "Take a picture of the heap, with traced memory when tracing is on"),
    Action("diff", "d", "Diff", "Compare two snapshots by holder, type, line, traceback or file"),
    Action("heap", "h", "Heap", "Leaf through a heap picture: what is there, what it weighs, who holds it"),
    Action("leaks", "l", "Leaks", "Is it leaking: the verdict, what is suspected, who holds it, what to do"),
    Action("trace", "t", "Trace", "Start or stop tracemalloc in the process: which lines allocate memory"),
    Action("collect", "g", "Gc", "Run a full garbage collection in the process"),
    Action("export", "e", "Export", "Write everything gathered so far to a JSON report"),
    Action("native", "n", "Native", "Have memray record for a while which C code does not free; again: stop it"),
    Action(
        "record",
        "r",
        "Record",
        "Record the session into a file that memtui open plays; again to stop",
        in_footer=False,
    ),
    Action("pause", "p", "Pause", "Hold the picture still; data go on being gathered", "dashboard"),
    Action(
        "filter", "slash", "Filter", "Show only the allocations whose place or source contains a text", "dashboard"
    ),
    Action("sort", "o", "Sort", "Order allocations by size, change, count or place", "dashboard"),
    Action("group", "b", "Group", "Group allocations by line, file or traceback", "dashboard"),
    Action("output", "w", "Output", "What the workload writes: half of the screen, all of it, away", "dashboard"),
    Action("attach", "a", "Agent", "Put the agent into the process, for tracing, pauses and gc"),
    Action("view", "v", "View", "Show the next panel when the terminal is small", "dashboard"),
    Action("diff-from", "1", "From", "Compare from the snapshot under the cursor", "diff"),
    Action("diff-to", "2", "To", "Compare to the snapshot under the cursor", "diff"),
    Action("diff-by", "b", "By", "Compare by holder, type, line, traceback or file", "diff"),
    Action("diff-sort", "o", "Sort", "Order the difference by growth, objects or name", "diff"),
    Action("diff-filter", "slash", "Filter", "Show only the rows that contain a text", "diff"),
    Action("close", "escape", "Back", "Back to the dashboard", "diff"),
    Action(
        "heap-view",
        "v",
        "View",
        "Types, top retainers, holder paths, biggest, duplicates, held from C, search",
        "heap",
    ),
    Action("heap-sort", "o", "Sort", "Order by retained size, own size, count, length or name", "heap"),
    Action("heap-search", "slash", "Search", "Show only what contains a text", "heap"),
    Action("heap-look", "f", "Look", "Look at the object under the cursor of the tree", "heap"),
    Action("heap-save", "w", "Write", "Write the picture to a .memtui file", "heap"),
    Action("heap-back", "escape", "Back", "Back to the page before", "heap"),
    Action("leak-check", "c", "Check", "Take four heap pictures over a minute and compare them", "leaks"),
    Action(
        "leak-cycles",
        "y",
        "Cycles",
        "What only the collector frees, and in which cycles: a checked collection, which frees it",
        "leaks",
    ),
    Action("leak-expect", "x", "Expected", "Call a suspect expected, in every run, or take that back", "leaks"),
    Action("leak-back", "escape", "Back", "Back to the dashboard", "leaks"),
    Action("native-back", "escape", "Back", "Back to the dashboard", "native"),
    Action("play", "space", "Play", "Play a recording, or hold it", "replay"),
    Action("slower", "minus", "Slower", "Play slower", "replay"),
    Action("faster", "plus", "Faster", "Play faster", "replay"),
    Action("step-back", "comma", "-10s", "Ten seconds back", "replay"),
    Action("step-forward", "full_stop", "+10s", "Ten seconds on", "replay"),
    Action("leap-back", "less_than_sign", "-1m", "A minute back", "replay", in_footer=False),
    Action("leap-forward", "greater_than_sign", "+1m", "A minute on", "replay", in_footer=False),
    Action("event-back", "left_square_bracket", "Previous", "To the event before", "replay"),
    Action("event-forward", "right_square_bracket", "Next", "To the next event", "replay"),
    Action("go-to", "g", "Go to", "To a moment: 50%, 12:30, 90s, +5m; 0 to 9 go to tenths", "replay"),
    Action("palette", "ctrl+p", "Palette", "Every command by name, themes included", in_footer=False),
)

RESERVED_KEYS = frozenset(
    (
        "up", "down", "left", "right", "pageup", "pagedown", "home", "end", "enter", "tab", "shift+tab",
        "backspace", "escape", "ctrl+c", "ctrl+q", "ctrl+z",
    )
)  # fmt: skip
"""Keys that move, choose, close and leave: no action may take them."""

_SCREENS_IN_ONE_ROW: tuple[Scope, ...] = ("diff", "heap", "leaks")
TOLD_ELSEWHERE: tuple[Scope, ...] = ("native", "replay")
"""Not in the README: one key that is always the same, and the keys that ``memtui open --help`` tells."""
_KEY_NAMES = {
    "question_mark": "?", "slash": "/", "escape": "esc", "minus": "-", "plus": "+", "equals_sign": "=", "comma": ",",
    "full_stop": ".", "less_than_sign": "<", "greater_than_sign": ">", "left_square_bracket": "[",
    "right_square_bracket": "]",
}  # fmt: skip


def bindings(scope: Scope) -> list[Binding]:
    """The Textual bindings of one screen (``app``: of all of them)."""
    from textual.binding import Binding

    return [
        Binding(one.key, f"{_target(one)}{one.method}", one.label, tooltip=one.tooltip, id=one.id, show=False)
        for one in ACTIONS
        if one.scope == scope
    ]


def key_name(key: str) -> str:
    """A key as people read it: ``?`` for ``question_mark``."""
    return ", ".join(_KEY_NAMES.get(one.strip(), one.strip()) for one in key.split(","))


def shown_actions(scopes: Iterable[Scope]) -> list[Action]:
    """The actions of these scopes, in the order of the table."""
    wanted = set(scopes)
    return [one for one in ACTIONS if one.scope in wanted]


def key_of(action: Action, keys: Mapping[str, str]) -> str:
    """The key of an action, the user's own first."""
    return key_name(keys.get(action.id, action.key))


def markdown_table() -> str:
    """The key table of the README: a row for each action, and one for all of each screen that opens from others."""
    rows = [
        f"| `{key_name(one.key)}` | `{one.id}` | {one.tooltip} |"
        for one in ACTIONS
        if one.scope not in (*_SCREENS_IN_ONE_ROW, *TOLD_ELSEWHERE)
    ]
    rows += [_row_of(scope) for scope in _SCREENS_IN_ONE_ROW]
    return "\n".join(["| key | action | what it does |", "|---|---|---|", *rows])


def _row_of(scope: Scope) -> str:
    actions = shown_actions([scope])
    keys = " ".join(f"`{key_name(one.key)}`" for one in actions)
    names = " ".join(f"`{one.id}`" for one in actions)
    return f"| {keys} | {names} | In the {scope}: {', '.join(one.label.lower() for one in actions)} |"


def _target(action: Action) -> str:
    return "app." if action.scope == "app" else "screen."
