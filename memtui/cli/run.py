"""``memtui run``: starts a program and shows the dashboard on it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.alerts import ALERT_OPTIONS
from memtui.cli.auto import COOLDOWN_OPTION, attendants
from memtui.cli.options import add_dashboard_options, check_options, duration
from memtui.cli.output import last_lines
from memtui.cli.program import DEMO, Kind, Program, command_line, split
from memtui.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from memtui.cli.dashboard import View
    from memtui.model.state import State
    from memtui.session.workload import Exit, Workload

HELP = "start a program under the dashboard"

_GRACE_SECONDS = 5.0
_ABOUT = """\
Starts a program and opens the dashboard on it. The program runs as if started without memtui; what it prints goes to
a pane (key w). Options of memtui come first: what follows SCRIPT, MODULE or COMMAND belongs to the program. When you
quit, the program is ended, unless you say --keep. memtui's exit code is the program's.
"""
_EXAMPLES = """\
examples:
  memtui run --demo                             a small program that leaks
  memtui run app.py --port 8000                 a script; --port is its own option
  memtui run -m http.server 8000                a module, as python -m would start it
  memtui run --trace 5 --output app.log app.py  trace at once, keep what it prints
  memtui run --python .venv/bin/python app.py   with the interpreter of another environment
  memtui run -- gunicorn app:app                any program with a Python in it
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.usage = "memtui run [options] (SCRIPT [ARGS...] | -m MODULE [ARGS...] | -- COMMAND [ARGS...] | --demo)"
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.add_argument("--demo", action="store_true", help="run the bundled program that leaks")
    add_dashboard_options(parser)
    parser.add_argument("--output", metavar="FILE", type=Path, help="also write what the program prints to FILE")
    parser.add_argument("--keep", action="store_true", help="leave the program running when memtui ends")
    parser.add_argument(
        "--stdin",
        action="store_true",
        help="let the program read lines you type in its pane, or memtui's piped stdin",
    )
    parser.add_argument(
        "--python", metavar="EXE", help="the interpreter for SCRIPT and MODULE (default: memtui's own)"
    )
    parser.add_argument(
        "--grace",
        metavar="TIME",
        type=duration,
        default=_GRACE_SECONDS,
        help="time the program has to end politely before it is killed (default: 5s)",
    )


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Options by argparse; the program by hand, because argparse would take options out of its arguments."""
    with_value = (
        "--interval",
        "--report",
        "--theme",
        "--output",
        "--python",
        "--grace",
        COOLDOWN_OPTION,
        *ALERT_OPTIONS,
    )
    options, program = split(arguments, with_value, ("--trace",))
    args = parser.parse_args(options)
    if args.demo:
        if program.kind is not Kind.NONE:
            raise UsageError("--demo takes no program.", next_step="It is: memtui run --demo")
        program = Program(Kind.SCRIPT, (str(DEMO),))
    if program.kind is Kind.NONE:
        raise UsageError("There is nothing to run.", next_step="Try memtui run --demo, or see: memtui run --help")
    if program.kind is Kind.COMMAND and args.python is not None:
        raise UsageError(
            "--python does not go with a command.",
            why="After -- the program is started as it is.",
            next_step="Leave it out.",
        )
    check_options(args)
    args.program = program
    return args


def run(args: argparse.Namespace) -> int:
    """Start the program, show the dashboard, end the program. Raises MemtuiError when it cannot be started."""
    from memtui.cli.dashboard import View, check_report_path
    from memtui.cli.terminal import check_terminal
    from memtui.session.workload import LaunchSpec, Workload

    environment = dict(os.environ)  # as it is now: Textual takes NO_COLOR out of it
    argv = command_line(args.program, args.python, environment)
    piped_stdin = args.stdin and not os.isatty(0)
    check_terminal("memtui profile PID --json", piped_stdin=piped_stdin)
    if args.keep and args.stdin and not piped_stdin:
        raise UsageError("--keep and --stdin contradict each other.", why="What you type ends with memtui.")
    check_report_path(args.report)
    see_each_look = attendants(args, report=args.report, dashboard=True)
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        # The shell ignored it, so that the kernel would throw the exit code of the program away.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    workload = Workload.start(LaunchSpec(argv, environment, keep=args.keep, output=args.output, use_stdin=args.stdin))
    view = View(
        theme=args.theme,
        interval_seconds=args.interval,
        report=args.report,
        observe_only=args.observe_only,
        trace_frames=args.trace,
        workload_stdin=args.stdin and not piped_stdin,
        attendants=see_each_look,
    )
    return _watch(workload, view, keep=args.keep, grace_seconds=args.grace)


def _watch(workload: Workload, view: View, *, keep: bool, grace_seconds: float) -> int:
    from memtui.cli.dashboard import watch

    ended_itself: Exit | None = None

    def end_workload() -> None:
        nonlocal ended_itself
        ended_itself = workload.poll()
        if keep:
            workload.release()
        else:
            _end(workload, grace_seconds)

    state, code = watch(view, workload=workload, end_target=end_workload)
    _say_the_end(state, workload, ended_itself, keep=keep)
    if code != EXIT_OK:
        return code
    if ended_itself is not None:
        return ended_itself.status
    return EXIT_OK if keep else workload.end(0).status


def _end(workload: Workload, grace_seconds: float) -> None:
    try:
        workload.end(grace_seconds)
    except KeyboardInterrupt:
        workload.end(0)
        raise


def _say_the_end(state: State, workload: Workload, exited: Exit | None, *, keep: bool) -> None:
    """On the ordinary screen, after the dashboard: what would be lost with it."""
    if workload.output_error is not None:
        print(f"memtui: {workload.output_error}", file=sys.stderr)
    if keep and exited is None:
        print(
            f"memtui: The program goes on as process {workload.pid}; what it prints goes to {workload.output_path}",
            file=sys.stderr,
        )
    if exited is not None and exited.status != 0:
        lines = state.output.lines if state.output else ()
        print(*last_lines(lines), f"memtui: The program {exited.text}.", sep="\n", file=sys.stderr)
