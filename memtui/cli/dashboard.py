"""Putting session, dashboard and report together, and taking them apart again whatever happens."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.signals import orderly_end
from memtui.cli.terminal import take_terminal
from memtui.errors import EXIT_INTERRUPTED, WriteError
from memtui.session.live import LiveOptions, LiveSession

if TYPE_CHECKING:
    from memtui.attach.ways import Via
    from memtui.model.state import State
    from memtui.session.interface import Attendant
    from memtui.session.workload import Workload
    from memtui.tui.settings import Settings


@dataclass(frozen=True, slots=True)
class View:
    """How the user wants to look. ``interval_seconds``: None for the configured one; ``report``: file to write."""

    theme: str | None = None
    interval_seconds: float | None = None
    report: Path | None = None
    observe_only: bool = False
    agent_at_once: bool = False
    trace_frames: int | None = None
    workload_stdin: bool = False
    via: Via = "auto"
    experimental: bool = False
    attendants: tuple[Attendant, ...] = ()


def check_report_path(path: Path | None) -> None:
    """Raise WriteError when a report could not be written to ``path`` later."""
    if path is None:
        return
    folder = path.expanduser().parent
    if path.expanduser().is_dir():
        why = "It is a directory."
    elif not folder.is_dir():
        why = f"The directory {folder} does not exist."
    elif not os.access(folder, os.W_OK | os.X_OK):
        why = f"You may not write to the directory {folder}."
    else:
        return
    raise WriteError(f"A report cannot be written to {path}.", why=why, next_step="Name another file.")


def watch(
    view: View,
    *,
    pid: int | None = None,
    workload: Workload | None = None,
    end_target: Callable[[], None] = lambda: None,
) -> tuple[State, int]:
    """Show the dashboard until the user quits; returns the last State and 0, or 130 and the like when interrupted.

    When it returns or raises, the session is closed, ``end_target`` was called, and the report is written.
    Raises MemtuiError when the target cannot be watched (then no dashboard was shown) or the report not written.
    """
    with orderly_end(end_target) as caught:
        session = None
        try:
            settings = _settings(view)
            session = _start(view, settings, pid, workload)
            take_terminal()
            code = _show(session, settings)
        except KeyboardInterrupt:
            if session is None:
                raise
            code = EXIT_INTERRUPTED
        finally:
            try:
                if session is not None:
                    session.close()
            finally:
                end_target()
        if view.report is not None:
            write_state(session.state, view.report)
        return session.state, caught.exit_code if caught.number is not None else code


def write_state(state: State, path: Path) -> Path:
    """Write the report on ``state``; returns where it is. Raises WriteError."""
    from memtui.analysis.diagnosis.diagnose import diagnose
    from memtui.report.build import build_report
    from memtui.report.write import write_report
    from memtui.session.expected import load_expected

    return write_report(path, build_report(state, diagnose(state, expected=load_expected())))


def export(state: State) -> Path:
    """Write the report on ``state`` to a new file in the current directory; returns where it is."""
    from memtui.report.write import default_path

    return write_state(state, default_path(state))


def _settings(view: View) -> Settings:
    from memtui.tui.settings import load_settings

    return load_settings(view.theme, workload_stdin=view.workload_stdin)


def _start(view: View, settings: Settings, pid: int | None, workload: Workload | None) -> LiveSession:
    session = LiveSession(
        LiveOptions(
            pid=pid,
            workload=workload,
            interval_seconds=view.interval_seconds or settings.interval_seconds,
            observe_only=view.observe_only,
            agent_at_once=view.agent_at_once,
            trace_frames=view.trace_frames,
            via=view.via,
            experimental=view.experimental,
            attendants=view.attendants,
        )
    )
    session.start()
    return session


def _show(session: LiveSession, settings: Settings) -> int:
    from memtui.tui.app import run_dashboard

    return run_dashboard(session, settings, export)
