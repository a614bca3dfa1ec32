"""``memtui record``: a session without a screen, in a file that can be played and printed."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.headless import TARGETS, add_watch_options, ended_well, parse_watch, watch_target
from memtui.cli.options import duration, interval
from memtui.cli.progress import ProgressLine
from memtui.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_TARGET_DIED, UsageError

if TYPE_CHECKING:
    from memtui.model.state import State
    from memtui.session.live import LiveSession
    from memtui.session.recording.recorder import Recorder

HELP = "record a session into a file; memtui open plays it, memtui report prints it"
_ABOUT = """\
Watches a running Python process, or starts a program, and writes all that memtui sees into a file: memory,
collector, children, events and, where asked for, what heap pictures tell and traced lines. An hour takes 1 to 2 MB.
What was seen is in the file two seconds later, whatever happens to memtui. Without --for it goes on until Ctrl-C or
the end of the process.
"""
_EXAMPLES = """\
examples:
  memtui record 4242 -o night.memtui              until Ctrl-C, or until process 4242 ends
  memtui record 4242 -o a.memtui --for 10m        for ten minutes
  memtui record 4242 --for 1h --snapshot-every 10m    with a heap picture now and then, for suspects and holders
  memtui record --for 30s -o run.memtui app.py    start a program; what follows the script is its own
  memtui open night.memtui                        play it in the dashboard
  memtui report night.memtui --csv > night.csv

exit codes: 0 the time is over, or the program that was started ended with 0; 2 wrong usage, or the file cannot be
written; 3 the process cannot be observed or the program not started; 4 it died; 130 interrupted. The file is readable
in each of these cases but 3.
"""
_TICK_SECONDS = 0.2
_LINE_SECONDS = 60.0
"""Without a terminal, progress is told so often."""
_SHORTEST_BETWEEN_SECONDS = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = f"memtui record [options] {TARGETS} | --demo"
    parser.add_argument(
        "-o", dest="file", metavar="FILE", type=Path, help="the file (default: memtui-PID-DATE-TIME.memtui)"
    )
    parser.add_argument("--for", dest="seconds", metavar="TIME", type=duration, help="how long (default: to the end)")
    parser.add_argument("--interval", metavar="TIME", type=interval, default=1.0, help="between two looks: 1s")
    parser.add_argument(
        "--snapshot-every", metavar="TIME", type=duration, help="take a heap picture so often; none without this"
    )
    parser.add_argument("--demo", action="store_true", help="record the bundled program that leaks")
    parser.add_argument("--output", metavar="FILE", type=Path, help="also write what the program prints to FILE")
    parser.add_argument("--observe-only", action="store_true", help="only look from outside")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    add_watch_options(parser)


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Options by argparse, the target by hand. Raises UsageError."""
    # The name of a file is no part of the program, also where -o comes behind the PID.
    args = parse_watch(parser, arguments, "record")
    if args.seconds is not None and args.seconds <= 0:
        raise UsageError("--for must be longer than nothing.")
    if args.snapshot_every is not None and args.snapshot_every < _SHORTEST_BETWEEN_SECONDS:
        raise UsageError(f"--snapshot-every must be at least {_SHORTEST_BETWEEN_SECONDS:.0f}s.")
    if args.observe_only and (args.trace or args.snapshot_every is not None):
        raise UsageError("--observe-only contradicts --trace and --snapshot-every.", why="They touch the process.")
    if args.output is not None and args.pid is not None:
        raise UsageError("--output goes with a program that memtui starts.", next_step="Leave it out.")
    return args


def run(args: argparse.Namespace) -> int:
    """Record; the exit code. Raises MemtuiError when there is nothing to watch, or the file cannot be written."""
    from memtui.paths import default_file
    from memtui.session.live import LiveSession
    from memtui.session.recording.recorder import Recorder

    recorder = Recorder(args.file) if args.file is not None else None
    try:
        with watch_target(args, output=args.output, observe_only=args.observe_only, beside=args.file) as options:
            pid = options.pid if options.workload is None else options.workload.pid
            assert pid is not None
            recorder = recorder or Recorder(default_file(pid, time.time(), ".memtui"))
            options = replace(options, trace_frames=1 if args.trace else None)
            return _record(args, LiveSession(options, recorder), recorder)
    finally:
        if recorder is not None:
            recorder.close()


def _record(args: argparse.Namespace, session: LiveSession, recorder: Recorder) -> int:
    from memtui.cli.signals import orderly_end

    line = ProgressLine(quiet=args.quiet)
    interrupted = False
    try:
        with orderly_end(session.close):
            try:
                session.start()
                _watch(args, session, recorder, line)
            except KeyboardInterrupt:
                if not recorder.written_bytes:
                    raise  # nothing has been seen yet
                interrupted = True
    finally:
        line.end()
        session.close()
    _say_what_there_is(session.state, recorder)
    if recorder.error is not None:
        raise recorder.error
    if interrupted:
        return EXIT_INTERRUPTED
    state = session.state
    return EXIT_TARGET_DIED if state.ending is not None and not ended_well(state) else EXIT_OK


def _watch(args: argparse.Namespace, session: LiveSession, recorder: Recorder, line: ProgressLine) -> None:
    """Until the time is over, the target has ended, or the file takes no more."""
    from memtui.model.command import TakeSnapshot
    from memtui.model.units import format_bytes, format_seconds

    began = time.monotonic()
    tell_at, picture_at = 0.0, args.snapshot_every
    while recorder.error is None and session.state.ending is None:
        passed = time.monotonic() - began
        if args.seconds is not None and passed >= args.seconds:
            return
        if picture_at is not None and passed >= picture_at:
            picture_at = passed + args.snapshot_every
            session.request(TakeSnapshot(accept_stop=args.accept_stop))
        if passed >= tell_at:
            tell_at = passed + (1.0 if line.changes else _LINE_SECONDS)
            last = session.state.series.last
            rss, size = format_bytes(last.rss_bytes if last else None), format_bytes(recorder.written_bytes)
            figures = f": {format_seconds(passed)}, RSS {rss}, {size} written" if passed > 1 else ""
            line.tell(
                f"recording process {session.state.target.pid}{figures}",
                None if args.seconds is None else passed / args.seconds,
            )
        time.sleep(_TICK_SECONDS)


def _say_what_there_is(state: State, recorder: Recorder) -> None:
    from memtui.model.units import format_bytes, format_seconds

    size, time_text = format_bytes(recorder.written_bytes), format_seconds(state.now_seconds)
    print(f"{time_text} of process {state.target.pid} are in {recorder.path} ({size}).")
    print(f"To play them: memtui open {recorder.path}")
