"""Options about thresholds and alerts, shared by all commands that watch a process, and what is made of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.model.alert import LEVELS, METRICS, Level, Threshold, parse_rule, threshold

if TYPE_CHECKING:
    from memtui.config import Configuration
    from memtui.session.alerting.courier import Send
    from memtui.session.alerting.desk import AlertDesk
    from memtui.session.interface import Attendant

ALERT_OPTIONS = ("--warn", "--warning", "--critical", "--on-alert", "--webhook", "--snapshot-on")
"""The options that take a value, for commands that cut their command line up themselves."""

_RULES = """\
A RULE is a figure and its threshold, such as rss=512MB, uss=400MB, growth=5MB/min, limit=80% (of the cgroup's limit),
time_to_limit=10m (less is left), gc_pause=200ms (needs the agent), processes=8; limit=off takes a default away. One
crossing is one alert: it is in the event log, in the report, and goes to COMMAND and URL. Defaults of all these are
set by memtui configure (warning.rss, critical.growth, alerts.webhook, ...).\
"""
_NAMES: dict[Level, tuple[str, ...]] = {"warning": ("--warn", "--warning"), "critical": ("--critical",)}


def add_threshold_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """``--warn`` and ``--critical``."""
    group = parser.add_argument_group("thresholds and alerts", _RULES)
    for level, names in _NAMES.items():
        about = f"{level} at this threshold"
        group.add_argument(*names, metavar="RULE", type=_rule(level), action="append", default=[], help=about)
    return group


def add_alert_options(parser: argparse.ArgumentParser, *, snapshots: bool = True) -> None:
    """``--warn``, ``--critical``, ``--on-alert``, ``--webhook`` and (``snapshots``) ``--snapshot-on``."""
    group = add_threshold_options(parser)
    group.add_argument(
        "--on-alert",
        metavar="COMMAND",
        help="run COMMAND by the shell at each alert, with the alert as JSON on its stdin",
    )
    group.add_argument("--webhook", metavar="URL", help="post each alert to URL as JSON")
    if not snapshots:
        return
    group.add_argument(
        "--snapshot-on",
        choices=LEVELS,
        help="take a heap picture at the first alert from this level on, and keep it beside the report (or here): "
        "stops the process for 30 to 50 ms a GB",
    )


def configured_thresholds(
    args: argparse.Namespace, configuration: Configuration
) -> tuple[list[Threshold], list[str]]:
    """Those in force, and what is wrong with the configured ones; an option wins over what is configured."""
    rules: list[Threshold] = []
    problems: list[str] = []
    for level in LEVELS:
        asked = args.warn if level == "warning" else args.critical
        taken = {name for name, _ in asked}
        rules += [rule for _, rule in asked if rule is not None]
        for name in METRICS.keys() - taken:
            setting = configuration.settings[f"{level}.{name}"]
            if setting.value is None:
                continue
            written = setting.value if setting.written is None else setting.written
            try:
                rules.append(threshold(level, name, written))
            except ValueError as error:
                problems.append(f"Configuration {setting.origin}: {level}.{name}: {error}")
    order = list(METRICS)
    return sorted(rules, key=lambda one: (order.index(one.metric), LEVELS.index(one.level))), problems


def alert_desk(
    args: argparse.Namespace,
    *,
    report: Path | None = None,
    dashboard: bool = False,
    patience_seconds: float | None = None,
) -> AlertDesk:
    """What watches the thresholds of a session; for :class:`memtui.session.live.LiveOptions` (``attendants``).

    A heap picture of the first alert goes beside ``report``. What is wrong with the configuration is said on stderr,
    unless a ``dashboard`` shows it. ``patience_seconds``: how long its end waits for deliveries; None: a moment.
    Raises UsageError for a URL that is none.
    """
    from memtui.analysis.alerts import AlertWatch
    from memtui.config import load
    from memtui.paths import writable_directory
    from memtui.report.alerts import alert_as_json
    from memtui.session.alerting.desk import LAST_SECONDS, AlertDesk, AlertPlan

    configuration = load()
    rules, problems = configured_thresholds(args, configuration)
    senders = _senders(args, configuration)
    if not dashboard:  # which shows the problems of the file itself, and these in its event log
        complain((*configuration.problems, *problems))
    return AlertDesk(
        AlertPlan(
            look=AlertWatch(rules).look,
            describe=alert_as_json,
            senders=senders,
            problems=tuple(problems) if dashboard else (),
            snapshot_on=_snapshot_on(args, configuration),
            folder=report.expanduser().absolute().parent if report is not None else writable_directory(),
            patience_seconds=LAST_SECONDS if patience_seconds is None else patience_seconds,
        )
    )


def _snapshot_on(args: argparse.Namespace, configuration: Configuration) -> str | None:
    """None for a command that takes no pictures."""
    if not hasattr(args, "snapshot_on"):
        return None
    return args.snapshot_on or configuration.text("alerts.snapshot_on")


def complain(problems: Iterable[str]) -> None:
    """Say what is wrong with the configuration, or was not delivered; it is never a reason not to go on."""
    for problem in problems:
        print(f"memtui: {problem}", file=sys.stderr)


def complain_of(attendants: Iterable[Attendant]) -> None:
    """Say which alerts of a session were not delivered, and why."""
    from memtui.session.alerting.desk import AlertDesk

    for one in attendants:
        if isinstance(one, AlertDesk):
            complain(one.problems)


def _senders(args: argparse.Namespace, configuration: Configuration) -> tuple[tuple[str, Send], ...]:
    from memtui.session.alerting.command import AlertCommand
    from memtui.session.alerting.webhook import Webhook, check_url

    senders: list[tuple[str, Send]] = []
    command = configuration.text("alerts.on_alert") if args.on_alert is None else args.on_alert
    if command:
        senders.append(("command", AlertCommand(command, configuration.number("alerts.command_seconds") or 0.0)))
    url = configuration.text("alerts.webhook") if args.webhook is None else args.webhook
    if url:
        check_url(url)
        senders.append(("webhook", Webhook(url, configuration.number("alerts.webhook_seconds") or 1.0)))
    return tuple(senders)


def _rule(level: Level) -> Callable[[str], tuple[str, Threshold | None]]:
    def parse(text: str) -> tuple[str, Threshold | None]:
        try:
            return parse_rule(level, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse
