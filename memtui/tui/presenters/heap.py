"""Rows of the heap screen: types, instances, holders, texts, as they read."""

from __future__ import annotations

from rich.cells import cell_len

from memtui.model.heap import (
    DuplicateText,
    HeapFound,
    HeapLink,
    HeapObject,
    HeapType,
    HolderChain,
    HolderPath,
    PictureFacts,
)
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.tui.presenters.line import Line, Span, fit, join_fitting, line
from memtui.tui.presenters.text import clean, cut_end, cut_middle, pad, wrap

BAR_WIDTH = 8
_SIZE, _COUNT = 11, 11
_EIGHTHS = " ▏▎▍▌▋▊▉"


def facts_line(facts: PictureFacts, name: str, width: int) -> Line:
    """What a picture is of, and what it cost the process."""
    quality = "" if facts.quality is None else f"{100 * facts.quality:.1f} % of the references explained"
    stop = "" if facts.stop_seconds is None else f"process stopped for {format_seconds(facts.stop_seconds)}"
    parts = [
        line(Span(f" {name}", "title")),
        line(f"{format_count(facts.objects)} objects"),
        line(format_bytes(facts.size_bytes)),
        line(Span("types and sizes only" if facts.quick else "", "dim")),
        line(Span(stop, "dim")),
        line(Span(facts.source, "dim")),
        line(Span(quality, "dim")),
    ]
    return join_fitting(parts, width)


def bar(part: int | None, whole: int, width: int = BAR_WIDTH) -> str:
    """A bar as long as ``part`` is of ``whole``, in eighths of a cell; blank when unknown."""
    if part is None or whole <= 0:
        return " " * width
    eighths = max(0, min(8 * width, round(8 * width * part / whole)))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def type_header(width: int) -> Line:
    """Names of the columns of the types."""
    return line(Span(_lead("retained") + _size("size") + _count("objects") + "  type", "dim"))


def type_row(one: HeapType, whole_bytes: int, width: int) -> Line:
    """One type."""
    return line(
        *_weight(one.retained_bytes, whole_bytes),
        _size(format_bytes(one.size_bytes)),
        _count(format_count(one.count)),
        "  " + cut_middle(clean(one.type), max(8, width - BAR_WIDTH - 1 - 2 * _SIZE - _COUNT - 2)),
    )


def object_header(width: int) -> Line:
    """Names of the columns of objects."""
    return line(Span(_lead("retained") + _size("size") + _count("length") + "  object", "dim"))


def object_row(one: HeapObject, whole_bytes: int, width: int) -> Line:
    """One object of a list."""
    room = max(8, width - BAR_WIDTH - 1 - 2 * _SIZE - _COUNT - 2)
    return line(
        *_weight(one.retained_bytes, whole_bytes),
        _size(format_bytes(one.size_bytes)),
        _count(format_count(one.length)),
        "  ",
        *object_text(one, room),
    )


def object_text(one: HeapObject, room: int) -> Line:
    """Type and value (or address) of an object in at most ``room`` cells."""
    value = clean(one.text) if one.text is not None else f"at {one.address:#x}"
    held = "  held from C" if one.held_from_c else ""
    kind = cut_middle(clean(one.type), max(4, room - 6))
    left = room - cell_len(kind) - 1
    return line(kind, Span(f" {cut_end(value + held, left)}" if left > 3 else "", "dim"))


def link_header(width: int) -> Line:
    """Names of the columns of the top retainers."""
    return line(Span(_lead("retained") + _size("size") + "  held as", "dim"))


def link_row(one: HeapLink, whole_bytes: int, width: int) -> Line:
    """An object by the way it is held."""
    return line(
        *_weight(one.object.retained_bytes, whole_bytes),
        _size(format_bytes(one.object.size_bytes)),
        *_held_as(one.label, one.object.type, width - BAR_WIDTH - 1 - 2 * _SIZE),
    )


def big_header(width: int) -> Line:
    """Names of the columns of the biggest objects."""
    return line(Span(_lead("size") + _size("retained") + "  held as", "dim"))


def big_row(one: HeapLink, whole_bytes: int, width: int) -> Line:
    """A large object by the way it is held."""
    return line(
        *_weight(one.object.size_bytes, whole_bytes),
        _size(format_bytes(one.object.retained_bytes)),
        *_held_as(one.label, one.object.type, width - BAR_WIDTH - 1 - 2 * _SIZE),
    )


