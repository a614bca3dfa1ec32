"""``memtui attach PID``: the dashboard on a running process."""

from __future__ import annotations

import argparse

from memtui.cli.auto import attendants
from memtui.cli.options import add_dashboard_options, check_options, given_process_id, process_id
from memtui.errors import EXIT_OK, EXIT_TARGET_DIED, UsageError

HELP = "the dashboard on a running process"

_ABOUT = """\
Opens the dashboard on a running Python process, which needs nothing installed in it. memtui begins by looking from
outside. Keys that need more (t, s, g) put a small agent in; q takes it out again and leaves the process running.
"""
_EXAMPLES = """\
examples:
  memtui attach 4242                          look, and decide with the keys what else to do
  memtui attach 4242 --observe-only           only look: nothing is ever put into the process
  memtui attach 4242 --trace 5                trace allocations at once, with 5 frames each
  memtui attach 4242 --via gdb                when memtui itself cannot get in
  memtui attach $(pgrep -n -f app.py) --report app.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = "memtui attach [options] PID"
    parser.add_argument("pid", metavar="PID", type=process_id, nargs="?", help="the process")
    parser.add_argument("--agent", action="store_true", help="put the agent in at once, not when a key needs it")
    parser.add_argument(
        "--via",
        choices=("auto", "ptrace", "gdb", "remote-exec"),
        default="auto",
        help="how the agent gets in: auto (the default) asks Python 3.14 and newer by remote-exec, then borrows a "
        "thread by ptrace; gdb is for what ptrace refuses, it stops the process for 0.1 to 1 s or longer and waits "
        "until one of its threads is about to release the GIL",
    )
    parser.add_argument(
        "--experimental",
        action="store_true",
        help="allow ptrace on a processor on which it was never tried (aarch64)",
    )
    add_dashboard_options(parser)


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Arguments of this command. In ``--trace 4242`` the number is the process, as it is the only one."""
    args = parser.parse_args(arguments)
    if args.pid is None and "--trace" in arguments and arguments[-1] != "--trace":
        args.pid, args.trace = given_process_id(str(args.trace)), 1
    if args.pid is None:
        parser.error("the PID of a process is missing")
    check_options(args, agent=args.agent)
    if args.observe_only and args.via != "auto":
        raise UsageError(
            f"--observe-only and --via {args.via} contradict each other.",
            why="--via says how the agent gets into the process.",
            next_step="Leave one of them out.",
        )
    return args


def run(args: argparse.Namespace) -> int:
    """Show the dashboard. Raises MemtuiError when there is no terminal, or nothing to attach to."""
    from memtui.cli.dashboard import View, check_report_path, watch
    from memtui.cli.terminal import check_terminal
    from memtui.observe.eligibility import check_observable

    check_observable(args.pid)
    check_terminal(f"memtui profile {args.pid} --json")
    check_report_path(args.report)
    view = View(
        theme=args.theme,
        interval_seconds=args.interval,
        report=args.report,
        observe_only=args.observe_only,
        agent_at_once=args.agent,
        trace_frames=args.trace,
        via=args.via,
        experimental=args.experimental,
        attendants=attendants(args, report=args.report, dashboard=True),
    )
    state, code = watch(view, pid=args.pid)
    return EXIT_TARGET_DIED if code == EXIT_OK and state.ending is not None else code
