"""``memtui profile PID``: one look at a process from outside, or a short watch, against the thresholds."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.alerts import add_alert_options, alert_desk, complain, configured_thresholds
from memtui.cli.options import duration, interval, process_id
from memtui.cli.progress import ProgressLine
from memtui.errors import (
    EXIT_BROKEN,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TARGET_DIED,
    MemtuiError,
    RefusedError,
    TargetDiedError,
    UsageError,
)
from memtui.heap.scanner import TypeScan, scan_types
from memtui.model.gc import GcState
from memtui.model.sample import Cost, Sample, Series
from memtui.model.state import State
from memtui.model.target import Rung
from memtui.observe.eligibility import check_process, check_readable
from memtui.observe.family import family
from memtui.observe.gcstate import GcReader
from memtui.observe.interpreter import Interpreter, find_interpreter
from memtui.observe.process import ProcessReader, children
from memtui.observe.smaps import Usage, read_classes
from memtui.report.profile import Baseline, Profile, profile_as_json, profile_as_text
from memtui.session.snapshotting import scanned_snapshot

if TYPE_CHECKING:
    from memtui.session.alerting.desk import AlertDesk

NAME = "profile"
HELP = "one look at a process: memory, its kinds, growth, threads, garbage collector, status"

_ABOUT = """\
Looks at a running Python process from outside, once or (--for) for a while; nothing is changed in it or stopped. The
status is ok, warning or critical by the thresholds that are set (memtui configure) or given here.
"""
_EPILOG = """\
examples:
  memtui profile 4242 --types
  memtui profile 4242 --for 30s                        growth and trend, too
  memtui profile 4242 --warn rss=400MB --critical rss=512MB || echo "too much memory"
  memtui profile 4242 --json > then.json; sleep 3600; memtui profile 4242 --baseline then.json
  memtui profile 4242 --json | jq .memory.rss_bytes.last

