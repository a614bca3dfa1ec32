"""What the commands that watch without a screen share: which target, how it is started, and how it is let go of."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.alerts import add_alert_options, complain_of
from memtui.cli.auto import attendants
from memtui.cli.options import given_process_id, native_window
from memtui.cli.program import DEMO, Kind, Program, command_line, split
from memtui.errors import UsageError
from memtui.model.native import NATIVE_SECONDS, NATIVE_SLOWDOWN

if TYPE_CHECKING:
    from memtui.model.state import State
    from memtui.session.live import LiveOptions, LiveSession
    from memtui.session.watching import Tell, Watched
    from memtui.session.workload import Workload

_GRACE_SECONDS = 5.0
TARGETS = "PID | SCRIPT [ARGS...] | -m MODULE [ARGS...] | -- COMMAND..."


def add_watch_options(parser: argparse.ArgumentParser) -> None:
    """``--accept-stop``, ``--trace``, ``--native``, ``--python``, and those about alerts."""
    parser.add_argument(
        "--accept-stop",
        action="store_true",
        help="also when a picture (or a check for cycles) stops the process for more than 50 ms",
    )
    parser.add_argument(
        "--trace",
        action="store_true",
        help="also trace allocations, to name lines: puts the agent in, and programs run 2 to 13 times slower",
    )
    parser.add_argument(
        "--native",
        metavar="TIME",
        nargs="?",
        const=NATIVE_SECONDS,
        type=native_window,
        help="afterwards, when native memory is the likeliest suspect, have memray record it (--native=30s): it must "
        f"be installed for the program's Python, and programs ran {NATIVE_SLOWDOWN} meanwhile",
    )
    parser.add_argument("--python", metavar="PATH", help="the interpreter for SCRIPT and -m")
    add_alert_options(parser)


def parse_watch(parser: argparse.ArgumentParser, arguments: list[str], command: str) -> argparse.Namespace:
    """Options by argparse; a program by hand, because argparse would take options out of its arguments.

    The namespace gets ``pid`` (None for a program) and ``program``. ``command`` is the name of the command, for the
    sentence of the UsageError when nothing is named.
    """
    with_value = [
        name for action in parser._actions if action.nargs not in (0, "?") for name in action.option_strings
    ]
    options, program = split(arguments, with_value, ())
    is_process = program.kind is Kind.SCRIPT and program.words[0].isdigit()
    args = parser.parse_args([*options, *program.words[1:]] if is_process else options)
    if getattr(args, "demo", False):
        if program.kind is not Kind.NONE:
            raise UsageError("--demo takes no program.", next_step=f"It is: memtui {command} --demo")
        program = Program(Kind.SCRIPT, (str(DEMO),))
    if program.kind is Kind.NONE:
        raise UsageError(
            "There is nothing to watch.",
            next_step=f"Give the PID of a process or a script: memtui {command} --help",
        )
    if args.python is not None and (is_process or program.kind is Kind.COMMAND):
        raise UsageError("--python goes with a script or -m only.", next_step="Leave it out.")
    args.pid = given_process_id(program.words[0]) if is_process else None
    args.program = program
    return args


@contextmanager
def watch_target(
    args: argparse.Namespace, *, output: Path | None = None, observe_only: bool = False, beside: Path | None = None
) -> Iterator[LiveOptions]:
    """Options for a session on the process that ``args`` name, or on the program: started, and ended afterwards.

    ``output``: the file for what the program prints; ``beside``: the file beside which pictures of alerts are kept.
    Raises MemtuiError when it cannot be watched or started.
    """
    from memtui.observe.eligibility import check_observable
    from memtui.session.live import LiveOptions

    attending = attendants(args, report=beside)
    common = LiveOptions(
        interval_seconds=args.interval,
        observe_only=observe_only,
        attendants=attending,
    )
    try:
        if args.pid is not None:
            check_observable(args.pid)
            yield replace(common, pid=args.pid)
            return
        workload = _start(args, output)
        try:
            yield replace(common, workload=workload, outside_only=True)
        finally:
            workload.end(_GRACE_SECONDS)
    finally:
        complain_of(attending)


def with_native(
    args: argparse.Namespace,
    session: LiveSession,
    watched: Watched,
    tell: Tell,
    stopped: Callable[[], bool] = lambda: False,
) -> Watched:
    """After a watch: with what memray records of native memory, when that is the likeliest suspect and was asked for.

    What was watched before stays the ground of the verdict: the recording itself takes memory in the process.
    ``stopped``: whether somebody interrupted meanwhile.
    """
    from memtui.analysis.diagnosis.diagnose import diagnose
    from memtui.session.native_watch import record_native

    if args.native is None or session.state.ending is not None:
        return watched
    first = diagnose(watched.state, args.seconds).suspects[:1]
    if not first or first[0].kind != "native":
        return watched
    why = record_native(session, args.native, tell, stopped)
    if why:
        print(f"memtui: Native allocations were not recorded: {why}", file=sys.stderr)
    now = session.state
    return replace(watched, state=replace(watched.state, native=now.native, cost=now.cost, events=now.events))


def ended_well(state: State) -> bool:
    """A program that memtui started and that came to its end by itself, with code 0, was seen whole."""
    ending = state.ending
    return ending is not None and state.target.launched and ending.exit_code == 0


def _start(args: argparse.Namespace, output: Path | None) -> Workload:
    from memtui.session.workload import LaunchSpec, Workload

    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        # The shell ignored it, so that the kernel would throw the exit code of the program away.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    environment = dict(os.environ)
    argv = command_line(args.program, args.python, environment)
    return Workload.start(LaunchSpec(argv, environment, output=output))
