"""``memtui native``: which native code allocates and does not free, recorded by memray for a bounded time."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.options import native_window, process_id
from memtui.cli.progress import ProgressLine
from memtui.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_TARGET_DIED, WriteError
from memtui.model.units import format_seconds

if TYPE_CHECKING:
    from memtui.native.reader import Recorded
    from memtui.native.recording import NativeRecording, Outcome

HELP = "record native allocations with memray: which extension does not free"
_ABOUT = """\
Says which C code of a running Python process allocates memory and does not free it. The agent goes in and has memray,
which must be installed for that process's interpreter, record every allocation with its native stack; after --for it
is stopped, memtui reads the recording, and the agent leaves. Programs ran 1.1 to 5 times slower while it recorded.
"""
_EXAMPLES = """\
examples:
  memtui native 4242                       record process 4242 for 30 s, print the call sites
  memtui native 4242 --for 2m -o x.bin     and keep memray's recording
  memtui native run --for 1m app.py        start a program under memray: memtui native run --help
  memtui native report x.bin               statistics, table, flame graph: memtui native report --help
  memtui native 4242 --json | jq -r '.libraries[0].extension'

--json prints {"schema": "memtui.native/1", "file", "ended", "pid", "command", "started_at", "seconds", "allocations",
"peak_bytes", "size_bytes", "count", "libraries": [{"kind", "library", "extension", "size_bytes", "count"}], "sites":
[{"kind", "library", "extension", "frame": {"function", "file", "line", "library", "address"}, "size_bytes", "count",
"python": [...], "native": [...]}], ...}; what is not known is null. kind: extension, python, arena or unknown.

exit codes: 0 also when something was not freed; 2 wrong usage, or a file that cannot be read or written; 3 the
process cannot be recorded, or has no memray (stderr says how to install it); 4 it ended meanwhile (what is known is
still printed); 130 interrupted (likewise).
"""
_SECONDS = 30.0
_MOST_ROWS = 1000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = "memtui native [options] PID | run ... | report ..."
    parser.add_argument("pid", metavar="PID", type=process_id, help="the process")
    add_recording_options(parser, _SECONDS)


def add_recording_options(parser: argparse.ArgumentParser, seconds: float) -> None:
    """``--for``, ``-o``, ``--limit`` and ``--json``."""
    parser.add_argument(
        "--for",
        dest="seconds",
        metavar="TIME",
        type=native_window,
        default=seconds,
        help=f"how long ({seconds:.0f}s)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="keep memray's recording in FILE")
    add_limit(parser)


def add_limit(parser: argparse.ArgumentParser) -> None:
    """``--limit`` and ``--json``."""
    parser.add_argument("--limit", metavar="N", type=_number, default=10, help="call sites to show (10)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """``run`` and ``report`` are commands of their own."""
    from memtui.cli import native_report, native_run

    for name, module in (("run", native_run), ("report", native_report)):
        if arguments[:1] == [name]:
            inner = type(parser)(prog=f"memtui native {name}", allow_abbrev=False)
            module.configure(inner)
            args: argparse.Namespace = module.parse(inner, arguments[1:])
            args.command = module.run
            return args
    chosen = parser.parse_args(arguments)
    chosen.command = record
    return chosen


def run(args: argparse.Namespace) -> int:
    """Record or read, and print. Raises MemtuiError."""
    return int(args.command(args))


def record(args: argparse.Namespace) -> int:
    """Record process ``args.pid``."""
    from memtui.native.recording import COST, STAYS, NativeRecording, check_own_memray
    from memtui.native.talk import OwnAgent
    from memtui.observe.eligibility import check_observable

    check_output(args.output)
    check_own_memray()
    check_observable(args.pid)
    say(f"{COST} {STAYS}")
    recording = NativeRecording(OwnAgent(args.pid))
    line = ProgressLine(quiet=args.json)
    try:
        recording.requirement().check(args.pid)
        outcome, interrupted = _record(recording, args.seconds, line)
        line.end()
        return _read(args, recording, outcome, interrupted)
    finally:
        line.end()
        recording.close()


def _record(recording: NativeRecording, seconds: float, line: ProgressLine) -> tuple[Outcome, bool]:
    """How it ended, and whether by Ctrl-C, SIGTERM or SIGHUP."""
    from memtui.cli.signals import orderly_end

    with orderly_end(recording.close):
        try:
            recording.start(seconds)
            return recording.wait(line.tell), False
        except KeyboardInterrupt:
            if not recording.started:
                raise
            return recording.stop(), True


def _read(args: argparse.Namespace, recording: NativeRecording, outcome: Outcome, interrupted: bool) -> int:
    from memtui.native.recording import ENDS

    if not args.json:
        say(f"memray's start took {format_seconds(outcome.start_seconds)} in the process")
    if outcome.ended in ENDS:
        say(ENDS[outcome.ended])
    if args.output is not None:
        recording.keep(args.output)
    show(args, recording.recorded, outcome.ended)
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_TARGET_DIED if outcome.ended == "died" else EXIT_OK


def show(args: argparse.Namespace, recorded: Recorded, ended: str | None, command: str | None = None) -> None:
    """Read a recording, and print what is in it. Raises UsageError when that cannot be done.

    ``command``: what to call the program, when it is not what the recording says.
    """
    from memtui.report.native import native_as_json, native_as_text

    if not args.json:
        say("reading the recording; a large one takes memray a minute")
    report = recorded.report(args.limit)
    if command is not None:
        report = replace(report, command=command)
    kept = getattr(args, "output", None) or getattr(args, "file", None)
    if args.json:
        text = json.dumps(native_as_json(report, ended, None if kept is None else str(kept)), indent=2)
    else:
        text = "\n".join(native_as_text(report))
    print_text(text)
    if kept is not None and not args.json:
        say(f"The recording is in {kept}; statistics, table and flame graph: memtui native report {kept}")


def print_text(text: str) -> None:
    """On stdout, with what its encoding lacks replaced."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)


def say(text: str) -> None:
    """One line on stderr."""
    print(f"memtui: {text}", file=sys.stderr, flush=True)


def check_output(path: Path | None) -> None:
    """Raise WriteError when the recording could not be written to ``path`` later."""
    if path is None:
        return
    if path.is_dir():
        why = "It is a directory."
    elif not path.absolute().parent.is_dir():
        why = f"The directory {path.parent} does not exist."
    elif not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        why = f"You may not write to the directory {path.parent}."
    else:
        return
    raise WriteError(f"The recording cannot be written to {path}.", why=why, next_step="Name another file: -o FILE")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_ROWS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rows (1 to {_MOST_ROWS})")
    return int(text)
