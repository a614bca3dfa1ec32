"""``memtui diff A B``: what changed between two heap pictures."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from memtui.model.heap import HeapDiff, PictureFacts

HELP = "what changed between two heap pictures: which holders, types, lines grew"

_ABOUT = """\
Compares two heap pictures of one process. By holder (the default) it names the containers that grew and the paths on
which more objects hang, as shop.cache.CACHE; by type, it counts; by line and by traceback it needs pictures that were
taken in the dashboard while tracing was on. With a third picture C: what was born between A and B and is still alive
in C.
"""
_EXAMPLES = """\
examples:
  memtui diff before.memtui after.memtui
  memtui diff before.memtui after.memtui --by type --limit 50
  memtui diff a.memtui b.memtui c.memtui
  memtui diff before.memtui after.memtui --json | jq -r '.rows[0].label'

--json prints {"schema": "memtui.heap-diff/1", "by": "holder" | "type" | "line" | "traceback" | "born", "pictures":
[{"file", "pid", "taken_at", "objects", "size_bytes", "rss_bytes"}], "seconds_between", "note", "rows": [{"label",
"type", "count_before", "count_after", "count_change", "size_before_bytes", "size_after_bytes", "size_change_bytes",
"retained_before_bytes", "retained_after_bytes", "retained_change_bytes", "elements_before", "elements_after", "new",
"node"}]}, the most growth first; what is not known is null.

exit codes: 0 also when something grew; 2 wrong usage, or a file that is no heap picture.
"""
_ROWS = 20
_MOST_ROWS = 10_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = "memtui diff [options] A B [C]"
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="two pictures, or three, oldest first")
    parser.add_argument("--by", choices=("holder", "type", "line", "traceback"), help="how to group (holder)")
    parser.add_argument("--limit", metavar="N", type=_number, default=_ROWS, help=f"rows to show ({_ROWS})")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Arguments of this command."""
    args = parser.parse_args(arguments)
    if len(args.files) not in (2, 3):
        parser.error("give two pictures, or three")
    if len(args.files) == 3 and args.by is not None:
        parser.error("with three pictures there is no --by")
    for file in args.files:
        check_file(file)
    return args


def check_file(file: Path, what: str = "picture", made_by: str = "memtui snapshot PID") -> None:
    """Raise UsageError when there is no such file; the sentence says ``what`` it should be, and what makes one."""
    if not file.expanduser().is_file():
        why = "It is no file." if file.expanduser().exists() else "There is no such file."
        raise UsageError(f"The {what} {file} cannot be read.", why=why, next_step=f"To make one: {made_by}")


def run(args: argparse.Namespace) -> int:
    """Compare, and print. Raises UsageError for what is no heap picture."""
    from memtui.report.pictures import BORN, diff_as_json, diff_as_text

    diff, pictures = compare(args.files, args.by or "holder", args.limit)
    by = BORN if len(args.files) == 3 else diff.by
    if args.json:
        text = json.dumps(diff_as_json(diff, by, pictures), indent=2)
    else:
        text = "\n".join(diff_as_text(diff, by, pictures))
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))
    return EXIT_OK


def compare(files: list[Path], by: str, limit: int) -> tuple[HeapDiff, list[PictureFacts]]:
    """The difference, and what the pictures say of themselves, in the order of ``files``."""
    from memtui.heap.book import HeapBook

    pictures = []
    for file in files:
        with HeapBook(file) as book:
            pictures.append(book.facts())
    if len(files) == 3:
        with HeapBook(files[0]) as first:
            return first.born_and_alive(files[1], files[2], limit), pictures
    with HeapBook(files[1]) as later:
        return later.diff(files[0], by, limit), pictures  # type: ignore[arg-type]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_ROWS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows (1 to {_MOST_ROWS})")
    return int(text)
