"""Options about clean-ups that memtui makes by itself, and the attendants of a session that follow from options."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.alerts import alert_desk
from memtui.errors import UsageError
from memtui.model.units import parse_duration

if TYPE_CHECKING:
    from memtui.session.interface import Attendant

COOLDOWN_OPTION = "--cooldown"


def add_auto_options(parser: argparse.ArgumentParser) -> None:
    """``--auto`` and ``--cooldown``."""
    group = parser.add_argument_group("clean-ups")
    group.add_argument(
        "--auto",
        action="store_true",
        help="clean up while an alert stands (puts the agent in): a collection at warning, all that memtui cleanup "
        "does at critical",
    )
    add_cooldown_option(group)


def add_cooldown_option(group: argparse._ActionsContainer) -> None:
    """``--cooldown``."""
    about = "least time between two clean-ups of a process (default: 5m, or what memtui configure says)"
    group.add_argument(COOLDOWN_OPTION, metavar="TIME", type=_duration, help=about)


def cooldown_seconds(args: argparse.Namespace) -> float:
    """The cooldown in force: the option, else what is configured."""
    from memtui.config import load

    if args.cooldown is not None:
        return float(args.cooldown)
    return load().number("cleanup.cooldown_seconds") or 0.0


def check_auto(args: argparse.Namespace) -> None:
    """Raise UsageError where ``--auto`` contradicts ``--observe-only``."""
    if args.auto and args.observe_only:
        raise UsageError(
            "--observe-only and --auto contradict each other.",
            why="A clean-up puts the agent into the process.",
            next_step="Leave one of them out.",
        )


def attendants(
    args: argparse.Namespace, *, report: Path | None = None, dashboard: bool = False
) -> tuple[Attendant, ...]:
    """What sees each look of a session: the alerts, and with ``--auto`` what cleans up because of them."""
    desk = alert_desk(args, report=report, dashboard=dashboard)
    if not getattr(args, "auto", False):
        return (desk,)
    from memtui.session.auto_cleanup import AutoCleanup

    return desk, AutoCleanup(cooldown_seconds(args))


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
