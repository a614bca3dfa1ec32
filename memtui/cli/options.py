"""Options that the commands with a dashboard share."""

from __future__ import annotations

import argparse
from pathlib import Path

from memtui.cli.alerts import add_alert_options
from memtui.cli.auto import add_auto_options, check_auto
from memtui.errors import UsageError
from memtui.model.units import parse_duration, parse_size

_INTERVAL_SECONDS = (0.1, 60.0)
_NATIVE_SECONDS = (1.0, 3600.0)
_MOST_FRAMES = 65535


def add_dashboard_options(parser: argparse.ArgumentParser) -> None:
    """``--trace``, ``--interval``, ``--observe-only``, ``--report``, ``--theme``; alerts and clean-ups."""
    parser.add_argument(
        "--trace",
        metavar="FRAMES",
        nargs="?",
        type=_number,
        const=1,
        help="start tracing allocations at once, with FRAMES frames each (default 1); slows the process down",
    )
    parser.add_argument(
        "--observe-only", action="store_true", help="only look from outside: never put the agent into the process"
    )
    parser.add_argument(
        "--interval", metavar="TIME", type=interval, help="time between two looks, such as 1s (the default) or 250ms"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="write a JSON report to FILE at the end")
    parser.add_argument("--theme", metavar="NAME", help="colours: memtui-dark, memtui-light, ... or one of your own")
    add_alert_options(parser)
    add_auto_options(parser)


def check_options(args: argparse.Namespace, *, agent: bool = False) -> None:
    """Raise UsageError for options that contradict each other, and for more frames than tracemalloc takes."""
    if args.trace is not None and not 1 <= args.trace <= _MOST_FRAMES:
        raise UsageError(
            f"--trace {args.trace} is not possible.",
            why=f"A number of frames is between 1 and {_MOST_FRAMES}.",
            next_step="Five tell most stories; each one costs.",
        )
    check_auto(args)
    if args.observe_only and (agent or args.trace is not None):
        other = "--agent" if agent else "--trace"
        raise UsageError(
            f"--observe-only and {other} contradict each other.",
            why=f"{other} puts the agent into the process.",
            next_step="Leave one of them out.",
        )


def interval(text: str) -> float:
    """Seconds between two looks."""
    seconds = duration(text)
    low, high = _INTERVAL_SECONDS
    if not low <= seconds <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not between {low * 1000:.0f}ms and {high:.0f}s")
    return seconds


def duration(text: str) -> float:
    """Seconds from ``90s`` or ``250ms``."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def native_window(text: str) -> float:
    """How long memray may record, for ``type=`` of an argument."""
    seconds = duration(text)
    low, high = _NATIVE_SECONDS
    if not low <= seconds <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not between {low:.0f}s and {high / 60:.0f}m")
    return seconds


def size(text: str) -> int:
    """Bytes from ``512MB`` or ``1.5GiB``."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def percent(text: str) -> float:
    """``5``, ``7.5`` or ``7.5%``."""
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage such as 5 or 7.5%")
    return value


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of frames")
    return int(text)


def process_id(text: str) -> int:
    """A process id."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"{text!r} is not a process id (find it with: memtui ps)")
    return int(text)


def given_process_id(text: str) -> int:
    """A process id among words that argparse does not look at. Raises UsageError."""
    try:
        return process_id(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
