"""``memtui soak``: watches a program for an hour or a night, and fails when its memory grows."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.auto import add_auto_options, check_auto
from memtui.cli.headless import TARGETS, add_watch_options, parse_watch
from memtui.cli.options import duration, interval, percent, size
from memtui.errors import UsageError

if TYPE_CHECKING:
    from memtui.analysis.soak import SoakPlan

HELP = "soak test for CI: watch for an hour, fail on a leak or a broken limit"
_ABOUT = """\
Watches a running Python process, or starts a program, for a long time, with a few pictures of its heap on the way
(each stops the process for some milliseconds; nothing is put into it; a soak of ten minutes and more takes them only
while memory grows). Progress goes to stderr, the verdict to stdout. A program that comes to its end by itself
with code 0 is judged by what was seen of it.
"""
_EXAMPLES = """\
examples:
  memtui soak --demo --quick                     five minutes of a program that leaks: exit code 1
  memtui soak 4242 --for 8h --max-growth 50MB    a running process, over night
  memtui soak --for 30m --max-rss 512MB --junit soak.xml --report soak.json app.py --port 80
  memtui soak --quick --baseline last.json -m app   fails when it grows faster than it did then
  memtui soak --rule thirds --least 20MB -- ./serve.sh

rules: bic, the default, weighs growth without end against everything bounded (a warm-up, a cache that fills), over
several windows, together with who holds what grew in the heap pictures. ols calls a rise of the means of --periods
periods by more than --least and --least-percent a leak, thirds one of the last tenth of the looks over the first.
--max-growth compares the medians of the last three looks and of the first three after the warm-up.
--baseline fails when the growth rate exceeds the earlier one by more than three standard errors of the difference,
and by more than 3 MiB and 0.6 % of the memory over the time of the soak.

The soak is recorded as it goes; the first line names the file, which memtui open plays and memtui report prints,
also when memtui was killed.

