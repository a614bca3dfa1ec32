"""The footer and the list of keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memtui.tui.actions import Action, Scope, key_of, shown_actions
from memtui.tui.presenters.line import EMPTY, Line, Span, join_fitting, line
from memtui.tui.presenters.text import pad, wrap

_KEY_WIDTH = 8
_LABEL_WIDTH = 10
_OWN_KEYS_FIRST: tuple[Scope, ...] = ("diff", "heap", "leaks", "native")


def footer(
    scope: Scope,
    keys: Mapping[str, str],
    width: int,
    *,
    hidden: Iterable[str] = (),
    first: Iterable[str] = (),
    also: Iterable[Scope] = (),
) -> Line:
    """The keys of a screen, as many as fit; those to leave and to get help, and ``first``, come first.

    ``also``: other scopes whose keys work on it.
    """
    without = set(hidden)
    actions = [one for one in shown_actions(("app", scope, *also)) if one.in_footer and one.id not in without]
    leading = ("quit", "help", *first)
    own_first = sorted(
        actions, key=lambda one: (one.id not in leading, scope in _OWN_KEYS_FIRST and one.scope == "app")
    )
    return line(" ", *join_fitting([_hint(one, keys) for one in own_first], width - 1))


def key_lines(keys: Mapping[str, str], width: int) -> list[Line]:
    """Every key with what it does."""
    lines: list[Line] = []
    for one in shown_actions(("app", "dashboard", *_OWN_KEYS_FIRST, "replay")):
        texts = wrap(one.tooltip, max(10, width - _KEY_WIDTH - _LABEL_WIDTH - 1))
        where = f"  ({one.scope})" if one.scope in (*_OWN_KEYS_FIRST, "replay") else ""
        for number, text in enumerate(texts):
            key, label = (key_of(one, keys), one.label) if number == 0 else ("", "")
            tail = where if number == len(texts) - 1 else ""
            lines.append(
                line(
                    Span(pad(key, _KEY_WIDTH), "key"),
                    Span(pad(label, _LABEL_WIDTH), "strong"),
                    text,
                    Span(tail, "dim"),
                )
            )
    return lines or [EMPTY]


def _hint(one: Action, keys: Mapping[str, str]) -> Line:
    action = f"{'app' if one.scope == 'app' else 'screen'}.{one.method}"
    return line(Span(key_of(one, keys), "key", action), Span(f" {one.label}", "dim", action))
