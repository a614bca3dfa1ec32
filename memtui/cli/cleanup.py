"""``memtui cleanup PID``: frees what can be freed in a running process, and says what each step did."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from memtui.cli.auto import add_cooldown_option, cooldown_seconds
from memtui.cli.options import process_id
from memtui.cli.progress import ProgressLine
from memtui.errors import EXIT_BROKEN, EXIT_OK, RefusedError, TargetDiedError, TargetError
from memtui.model.units import format_seconds

if TYPE_CHECKING:
    from memtui.model.cleanup import CleanupOutcome
    from memtui.model.state import State
    from memtui.session.cooldown import Cooldown
    from memtui.session.live import LiveSession

HELP = "free memory in a process: its clean-up hooks, a full collection, malloc_trim"
_ABOUT = """\
Frees what can be freed in a running Python process, and says what each step freed. Puts the agent in for that, and
takes it out again. The steps:
  hooks        what the program registered with memtui.register_cleanup; they run in a thread of memtui's inside the
               process, beside its own threads; one that takes longer than 30 s is not waited for, and goes on
  collection   gc.collect(): the program stands still for it; Python's own free lists are emptied by it, too
  malloc_trim  where the C library is glibc: free memory goes back to the system, some 0.5 ms for each MB; meanwhile
               threads that need C memory wait
"""
_EXAMPLES = """\
examples:
  memtui cleanup 4242                   everything, at most once in five minutes
  memtui cleanup 4242 --force           now, whenever the last time was
  memtui cleanup 4242 --level warning   a collection, and the hooks that were registered for warnings
  memtui cleanup 4242 --json | jq .freed_rss_bytes

In the program: memtui.register_cleanup(cache.clear, name="the cache")

exit codes: 0 done; 1 a step failed (which one, and why, is printed); 2 wrong usage; 3 the process cannot be attached
to, or was cleaned up too short a time ago; 4 it ended meanwhile; 130 interrupted.
"""
_POLL_SECONDS = 0.02
_LOST_SECONDS = 3.0
"""When the agent was lost, so long may pass until the session's next look tells whether the process has ended."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = "memtui cleanup [options] PID"
    parser.add_argument("pid", metavar="PID", type=process_id, help="the process")
    parser.add_argument("--force", action="store_true", help="also before the cooldown is over")
    parser.add_argument(
        "--level",
        choices=("warning", "critical"),
        default="critical",
        help="how much (default: critical: all of it)",
    )
    add_cooldown_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def run(args: argparse.Namespace) -> int:
    """Clean up, print, and return the exit code. Raises MemtuiError when it cannot be done."""
    from memtui.cli.alerts import complain
    from memtui.config import load
    from memtui.observe.eligibility import check_attachable
    from memtui.report.cleanup import cleanup_as_json, cleanup_as_text
    from memtui.session.cooldown import Cooldown

    complain(load().problems)
    check_attachable(args.pid)
    cooldown = Cooldown(args.pid, cooldown_seconds(args))
    _check_cooldown(args, cooldown)
    if not cooldown.claim():
        print("memtui: The time of this clean-up cannot be written down: no cooldown.", file=sys.stderr)
    try:
        state, outcome = _clean_up(args)
    except BaseException:
        cooldown.give_back()
        raise
    if args.json:
        print(json.dumps(cleanup_as_json(outcome, state.target), indent=2))
    else:
        print("\n".join(cleanup_as_text(outcome, state.target)))
    return EXIT_BROKEN if outcome.failed else EXIT_OK


def _check_cooldown(args: argparse.Namespace, cooldown: Cooldown) -> None:
    left = cooldown.remaining_seconds()
    if left and not args.force:
        raise RefusedError(
            f"Process {args.pid} was cleaned up {format_seconds(cooldown.seconds - left)} ago.",
            why=f"The cooldown lasts for another {format_seconds(left)}.",
            next_step=f"To do it now: memtui cleanup {args.pid} --force",
        )


def _clean_up(args: argparse.Namespace) -> tuple[State, CleanupOutcome]:
    from memtui.cli.signals import orderly_end
    from memtui.model.command import Cleanup
    from memtui.session.live import LiveOptions, LiveSession

    line = ProgressLine(quiet=args.json)
    session = LiveSession(LiveOptions(pid=args.pid))
    try:
        with orderly_end(session.close):
            session.start()
            session.request(Cleanup(args.level))
            return _await(session, line)
    finally:
        line.end()
        session.close()


def _await(session: LiveSession, line: ProgressLine) -> tuple[State, CleanupOutcome]:
    """The State in which it is done. Raises TargetDiedError, or TargetError with what was in the way."""
    from memtui.model.state import EventKind
    from memtui.session.cleaning import AGENT_LOST

    end = float("inf")
    while True:
        state = session.state
        if state.ending is not None:
            raise TargetDiedError(f"{state.ending.text}.")
        if state.cleanups:
            outcome = state.cleanups[-1]
            if outcome.steps[-1].error != AGENT_LOST or time.monotonic() > end:
                return state, outcome
            end = min(end, time.monotonic() + _LOST_SECONDS)
        failed = [one.text for one in state.events if one.kind is EventKind.ERROR]
        if failed:
            raise TargetError(failed[-1])
        line.tell(state.busy[0] if state.busy else "attaching", 0.0)
        time.sleep(_POLL_SECONDS)
