"""``memtui native run``: starts a program under memray, ends it after its time, and says what was not freed."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from memtui.cli.native import add_recording_options, check_output, say, show
from memtui.cli.program import Kind, Program, command_line, split
from memtui.cli.progress import ProgressLine
from memtui.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError

if TYPE_CHECKING:
    from memtui.native.launching import LaunchedRecording
    from memtui.native.recording import Outcome

_ABOUT = """\
Starts a Python program under memray, from its first line on, and says what native code allocated and did not free.
The program is ended when the time is over. What it prints goes to stderr. memray must be installed for the
interpreter that runs it.
"""
_EXAMPLES = """\
examples:
  memtui native run --for 1m app.py --port 80             what follows the script is its own
  memtui native run -o x.bin -m http.server 8000
  memtui native run --python .venv/bin/python app.py
  memtui native run -- gunicorn app:app                   a command that is a Python script

exit codes: the program's own when it comes to its end by itself, 0 when memtui ended it after its time; 2 wrong
usage; 3 it cannot be started, or there is no memray; 130 interrupted (what is known is still printed).
"""
_SECONDS = 60.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.usage = "memtui native run [options] (SCRIPT [ARGS...] | -m MODULE [ARGS...] | -- COMMAND [ARGS...])"
    add_recording_options(parser, _SECONDS)
    parser.add_argument("--python", metavar="EXE", help="the interpreter for SCRIPT and MODULE (memtui's own)")


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Options by argparse; the program by hand, because argparse would take options out of its arguments."""
    options, program = split(arguments, ("--for", "-o", "--output", "--limit", "--python"), ())
    args = parser.parse_args(options)
    if program.kind is Kind.NONE:
        raise UsageError("There is nothing to run.", next_step="Name a script, or see: memtui native run --help")
    args.program = program
    return args


def run(args: argparse.Namespace) -> int:
    """Run the program, print, and return the exit code. Raises MemtuiError."""
    from memtui.native.launching import LaunchedRecording
    from memtui.native.reader import Recorded
    from memtui.native.recording import COST

    check_output(args.output)
    environment = dict(os.environ)
    interpreter, words = _python_of(args.program, args.python, environment)
    say(COST)
    with _place(args.output) as out:
        line = ProgressLine(quiet=args.json)
        launched = LaunchedRecording(interpreter, words, environment, out)
        outcome = _watch(launched, args.seconds, line)
        if outcome is not None and outcome.ended == "itself" and launched.exit_code:
            say(f"The program ended with exit code {launched.exit_code}.")
        ended = None if outcome is None else outcome.ended
        show(args, Recorded(out), ended, shlex.join((interpreter, *words)))
    if outcome is None:
        return EXIT_INTERRUPTED
    return launched.exit_code or EXIT_OK if outcome.ended == "itself" else EXIT_OK


def _watch(launched: LaunchedRecording, seconds: float, line: ProgressLine) -> Outcome | None:
    """How it ended; None when memtui was interrupted. The program has ended then."""
    from memtui.cli.signals import orderly_end

    with orderly_end(launched.end):
        try:
            return launched.wait(seconds, line.tell)
        except KeyboardInterrupt:
            return None
        finally:
            launched.end()
            line.end()


@contextmanager
def _place(output: Path | None) -> Iterator[Path]:
    """Where memray writes: the user's file, or one that is removed again."""
    if output is not None:
        yield output.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="memtui-native-") as folder:
        yield Path(folder) / "recording.bin"


def _python_of(program: Program, python: str | None, environment: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """The interpreter, and what follows it. Raises UsageError for a command that is no Python program."""
    argv = command_line(program, python, environment)
    if program.kind is not Kind.COMMAND:
        return argv[0], argv[1:]
    found = shutil.which(argv[0]) or argv[0]
    if os.path.basename(found).startswith("python"):
        return found, argv[1:]
    with open(found, "rb") as file:
        first = file.readline(512).decode("utf-8", "replace").split()
    if first and first[0].startswith("#!") and "python" in "".join(first):
        interpreter = first[0][2:] or first[1]
        named = interpreter if "python" in interpreter else shutil.which(first[-1])
        return named or sys.executable, (found, *argv[1:])
    raise UsageError(
        f"{argv[0]} is no Python program.",
        why="memray runs only Python scripts and modules.",
        next_step="Start it yourself, and record the process: memtui native PID",
    )
