"""``memtui snapshot PID``: a heap picture in a file, without the dashboard."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.options import process_id
from memtui.cli.progress import ProgressLine
from memtui.errors import EXIT_OK, StopTooLongError, UsageError, WriteError

if TYPE_CHECKING:
    from memtui.heap.taking import PictureJob
    from memtui.model.heap import PictureFacts

HELP = "a heap picture in a file: every object, what it weighs, who holds it"

_ABOUT = """\
Takes a picture of the heap of a running Python process: all its objects, their sizes, who holds them and what they
keep alive. The process is stopped for some milliseconds (30 to 50 ms a GB) while the kernel makes a copy of it that
never runs; the copy is read and thrown away. Nothing is put into the process.
"""
_EXAMPLES = """\
examples:
  memtui snapshot 4242                     writes 4242-20261121-120000.memtui
  memtui snapshot 4242 -o before.memtui    then, later: memtui diff before.memtui after.memtui
  memtui snapshot 4242 --quick             types and sizes only: no holders, no retained sizes
  memtui snapshot --core core.4242 --exe /usr/bin/python3.11
  memtui snapshot 4242 --json | jq '.retainers[0].path'

--json prints {"schema": "memtui.heap-picture/1", "file", "file_bytes", "pid", "command", "python", "taken_at",
"source", "objects", "edges", "size_bytes", "rss_bytes", "stop_seconds", "quality", "quick", "notes", "types":
[{"type", "count", "size_bytes", "retained_bytes"}], "retainers": [{"path", "type", "size_bytes", "retained_bytes",
...}]}; what is not known is null.

exit codes: 2 wrong usage, or the file cannot be written; 3 the process cannot be photographed (the reason is on
stderr); 4 it ended meanwhile; 130 interrupted: then no file is left.
"""
_ROWS = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = "memtui snapshot [options] PID | --core FILE"
    parser.add_argument("pid", metavar="PID", type=process_id, nargs="?", help="the process")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the file (PID-DATE-TIME.memtui)")
    parser.add_argument("--quick", action="store_true", help="types and sizes only")
    parser.add_argument(
        "--accept-stop", action="store_true", help="also when the process will be stopped for more than 50 ms"
    )
    parser.add_argument(
        "--hold",
        action="store_true",
        help="where a copy is refused: stop the process and read it, which takes about 1 s a GB",
    )
    parser.add_argument("--core", metavar="FILE", type=Path, help="read a core file instead of a process")
    parser.add_argument("--exe", metavar="PYTHON", type=Path, help="the Python that made the core file")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Arguments of this command; exactly one of a process and a core file."""
    args = parser.parse_args(arguments)
    if (args.pid is None) == (args.core is None):
        parser.error("give the PID of a process, or --core FILE")
    if args.exe is not None and args.core is None:
        parser.error("--exe belongs to --core")
    if args.core is not None and (args.hold or args.accept_stop):
        parser.error("--hold and --accept-stop are for processes, not for --core")
    return args


def run(args: argparse.Namespace) -> int:
    """Take the picture, and print what is in it. Raises MemtuiError; then there is no file."""
    path = _place(args)
    show = ProgressLine(quiet=args.json)
    try:
        facts = _take(new_job(args, path), show)
    finally:
        show.end()
    print_picture(facts, as_json=args.json)
    return EXIT_OK


def new_job(args: argparse.Namespace, path: Path) -> PictureJob:
    """What takes the picture."""
    from memtui.heap.taking import PictureJob
    from memtui.observe.eligibility import check_observable, check_other

    if args.core is not None:
        if not args.core.is_file():
            raise UsageError(f"There is no core file {args.core}.")
        return PictureJob(0, path, quick=args.quick, core=args.core, exe=args.exe)
    check_other(args.pid)
    check_observable(args.pid)
    return PictureJob(args.pid, path, quick=args.quick, accept_stop=args.accept_stop, hold=args.hold)


def print_picture(facts: PictureFacts, *, as_json: bool) -> None:
    """What is in a picture that was just written."""
    from memtui.heap.book import HeapBook
    from memtui.report.pictures import picture_as_json, picture_as_text

    with HeapBook(facts.path) as book:
        types = book.types("size" if facts.quick else "retained", limit=_ROWS)
        retainers = () if facts.quick else book.retainers(_ROWS)
    size = os.stat(facts.path).st_size
    if as_json:
        _print(json.dumps(picture_as_json(facts, size, types, retainers), indent=2))
    else:
        _print("\n".join(picture_as_text(facts, size, types, retainers)))


def _take(job: PictureJob, show: ProgressLine) -> PictureFacts:
    try:
        return job.run(lambda progress: show.tell(progress.step, progress.fraction))
    except StopTooLongError as error:
        step = "If that is acceptable: --accept-stop. To count types without a stop: memtui profile PID --types"
        raise StopTooLongError(error.what, why=error.why, next_step=step) from error


def _place(args: argparse.Namespace) -> Path:
    """The file to write. Raises WriteError when that will not be possible."""
    from memtui.session.pictures import default_name

    try:
        path = args.output or Path.cwd() / default_name(args.pid or args.core.name, time.time())
    except OSError as error:
        raise WriteError("The current directory is gone.", next_step="Name a file: -o FILE") from error
    path = Path(path).expanduser().absolute()
    if path.is_dir():
        why = "It is a directory."
    elif path.exists() and not path.is_file():
        why = "It is no regular file, and would be replaced by one."
    elif not path.parent.is_dir():
        why = f"The directory {path.parent} does not exist."
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        why = f"You may not write to the directory {path.parent}."
    else:
        return path
    raise WriteError(f"A picture cannot be written to {path}.", why=why, next_step="Name another file: -o FILE")


def _print(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))
