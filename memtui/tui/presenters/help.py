"""The help screen: keys, then what the words on the screen mean."""

from __future__ import annotations

from collections.abc import Mapping

from memtui.tui.presenters.keys import key_lines
from memtui.tui.presenters.line import Line, Span, line
from memtui.tui.presenters.text import pad, wrap

_WORDS = (
    ("RSS", "memory of the process that is in RAM now, shared pages included"),
    ("USS", "the part of RSS that belongs to this process alone: what its end would free"),
    ("PSS", "RSS with each shared page divided by the number of processes that share it"),
    ("observing", "memtui reads the process from outside; no code of it runs inside"),
    ("agent", "one thread inside the process that answers questions; it is removed when you quit"),
    ("blocks", "pieces of memory that tracemalloc saw allocated and that are still alive"),
    ("change", "against the last snapshot, or against the first look after tracing began"),
    ("picture", "of the heap: every object there was at one moment, and who holds it"),
    ("retained", "what would be freed with an object: itself and all that hangs on it alone"),
    ("too early", "not enough looks yet to say whether memory grows"),
)
_WORD_WIDTH = 14


def help_lines(keys: Mapping[str, str], width: int) -> tuple[Line, ...]:
    """Everything on the help screen."""
    lines = [*key_lines(keys, width), ()]
    for word, meaning in _WORDS:
        for number, text in enumerate(wrap(meaning, max(10, width - _WORD_WIDTH))):
            lines.append(line(Span(pad(word if number == 0 else "", _WORD_WIDTH), "strong"), text))
    lines += [(), *(line(Span(text, "dim")) for text in wrap(_MOVING, width))]
    return tuple(lines)


_MOVING = (
    "Arrows, page up and page down move in the table under the cursor, enter opens a row, tab goes to the next"
    " table. Keys, theme and interval are set in the configuration file."
)
