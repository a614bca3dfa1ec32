"""``memtui report FILE``: what a recording tells, as text, JSON, CSV or Markdown."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    from memtui.model.sample import Sample
    from memtui.report.recording import RecordingFacts
    from memtui.session.recording.player import Player
    from memtui.session.recording.reader import RecordingFile

HELP = "print a recording, or convert it to JSON, CSV or Markdown"
_ABOUT = """\
Reads a recording (memtui record, or the key r in the dashboard) and prints a summary: the verdict, suspects with
their holders where heap pictures were taken, and the events. --json is the report that the dashboard and memtui
diagnostics write; --csv has a line for each look; --markdown is for an issue or a pull request. A file that was cut
off is read up to the cut, and of a damaged one what is good; it says so.
"""
_EXAMPLES = """\
examples:
  memtui report night.memtui
  memtui report night.memtui --json | jq .verdict
  memtui report night.memtui -o night.csv          the format by the name: .json, .csv or .md
  memtui report night.memtui --at 2:30:00          as it was after two and a half hours

exit codes: 0; 2 wrong usage, or the file is no recording, or the result cannot be written.
"""
_FORMATS = {".json": "json", ".csv": "csv", ".md": "markdown"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.add_argument("file", metavar="FILE", type=Path, help="a recording")
    formats = parser.add_mutually_exclusive_group()
    for name in ("json", "csv", "markdown"):
        formats.add_argument(f"--{name}", dest="format", action="store_const", const=name, help=f"as {name}")
    parser.add_argument("--at", metavar="MOMENT", help="report on this moment: 50%%, 12:30, 90s (default: the end)")
    parser.add_argument("-o", dest="output", metavar="FILE", type=Path, help="write to FILE instead of stdout")


def run(args: argparse.Namespace) -> int:
    """Print or write it. Raises UsageError for what is no recording, WriteError."""
    from memtui.report.recording import condition
    from memtui.session.recording.player import Player

    file = _open(args.file)
    player = Player(file)
    facts = _facts(file, player, args.at)
    if wrong := condition(facts):
        print(f"memtui: {wrong}", file=sys.stderr)
    form = args.format or (_FORMATS.get(args.output.suffix.lower()) if args.output is not None else None)
    content = _content(form, facts, player)
    if args.output is None:
        for piece in content:
            sys.stdout.write(piece)
    else:
        from memtui.report.write import write_file

        written = write_file(args.output, "".join(content).encode("utf-8", "replace"))
        print(f"memtui: Written: {written}", file=sys.stderr)
    return EXIT_OK


def _open(path: Path) -> RecordingFile:
    from memtui.cli.open import is_recording
    from memtui.model.files import HEAD_BYTES, kind_of
    from memtui.session.recording.reader import RecordingFile

    if path.expanduser().is_file() and not is_recording(path):
        with path.expanduser().open("rb") as opened:
            if kind_of(opened.read(HEAD_BYTES)) == "heap picture":
                raise UsageError(
                    f"{path} is a heap picture, no recording.",
                    next_step=f"To look into it: memtui open {path}, to compare two: memtui diff A B",
                )
    return RecordingFile(path)


def _facts(file: RecordingFile, player: Player, at: str | None) -> RecordingFacts:
    from memtui.model.state import Playback
    from memtui.report.recording import RecordingFacts
    from memtui.session.moments import moment

    begin, end = file.begin_seconds, file.end_seconds
    try:
        seconds = end if at is None else moment(at, Playback(str(file.path), begin, end, begin, False, 1.0))
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    state = player.state_at(seconds)
    return RecordingFacts(
        str(file.path), file.size_bytes, file.memtui, begin, min(end, seconds), tuple(file.gaps), file.is_whole, state
    )


def _content(form: str | None, facts: RecordingFacts, player: Player) -> Iterator[str]:
    from memtui.analysis.diagnosis.diagnose import diagnose
    from memtui.report.build import build_report
    from memtui.report.recording import recording_as_markdown, recording_as_text, samples_as_csv
    from memtui.report.write import render
    from memtui.session.expected import load_expected

    if form == "csv":
        return samples_as_csv(facts.state.started_at, _samples(player, facts.end_seconds))
    diagnosis = diagnose(facts.state, expected=load_expected())
    if form == "json":
        return iter([render(build_report(facts.state, diagnosis)).decode("utf-8")])
    lines = (recording_as_markdown if form == "markdown" else recording_as_text)(facts, diagnosis)
    return (f"{line}\n" for line in lines)


def _samples(player: Player, end_seconds: float) -> Iterator[Sample]:
    """Every look up to a moment: a State keeps no more than some hundred of them."""
    last, seen = float("-inf"), None
    for message, state in player.states():
        if state.now_seconds > end_seconds:
            return
        if state.series is not seen:
            seen = state.series
            # The State that begins a chapter may know looks of which there is no message.
            for one in seen if message is None else seen.samples[-1:]:
                if one.at_seconds > last:
                    last = one.at_seconds
                    yield one
