"""``memtui diagnostics``: watches a process, and says whether it leaks, what, who holds it, and what to do."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.headless import TARGETS, add_watch_options, ended_well, parse_watch, watch_target, with_native
from memtui.cli.options import duration
from memtui.cli.progress import ProgressLine
from memtui.errors import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_OK, EXIT_TARGET_DIED

if TYPE_CHECKING:
    from memtui.analysis.diagnosis.diagnose import Diagnosis
    from memtui.session.live import LiveOptions
    from memtui.session.watching import Watched

HELP = "watch a process and say what leaks, who holds it and what to do"
_ABOUT = """\
Watches a running Python process, or starts a program, and takes a few pictures of its heap on the way (each stops the
process for some milliseconds; nothing is put into it). Then it says whether memory leaks, which objects, who holds
them, and what to do about it.
"""
_EXAMPLES = """\
examples:
  memtui diagnostics 4242                        watch process 4242 for a minute
  memtui diagnostics 4242 --for 10m --report r.json
  memtui diagnostics --for 30s app.py --port 80  start a program; what follows the script is its own
  memtui diagnostics -m http.server 8000
  memtui diagnostics 4242 --check-cycles         also what only the collector frees, and the cycles in it
  memtui diagnostics 4242 --native               if native memory grows: whose C code does not free it
  memtui diagnostics 4242 --json | jq '.suspects[0].holder.path'

A minute is enough for "suspect": a leak is one that goes on, so watch for longer to be sure.

exit codes: 0 healthy, growing or inconclusive; 1 suspect or leak; 2 wrong usage; 3 the process cannot be observed or
the program not started; 4 it ended meanwhile (what is known is still reported); 130 interrupted (likewise).
"""
_SECONDS = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = f"memtui diagnostics [options] {TARGETS}"
    parser.add_argument(
        "--for", dest="seconds", metavar="TIME", type=duration, default=_SECONDS, help="how long: 60s"
    )
    parser.add_argument("--interval", metavar="TIME", type=duration, default=1.0, help="between two looks: 1s")
    parser.add_argument("--report", metavar="FILE", type=Path, help="also write the whole report as JSON")
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead of text")
    parser.add_argument(
        "--check-cycles",
        action="store_true",
        help="at the end run a checked collection (gc.DEBUG_SAVEALL, undone): what is garbage, and in which cycles; "
        "puts the agent in, finalizers of the garbage run, and it is freed",
    )
    add_watch_options(parser)


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Options by argparse, the target by hand. Raises UsageError."""
    args = parse_watch(parser, arguments, "diagnostics")
    return args


def run(args: argparse.Namespace) -> int:
    """Watch, print, and return the exit code. Raises MemtuiError when there is nothing to watch."""
    from memtui.cli.dashboard import check_report_path

    check_report_path(args.report)
    with watch_target(args, beside=args.report) as options:
        return _watch(args, options)


def _watch(args: argparse.Namespace, options: LiveOptions) -> int:
    from memtui.analysis.diagnosis.diagnose import SHORTEST_WATCH_SECONDS
    from memtui.cli.signals import orderly_end
    from memtui.session.live import LiveSession
    from memtui.session.watching import HeadlessWatch, Watched, WatchPlan

    line = ProgressLine(quiet=args.json)
    session = LiveSession(options)
    session.start()
    plan = WatchPlan(
        args.seconds,
        args.accept_stop,
        pictures=args.seconds >= SHORTEST_WATCH_SECONDS,
        check_cycles=args.check_cycles,
        trace_frames=1 if args.trace else None,
    )
    watch = HeadlessWatch(session, plan, line.tell)
    interrupted = False
    try:
        with orderly_end(session.close):
            try:
                watched = with_native(args, session, watch.run(), line.tell)
            except KeyboardInterrupt:
                interrupted = True
                watched = Watched(session.state, "", 0)
    finally:
        line.end()
        session.close()
    obstacle = watched.obstacle if plan.pictures else "too short a watch for that."
    paid = session.state.cost  # until its end
    watched = replace(watched, state=replace(watched.state, cost=paid), obstacle=obstacle)
    diagnosis = _show(args, watched)
    if interrupted:
        return EXIT_INTERRUPTED
    if watched.state.ending is not None and not ended_well(watched.state):
        return EXIT_TARGET_DIED
    return EXIT_BROKEN if diagnosis.verdict.state in ("suspect", "leak") else EXIT_OK


def _show(args: argparse.Namespace, watched: Watched) -> Diagnosis:
    from memtui.analysis.diagnosis.diagnose import diagnose
    from memtui.report.build import build_report
    from memtui.report.diagnosis import diagnosis_as_text
    from memtui.report.write import write_report
    from memtui.session.expected import load_expected

    diagnosis = diagnose(watched.state, args.seconds, expected=load_expected())
    report = build_report(watched.state, diagnosis)
    if watched.unchecked:
        report["verdict"]["reasons"].append(f"Cycles were not checked: {watched.unchecked}")
    if watched.obstacle:
        report["verdict"]["reasons"].append(f"The heap was not looked into: {watched.obstacle}")
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(diagnosis_as_text(watched.state, diagnosis, watched.obstacle, watched.unchecked)))
    if args.report is not None:
        path = write_report(args.report, report)
        print(f"memtui: The report is in {path}", file=sys.stderr)
    return diagnosis