exit codes: 0 passed, also when it is inconclusive; 1 a limit broken, or a verdict of suspect or leak (--fail-on);
2 wrong usage; 3 the process cannot be observed or the program not started; 4 it died, or ended with another code
than 0; 130 interrupted. Reports are written in each of these cases but 2 and 3.
"""
_SECONDS, _QUICK_SECONDS = 3600.0, 300.0
_INTERVAL_SECONDS, _QUICK_INTERVAL_SECONDS = 1.0, 15.0
_SHORTEST_SECONDS = 5.0
_LEAST_LOOKS = 20
_GUARD_SECONDS = 1.0
"""With a limit of RSS it is looked at so often at least: an abort is to come before the machine is out of memory."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = f"memtui soak [options] {TARGETS} | --demo"
    parser.add_argument("--for", dest="seconds", metavar="TIME", type=duration, help="how long (default: 1h)")
    parser.add_argument(
        "--interval", metavar="TIME", type=interval, help="between two looks (default: 1s, less if short)"
    )
    parser.add_argument("--quick", action="store_true", help="5 minutes with a look every 15 s")
    parser.add_argument("--demo", action="store_true", help="soak the bundled program that leaks")
    _add_limits(parser)
    _add_rules(parser)
    _add_outputs(parser)
    parser.add_argument(
        "--gc-between", action="store_true", help="force full collections on the way: puts the agent into the process"
    )
    parser.add_argument("--observe-only", action="store_true", help="no heap pictures: only look from outside")
    add_auto_options(parser)
    add_watch_options(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-growth", metavar="SIZE", type=size, help="of RSS after the warm-up, such as 50MB")
    limits.add_argument("--max-growth-percent", metavar="PERCENT", type=percent, help="the same in percent")
    limits.add_argument(
        "--max-rss", metavar="SIZE", type=size, help="abort at once when RSS is larger; a heap picture is kept"
    )
    limits.add_argument("--baseline", metavar="FILE", type=Path, help="fail when it grows faster than in this report")
    limits.add_argument(
        "--warmup", metavar="TIME", type=duration, help="what is not judged (default: a sixth, 5m at most, by age)"
    )


def _add_rules(parser: argparse.ArgumentParser) -> None:
    rules = parser.add_argument_group("verdict")
    rules.add_argument("--rule", choices=("bic", "ols", "thirds"), default="bic", help="see below (default: bic)")
    rules.add_argument("--periods", metavar="N", type=int, default=6, help="of the rule ols (default: 6)")
    rules.add_argument("--period", metavar="TIME", type=duration, help="length of one (default: 1m, less if short)")
    rules.add_argument("--least", metavar="SIZE", type=size, default=50_000_000, help="of ols and thirds: 50MB")
    rules.add_argument("--least-percent", metavar="PERCENT", type=percent, default=5.0, help="of ols: 5")
    rules.add_argument(
        "--fail-on",
        choices=("leak", "suspect", "growing", "never"),
        default="suspect",
        help="the least alarming verdict that fails (default: suspect, growth with a named holder)",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    files = parser.add_argument_group("output")
    files.add_argument("--report", metavar="FILE", type=Path, help="write the whole report as JSON")
    files.add_argument("--junit", metavar="FILE", type=Path, help="write JUnit XML, a test case for each check")
    files.add_argument("--markdown", metavar="FILE", type=Path, help="write a summary for a CI job")
    recording = files.add_mutually_exclusive_group()
    recording.add_argument(
        "--record", metavar="FILE", type=Path, help="where it is recorded (default: in the state directory, 20 kept)"
    )
    recording.add_argument("--no-record", action="store_true", help="record nothing")
    files.add_argument("--json", action="store_true", help="print the report as JSON instead of text")
    files.add_argument("--output", metavar="FILE", type=Path, help="write what the program prints to FILE")
    files.add_argument("--quiet", action="store_true", help="no progress")


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Options by argparse, the target by hand. Raises UsageError."""
    args = parse_watch(parser, arguments, "soak")
    if args.seconds is None:
        args.seconds = _QUICK_SECONDS if args.quick else _SECONDS
    if args.interval is None:
        args.interval = min(_QUICK_INTERVAL_SECONDS if args.quick else _INTERVAL_SECONDS, args.seconds / _LEAST_LOOKS)
    if args.seconds < _SHORTEST_SECONDS:
        raise UsageError(f"--for must be at least {_SHORTEST_SECONDS:.0f}s.", why="Less shows nothing but noise.")
    if args.max_rss is not None:
        args.interval = min(args.interval, _GUARD_SECONDS)
    if args.interval > args.seconds / 2:
        raise UsageError("--interval must be at most half of --for.", why="A soak test needs looks to compare.")
    if args.warmup is not None and args.warmup >= args.seconds:
        raise UsageError("--warmup must be shorter than --for.", why="Nothing would be judged.")
    if args.periods < 1:
        raise UsageError("--periods must be at least 1.")
    if args.output is not None and args.pid is not None:
        raise UsageError("--output goes with a program that memtui starts.", next_step="Leave it out.")
    check_auto(args)
    if args.observe_only and (args.gc_between or args.trace or args.native):
        raise UsageError(
            "--observe-only contradicts --gc-between, --trace and --native.", why="They put the agent in."
        )
    return args


def run(args: argparse.Namespace) -> int:
    """Soak, print, write, and return the exit code. Raises MemtuiError when there is nothing to watch."""
    from memtui.cli.dashboard import check_report_path
    from memtui.cli.headless import watch_target
    from memtui.cli.soaking import soak

    for path in (args.report, args.junit, args.markdown):
        check_report_path(path)
    plan = _plan(args)
    with watch_target(args, output=args.output, observe_only=args.observe_only, beside=args.report) as options:
        return soak(args, plan, options)


def _plan(args: argparse.Namespace) -> SoakPlan:
    from memtui.analysis.soak import SoakPlan
    from memtui.report.baseline import read_baseline
    from memtui.session.expected import load_expected

    plan = SoakPlan(
        seconds=args.seconds,
        interval_seconds=args.interval,
        max_growth_bytes=args.max_growth,
        max_growth_percent=args.max_growth_percent,
        max_rss_bytes=args.max_rss,
        warm_up_seconds=args.warmup,
        rule=args.rule,
        fail_on=args.fail_on,
        periods=args.periods,
        period_seconds=args.period,
        least_bytes=args.least,
        least_percent=args.least_percent,
        expected=frozenset(load_expected()),
    )
    if args.baseline is None:
        return plan
    return replace(plan, has_baseline=True, baseline=read_baseline(args.baseline))
