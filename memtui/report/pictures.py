"""Heap pictures and their differences as JSON documents and as text."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from memtui.model.heap import HeapDiff, HeapDiffRow, HeapLink, HeapType, PictureFacts
from memtui.model.units import format_bytes, format_count, format_seconds

PICTURE_SCHEMA = "memtui.heap-picture/1"
DIFF_SCHEMA = "memtui.heap-diff/1"
BORN = "born"
"""What takes the place of a grouping for what was born between A and B and is still alive in C."""


def picture_as_json(
    facts: PictureFacts, file_bytes: int, types: Sequence[HeapType], retainers: Sequence[HeapLink]
) -> dict[str, Any]:
    """What ``memtui snapshot --json`` prints."""
    return {
        "schema": PICTURE_SCHEMA,
        "file": facts.path,
        "file_bytes": file_bytes,
        **{name: value for name, value in asdict(facts).items() if name != "path"},
        "types": [asdict(one) for one in types],
        "retainers": [{"path": one.label, **asdict(one.object)} for one in retainers],
    }


def picture_as_text(
    facts: PictureFacts, file_bytes: int, types: Sequence[HeapType], retainers: Sequence[HeapLink]
) -> Iterator[str]:
    """The lines that a person reads."""
    who = f"process {facts.pid}: " if facts.pid else ""
    yield f"Heap picture of {who}{printable(shlex.join(facts.command)) or 'a core file'}"
    yield f"Python {facts.python}, {facts.source} of {facts.taken_at}"
    amount = f"{format_count(facts.objects)} objects, {format_bytes(facts.size_bytes)}"
    stop = "" if facts.stop_seconds is None else f"; the process was stopped for {format_seconds(facts.stop_seconds)}"
    yield f"{amount}{stop}"
    if facts.quality is not None:
        yield f"Quality: all references were found of {100 * facts.quality:.1f} % of the objects"
    yield from (f"Note: {note}" for note in facts.notes)
    yield ""
    yield f"{'retained':>12}{'size':>12}{'objects':>12}  type"
    for one in types:
        sizes = f"{format_bytes(one.retained_bytes):>12}{format_bytes(one.size_bytes):>12}"
        yield f"{sizes}{format_count(one.count):>12}  {printable(one.type)}"
    if retainers:
        yield ""
        yield f"{'retained':>12}{'size':>12}{'length':>12}  what keeps the most alive"
    for link in retainers:
        found = link.object
        sizes = f"{format_bytes(found.retained_bytes):>12}{format_bytes(found.size_bytes):>12}"
        yield f"{sizes}{format_count(found.length):>12}  {printable(link.label)} ({printable(found.type)})"
    yield ""
    yield f"Written to {facts.path} ({format_bytes(file_bytes)})"


def diff_as_json(diff: HeapDiff, by: str, pictures: Sequence[PictureFacts]) -> dict[str, Any]:
    """What ``memtui diff --json`` prints; ``pictures`` in the order they were taken."""
    return {
        "schema": DIFF_SCHEMA,
        "by": by,
        "pictures": [
            {"file": one.path, "pid": one.pid, "taken_at": one.taken_at, "objects": one.objects,
             "size_bytes": one.size_bytes, "rss_bytes": one.rss_bytes}
            for one in pictures
        ],
        "seconds_between": diff.seconds_between,
        "note": diff.note,
        "rows": [
            asdict(row) | {"count_change": row.count_change, "size_change_bytes": row.size_change_bytes,
                           "retained_change_bytes": retained_change(row)}
            for row in diff.rows
        ],
    }  # fmt: skip


def diff_as_text(diff: HeapDiff, by: str, pictures: Sequence[PictureFacts]) -> Iterator[str]:
    """The lines that a person reads."""
    apart = "" if diff.seconds_between is None else f", {format_seconds(abs(diff.seconds_between))} apart"
    objects = " → ".join(format_count(one.objects) for one in pictures)
    sizes = " → ".join(format_bytes(one.size_bytes) for one in pictures)
    yield f"{objects} objects, {sizes}{apart}"
    yield diff.note
    yield ""
    if not diff.rows:
        if by not in ("line", "traceback"):
            yield "Nothing changed."
        return
    holder = by == "holder"
    second, third = ("elements", "objects") if holder else ("objects", "now")
    yield f"{'retained' if holder else 'size':>12}{second:>12}{third:>12}  {by}"
    for row in diff.rows:
        retained = retained_change(row)
        size = retained if holder and retained is not None else row.size_change_bytes
        count = format_count(row.count_change, sign=True)
        cells = (format_count(_elements(row), sign=True), count) if holder else (count, format_count(row.count_after))
        kind = f" ({printable(row.type)})" if row.type and by != "type" else ""
        new = ", new" if row.new else ""
        numbers = f"{format_bytes(size, sign=True):>12}{cells[0]:>12}{cells[1]:>12}"
        yield f"{numbers}  {printable(row.label)}{kind}{new}"


def retained_change(row: HeapDiffRow) -> int | None:
    """How much more is kept alive; None when unknown. What is new kept nothing before."""
    if row.retained_after_bytes is None:
        return None
    if row.retained_before_bytes is None:
        return row.retained_after_bytes if row.new else None
    return row.retained_after_bytes - row.retained_before_bytes


def printable(text: str) -> str:
    """``text`` without characters that would move the cursor."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _elements(row: HeapDiffRow) -> int | None:
    return None if row.elements_after is None else row.elements_after - (row.elements_before or 0)
