"""A soak test under way: the session, its judge, the progress, and what is printed and written in the end."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from memtui.analysis.growth import rss_growth
from memtui.analysis.soak import SoakJudge, SoakPlan
from memtui.cli.headless import ended_well, with_native
from memtui.cli.output import last_lines
from memtui.cli.progress import ProgressLine
from memtui.cli.signals import orderly_end
from memtui.errors import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_OK, EXIT_TARGET_DIED, WriteError
from memtui.model.state import State
from memtui.model.units import format_bytes, format_seconds
from memtui.paths import writable_directory
from memtui.report.junit import junit_of
from memtui.report.markdown import markdown_of
from memtui.report.soak import SoakReport, soak_as_text, soak_report
from memtui.report.write import render, write_file
from memtui.session.live import LiveOptions, LiveSession
from memtui.session.pictures import default_name, save_picture
from memtui.session.recording.kept import kept_recorder
from memtui.session.recording.recorder import Recorder
from memtui.session.watching import HeadlessWatch, Watched, WatchPlan

_LAST_PICTURE_SECONDS = 60.0
_LEAST_SECONDS_A_LINE = 10.0
_LINES = 20
_COLLECTIONS = 20
_COLLECT_SECONDS = 60.0
_LONG_SECONDS = 600.0
"""A soak of this length is judged by its curve, and pictures of the heap are taken while that grows."""


def soak(args: argparse.Namespace, plan: SoakPlan, options: LiveOptions) -> int:
    """Watch, judge, print and write; the exit code. Raises MemtuiError when the target cannot be watched."""
    recorder = _recorder(args, options)
    session = LiveSession(options, recorder)
    line = ProgressLine(quiet=args.quiet)
    run = _Run(args, plan, session, line, recorder)
    try:
        with orderly_end(session.close), _told_of_interruptions(run.interrupt):
            session.start()
            run.watch()
            line.end()
            session.close()
            run.finish()
    finally:
        line.end()
        session.close()
    return run.exit_code


def _recorder(args: argparse.Namespace, options: LiveOptions) -> Recorder | None:
    """Raises WriteError for a file that the user named; without one, a soak that cannot be recorded goes on."""
    if args.no_record:
        return None
    if args.record is not None:
        return Recorder(args.record)
    pid = options.workload.pid if options.workload is not None else options.pid
    assert pid is not None
    try:
        return kept_recorder("soak", pid)
    except WriteError as error:
        print(f"memtui: {error}", file=sys.stderr)
        return None


class _Run:
    """One soak test."""

    def __init__(
        self,
        args: argparse.Namespace,
        plan: SoakPlan,
        session: LiveSession,
        line: ProgressLine,
        recorder: Recorder | None,
    ) -> None:
        self._args, self._plan, self._session, self._recorder = args, plan, session, recorder
        self._progress = SoakProgress(plan.seconds, line, lambda: session.state)
        self._line = line
        self._interrupted = False
        self._aborted = False
        self._snapshot: Path | None = None
        self._snapshot_obstacle = ""
        self._watch: HeadlessWatch | None = None
        self._watched: Watched | None = None
        self.exit_code = EXIT_OK

    def interrupt(self) -> None:
        """In a signal handler: end it as soon as possible."""
        self._interrupted = True
        if self._watch is not None:
            self._watch.stop()

    def watch(self) -> None:
        """Until the time is over, a limit of RSS is passed, the target ends, or somebody interrupts."""
        plan, args = self._plan, self._args
        self._judge = SoakJudge(plan, self._session.state)
        watching = WatchPlan(
            plan.seconds,
            args.accept_stop,
            pictures=not args.observe_only,
            warm_up_seconds=plan.warm_up_seconds or 0.0,
            patient=True,
            wanted=None if plan.seconds < _LONG_SECONDS else lambda: not self._judge.is_calm,
            collect_seconds=_collect_seconds(plan) if args.gc_between else None,
            trace_frames=1 if args.trace else None,
        )
        watch = HeadlessWatch(self._session, watching, self._progress.tell)
        self._watch = watch
        if self._interrupted:
            watch.stop()
        end = self._session.subscribe(self._see)
        self._say_what_begins()
        watch.run()
        if self._aborted and not self._interrupted:
            self._keep_picture(watch)
        end()
        self._watched = watch.watched
        if not self._interrupted:
            self._watched = with_native(
                args, self._session, self._watched, self._line.tell, lambda: self._interrupted
            )

    def _see(self, state: State) -> None:
        """In the session's thread: each State."""
        if self._judge.see(state) and not self._aborted:
            self._aborted = True
            if self._watch is not None:
                self._watch.stop()

    def _say_what_begins(self) -> None:
        into = ""
        if self._recorder is not None:
            self._recorder.flush()  # what is said to be there is there
            into = f", recorded in {self._recorder.path}"
        if not self._args.quiet:
            target, seconds = self._session.state.target, format_seconds(self._plan.seconds)
            print(f"memtui: Soaking process {target.pid} for {seconds}{into}", file=sys.stderr, flush=True)

    def _keep_picture(self, watch: HeadlessWatch) -> None:
        """The limit of RSS is passed: what is in the heap now, kept in a file beside the report."""
        if self._args.observe_only or self._session.state.ending is not None:
            return
        self._line.tell("the limit of RSS is passed: taking a last heap picture", 1.0)
        source = watch.last_picture(_LAST_PICTURE_SECONDS)
        if source is None:
            self._snapshot_obstacle = watch.watched.obstacle or "it took too long"
            return
        report = self._args.report
        folder = writable_directory() if report is None else report.expanduser().absolute().parent
        try:
            self._snapshot = save_picture(source, folder, default_name(self._session.state.target.pid, time.time()))
        except WriteError as error:
            self._snapshot_obstacle = str(error)

    def finish(self) -> None:
        """Judge, print, and write what was asked for. Raises WriteError, after everything else was written."""
        soaked = self._result()
        self.exit_code = soaked.exit_code
        report = render(soak_report(soaked))
        failed = self._write(soaked, report)  # first: whoever reads stdout may have gone
        if self._args.json:
            sys.stdout.write(report.decode("utf-8"))
        else:
            print("\n".join(soak_as_text(soaked)))
        sys.stdout.flush()
        self._say_the_end(soaked)
        if failed is not None:
            raise failed

    def _result(self) -> SoakReport:
        assert self._watched is not None
        state = self._watched.state
        result = self._judge.result(state)
        outcome, code = "passed", EXIT_OK
        if self._interrupted:
            outcome, code = "interrupted", EXIT_INTERRUPTED
        elif state.ending is not None and not ended_well(state):
            outcome, code = "died", EXIT_TARGET_DIED
        elif result.broken:
            outcome, code = "failed", EXIT_BROKEN
        return SoakReport(
            state,
            result,
            outcome,
            code,
            obstacle=self._watched.obstacle if state.evidence is None else "",
            recording=None if self._recorder is None else str(self._recorder.path),
            snapshot=None if self._snapshot is None else str(self._snapshot),
        )

    def _say_the_end(self, soaked: SoakReport) -> None:
        state = soaked.state
        if self._recorder is not None and self._recorder.error is not None:
            print(f"memtui: {self._recorder.error}", file=sys.stderr)
        if self._snapshot_obstacle:
            print(f"memtui: No heap picture of the end: {self._snapshot_obstacle}", file=sys.stderr)
        if soaked.outcome == "died" and state.output is not None:
            print(*last_lines(state.output.lines), sep="\n", file=sys.stderr)

    def _write(self, soaked: SoakReport, report: bytes) -> WriteError | None:
        failed: WriteError | None = None
        wanted: tuple[tuple[Path | None, Callable[[], bytes]], ...] = (
            (self._args.report, lambda: report),
            (self._args.junit, lambda: junit_of(soaked)),
            (self._args.markdown, lambda: markdown_of(soaked)),
        )
        for path, content in wanted:
            if path is None:
                continue
            try:
                print(f"memtui: Written: {write_file(path, content())}", file=sys.stderr)
            except WriteError as error:
                failed = failed or error
        return failed