exit codes: 0 ok or warning; 1 critical; 2 wrong usage; 3 the process cannot be looked at; 4 it ended meanwhile;
130 interrupted (what was seen is printed).
"""
_TYPES_SHOWN = 20
_MAX_TYPES_SHOWN = 500
_INTERVAL_SECONDS, _WINDOW_SECONDS = 1.0, 300.0
_DELIVERY_SECONDS = 5.0
"""So long an alert of a single look may take to be delivered: nothing else is going on meanwhile."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EPILOG
    parser.add_argument("pid", metavar="PID", type=process_id, help="the process")
    parser.add_argument(
        "--types",
        metavar="N",
        nargs="?",
        type=_number_of_types,
        const=_TYPES_SHOWN,
        help=f"the N most numerous types ({_TYPES_SHOWN} when N is left out), counted by scanning its memory",
    )
    parser.add_argument("--for", dest="seconds", metavar="TIME", type=duration, help="watch for so long, such as 30s")
    parser.add_argument(
        "--interval",
        metavar="TIME",
        type=interval,
        default=_INTERVAL_SECONDS,
        help="between two looks of --for: 1s",
    )
    parser.add_argument(
        "--window", metavar="TIME", type=duration, default=_WINDOW_SECONDS, help="the trend is that of the last: 5m"
    )
    parser.add_argument(
        "--baseline", metavar="FILE", type=Path, help="compare with an earlier report instead of the first look"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document (schema memtui.report/1)")
    add_alert_options(parser, snapshots=False)


def run(args: argparse.Namespace) -> int:
    """Look, and print. Raises :class:`MemtuiError` when there is nothing to look at."""
    from memtui.config import load

    if args.seconds is not None and args.seconds < 2 * args.interval:
        raise UsageError("--for must be at least two intervals.", why="One look shows no growth.")
    baseline = _read_baseline(args.baseline)
    rules, _ = configured_thresholds(args, load())
    desk = alert_desk(args, patience_seconds=_DELIVERY_SECONDS if args.seconds is None else None)
    interrupted = False
    if args.seconds is None:
        profile = look(args.pid, args.types)
        profile = replace(profile, state=_attended(profile.state, desk))
    else:
        watched, interrupted = _watch(args, desk)
        profile = _after(watched, args.types)
        first = watched.series.samples[0] if len(watched.series) > 1 else None
        baseline = baseline or (Baseline(first.rss_bytes, "the first look") if first is not None else None)
    complain(desk.problems)
    _print(args, replace(profile, rules=tuple(rules), baseline=baseline, window_seconds=args.window))
    if interrupted:
        return EXIT_INTERRUPTED
    if profile.state.ending is not None:
        return EXIT_TARGET_DIED
    return EXIT_BROKEN if replace(profile, rules=tuple(rules)).status == "critical" else EXIT_OK


def _print(args: argparse.Namespace, profile: Profile) -> None:
    text = json.dumps(profile_as_json(profile), indent=2) if args.json else "\n".join(profile_as_text(profile))
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def _read_baseline(path: Path | None) -> Baseline | None:
    from memtui.report.baseline import read_baseline_rss

    return None if path is None else Baseline(read_baseline_rss(path), str(path))


def _attended(state: State, desk: AlertDesk) -> State:
    """The State of a single look with its alerts, which are delivered; what was not is said on stderr."""
    from memtui.session.reducer import reduce

    for message in (*desk.attend(state), *desk.end()):
        state = reduce(state, message, state.now_seconds)
    return state


def _watch(args: argparse.Namespace, desk: AlertDesk) -> tuple[State, bool]:
    """The last State of a watch from outside, and whether it was interrupted."""
    from memtui.cli.signals import orderly_end
    from memtui.session.live import LiveOptions, LiveSession
    from memtui.session.watching import HeadlessWatch, WatchPlan

    options = LiveOptions(pid=args.pid, interval_seconds=args.interval, observe_only=True, attendants=(desk,))
    line, session, interrupted = ProgressLine(quiet=args.json), LiveSession(options), False
    session.start()
    try:
        with orderly_end(session.close):
            try:
                # One look more than fits, so that the last one is at the end.
                plan = WatchPlan(args.seconds + args.interval / 2, pictures=False)
                HeadlessWatch(session, plan, line.tell).run()
            except KeyboardInterrupt:
                interrupted = True
    finally:
        line.end()
        session.close()
    return session.state, interrupted


def _after(watched: State, types: int | None) -> Profile:
    """What a watch saw, and what only a look can tell, as long as the process is there."""
    if watched.ending is not None:
        return Profile(watched)
    try:
        last = look(watched.target.pid, types)
    except TargetDiedError:
        return Profile(watched)
    state = replace(watched, snapshots=last.state.snapshots, processes=last.state.processes, note=last.state.note)
    return replace(last, state=state)


def look(pid: int, types: int | None = None) -> Profile:
    """What can be seen of ``pid`` now, with that many types.

    What may not be read is left unknown, with the reason in the state's note. Raises :class:`RefusedError` for what
    is no Python process, and :class:`TargetDiedError` when it ends meanwhile.
    """
    started_at = time.time()
    check_process(pid)
    with ProcessReader(pid) as process:
        interpreter, gc, note = _look_inside(pid)
        seen = process.sample()
        limit = process.memory_limit_bytes()
        target = replace(process.target(), python=interpreter.version_text if interpreter else None)
        open_files = process.open_files()
    scan = None
    if types is not None and interpreter is not None and gc is not None:
        scan, note = _scan(interpreter)
    sample = Sample(
        0.0,
        seen.rss_bytes,
        seen.uss_bytes,
        seen.pss_bytes,
        seen.swap_bytes,
        gc_counts=tuple(one.count for one in gc.generations) if gc else None,
        gc_objects=gc.objects if gc else None,
    )
    state = State(
        target,
        started_at,
        rung=Rung.OBSERVE if gc else Rung.PROCESS,
        note=note,
        series=Series().append(sample),
        gc=gc,
        cost=Cost(tool_cpu_seconds=round(time.process_time(), 3)),
        threads=seen.threads,
        memory_limit_bytes=limit,
        processes=family(pid),
    )
    if scan is not None:
        shown = replace(scanned_snapshot(scan, 0.0, seen.rss_bytes), number=1, types=scan.types[:types])
        state = replace(state, snapshots=(shown,))
    return Profile(state, _classes(pid), open_files, tuple(children(pid)), scan=scan)


def _look_inside(pid: int) -> tuple[Interpreter | None, GcState | None, str]:
    """Interpreter and collector, or the reason why they are not known. Raises for what is no Python process."""
    try:
        check_readable(pid)
    except RefusedError as error:
        return None, None, str(error)
    interpreter = find_interpreter(pid)
    try:
        with GcReader(interpreter) as reader:
            return interpreter, reader.read(), ""
    except RefusedError as error:
        return interpreter, None, str(error)


def _scan(interpreter: Interpreter) -> tuple[TypeScan | None, str]:
    """The types, or the reason why they are not known."""
    try:
        return scan_types(interpreter.pid, interpreter), ""
    except TargetDiedError:
        raise
    except MemtuiError as error:
        return None, str(error)


def _classes(pid: int) -> dict[str, Usage] | None:
    try:
        return read_classes(pid)
    except RefusedError:
        return None


def _number_of_types(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MAX_TYPES_SHOWN:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of types (1 to {_MAX_TYPES_SHOWN})")
    return int(text)
