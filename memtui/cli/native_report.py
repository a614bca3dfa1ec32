"""``memtui native report FILE``: what a recording of memray holds, and memray's own reports of it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memtui.cli.native import add_limit, check_output, print_text, say, show
from memtui.errors import EXIT_OK

if TYPE_CHECKING:
    from memtui.native.reader import Recorded

_ABOUT = """\
Reads a recording that memray made (with memtui native, memray run or memray attach). Without an option it prints the
native call sites and memray's statistics, and writes what was not freed as files beside the recording: memray's table
and flame graph (HTML), and a profile for https://www.speedscope.app (JSON). With options, only what they ask for.
"""
_EXAMPLES = """\
examples:
  memtui native report x.bin                              all of it; writes x.table.html, x.flamegraph.html, ...
  memtui native report x.bin --stats
  memtui native report x.bin --flamegraph out.html --table table.html
  memtui native report x.bin --speedscope                 writes x.speedscope.json
  memtui native report x.bin --json | jq '.sites[0]'      the call sites; with --stats, the statistics

exit codes: 2 for a file that is no recording, is damaged, or was written by a memray that memtui's cannot read.
"""
_BESIDE = Path()
_PAGES = {"table": "html", "flamegraph": "html", "speedscope": "json"}
"""The files there may be, and how their names end."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = "memtui native report [options] FILE"
    parser.add_argument("file", metavar="FILE", type=Path, nargs="?", help="the recording")
    parser.add_argument("--stats", action="store_true", help="memray's statistics")
    for page, ending in _PAGES.items():
        parser.add_argument(
            f"--{page}", metavar=f"OUT.{ending}", type=Path, nargs="?", const=_BESIDE, help=f"write memray's {page}"
        )
    add_limit(parser)


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Arguments of this command. In ``--table x.bin`` the file is the recording, as it is the only one."""
    args = parser.parse_args(arguments)
    for page in _PAGES:
        value = getattr(args, page)
        if args.file is None and value not in (None, _BESIDE):
            args.file = value
            setattr(args, page, _BESIDE)
    if args.file is None:
        parser.error("the FILE of a recording is missing")
    args.all = not (args.stats or args.json or any(getattr(args, page) for page in _PAGES))
    for page, ending in _PAGES.items():
        if args.all or getattr(args, page) == _BESIDE:
            setattr(args, page, args.file.with_name(f"{args.file.stem}.{page}.{ending}"))
        check_output(getattr(args, page))
    return args


def run(args: argparse.Namespace) -> int:
    """Read, print and write. Raises UsageError for what is no recording, WriteError."""
    from memtui.native.reader import Recorded

    recorded = Recorded(args.file)
    pages = [page for page in _PAGES if getattr(args, page) is not None]
    if args.json and args.stats:
        print_text(
            json.dumps({"schema": "memtui.native-stats/1", "file": str(args.file), **_figures(recorded)}, indent=2)
        )
    elif args.all or args.json:
        recorded.check()
        file = args.file if args.json else None
        show(argparse.Namespace(json=args.json, limit=args.limit, file=file), recorded, None)
    if args.all or (args.stats and not args.json):
        print_text(f"\n{_text(recorded)}")
    for page in pages:
        out = getattr(args, page)
        recorded.write_page(page, out)
        say(f"The {page} is in {out}")
    return EXIT_OK


def _figures(recorded: Recorded) -> dict[str, Any]:
    return {name: value for name, value in recorded.stats().items() if name != "text"}


def _text(recorded: Recorded) -> str:
    text = str(recorded.stats()["text"])
    return text.rstrip() or "There is not one allocation in the recording."