class SoakProgress:
    """Time left, RSS and rate: in one line on a terminal, else in some twenty lines in all."""

    def __init__(self, seconds: float, line: ProgressLine, state: Callable[[], State]) -> None:
        self._seconds, self._line, self._state = seconds, line, state
        self._every_seconds = 1.0 if line.changes else max(_LEAST_SECONDS_A_LINE, seconds / _LINES)
        self._due = 0.0

    def tell(self, what: str, fraction: float) -> None:
        """``what`` is being done, and this part (0 to 1) of the soak is over."""
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + self._every_seconds
        state = self._state()
        growth = rss_growth(state)
        rate = "" if growth.bytes_per_second is None else f", {_per_minute(growth.bytes_per_second)}"
        rss = format_bytes(state.series.last.rss_bytes if state.series.last else None)
        left = format_seconds((1 - fraction) * self._seconds) if fraction < 1 else "0 s"
        doing = "" if what == "watching" else f" · {what}"
        self._line.tell(f"{left} left · RSS {rss}{rate}{doing}", fraction)


def _per_minute(bytes_per_second: float) -> str:
    return f"{format_bytes(60 * bytes_per_second, sign=True)}/min"


def _collect_seconds(plan: SoakPlan) -> float:
    return max(plan.interval_seconds, min(_COLLECT_SECONDS, plan.seconds / _COLLECTIONS))


@contextmanager
def _told_of_interruptions(tell: Callable[[], None]) -> Iterator[None]:
    """Within it Ctrl-C calls ``tell``, and raises nothing: an impatient second one must not cost the report.

    Also where SIGINT is ignored, as in a job that a script started with ``&``: SIGTERM comes the same way.
    """
    try:
        before = signal.signal(signal.SIGINT, lambda _number, _frame: tell())
    except ValueError:  # not the main thread: no signal comes here
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