def path_header(width: int) -> Line:
    """Names of the columns of the holder paths."""
    return line(Span(_lead("size") + _size("retained") + _count("objects") + "  held as", "dim"))


def path_row(one: HolderPath, whole_bytes: int, width: int) -> Line:
    """Objects that are held the same way."""
    return line(
        *_weight(one.size_bytes, whole_bytes),
        _size(format_bytes(one.retained_bytes)),
        _count(format_count(one.count)),
        *_held_as(one.path, one.type, width - BAR_WIDTH - 1 - 2 * _SIZE - _COUNT),
    )


def duplicate_header(width: int) -> Line:
    """Names of the columns of the duplicate texts."""
    return line(Span(_lead("wasted") + _count("times") + "  text", "dim"))


def duplicate_row(one: DuplicateText, whole_bytes: int, width: int) -> Line:
    """A text that exists more than once."""
    room = max(8, width - BAR_WIDTH - 1 - _SIZE - _COUNT - 2)
    return line(
        *_weight(one.wasted_bytes, whole_bytes),
        _count(format_count(one.count)),
        "  " + cut_end(clean(one.text), room - cell_len(one.type) - 1),
        Span(f" {clean(one.type)}", "dim"),
    )


def found_header(width: int) -> Line:
    """Names of the columns of what was found."""
    return line(Span("kind   what", "dim"))


def found_row(one: HeapFound, whole_bytes: int, width: int) -> Line:
    """A type, root or text."""
    room = max(8, width - 7)
    kind = "" if one.kind == "type" else cut_middle(f" {clean(one.type)}", room // 3)
    return line(
        Span(f"{one.kind:<7}", "dim"), cut_middle(clean(one.label), max(6, room - cell_len(kind))), Span(kind, "dim")
    )


def tree_header(width: int) -> Line:
    """Names of the columns of the tree."""
    return line(Span(pad("retained", _SIZE, "right"), "dim"))


def chain_lines(chain: HolderChain, end: HeapObject, width: int, rows: int) -> tuple[Line, ...]:
    """How an object hangs on a root, in at most ``rows`` rows, and what the object is."""
    what = f"{clean(end.type)}: keeps {format_bytes(end.retained_bytes)} alive, {format_bytes(end.size_bytes)} itself"
    parts = wrap(clean(chain.path), max(10, width - 2))
    room = max(1, rows - 2)
    if len(parts) > room:
        parts = [*parts[: room - 1], cut_middle(" ".join(parts[room - 1 :]), max(10, width - 2))]
    return (
        *(line(" ", Span(part, "strong")) for part in parts),
        fit(line(" ", Span(_root_words(chain), "dim")), width),
        fit(line(" ", what, Span(f"  {clean(end.text)}" if end.text else "", "dim")), width),
    )


def _root_words(chain: HolderChain) -> str:
    words = {
        "modules": "held by a module",
        "frames": "held by a running function",
        "interpreter": "held by the interpreter",
        "static": "held by C code",
    }
    root = words.get(chain.group, "held by something that was not found, C code most likely")
    types = " > ".join(clean(step.type) for step in chain.steps)
    return f"{root}, {len(chain.steps)} steps: {types}" if chain.steps else root


def paragraph(text: str, width: int, role: str = "dim") -> tuple[Line, ...]:
    """A sentence in the place of rows."""
    return ((), *(line(" ", Span(part, role)) for part in wrap(clean(text), max(10, width - 2))))


def more_row() -> Line:
    """The row that fetches more."""
    return line(Span(" " * (BAR_WIDTH + 1 + _SIZE), ""), Span("  more…", "key"))


def _weight(part: int | None, whole: int) -> tuple[Span, ...]:
    return Span(bar(part, whole) + " ", "accent"), Span(pad(format_bytes(part), _SIZE, "right"))


def _held_as(path: str, kind: str, width: int) -> tuple[Span, ...]:
    """A path and a type in ``width`` cells; where both do not fit, the type gets a third of them."""
    path, kind, room = clean(path), clean(kind), max(10, width - 3)
    kind = cut_middle(kind, max(room // 3, room - cell_len(path)))
    return Span("  " + cut_middle(path, room - cell_len(kind))), Span(f" {kind}", "dim")


def _lead(name: str) -> str:
    return " " * (BAR_WIDTH + 1) + pad(name, _SIZE, "right")


def _size(text: str) -> str:
    return pad(text, _SIZE, "right")


def _count(text: str) -> str:
    return pad(text, _COUNT, "right")
