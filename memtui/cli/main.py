"""The command line: picks the command, and is the one place where errors become sentences and exit codes."""

from __future__ import annotations

import argparse
import difflib
import importlib
import io
import os
import shutil
import sys
from types import ModuleType
from typing import NoReturn

from memtui import __version__
from memtui.errors import EXIT_BROKEN, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, MemtuiError, UsageError

COMMANDS = {
    "attach": "memtui.cli.attach",
    "run": "memtui.cli.run",
    "profile": "memtui.cli.profile",
    "ps": "memtui.cli.ps",
    "doctor": "memtui.cli.doctor",
    "cleanup": "memtui.cli.cleanup",
    "snapshot": "memtui.cli.snapshot",
    "diff": "memtui.cli.diff",
    "open": "memtui.cli.open",
    "diagnostics": "memtui.cli.diagnostics",
    "soak": "memtui.cli.soak",
    "native": "memtui.cli.native",
    "record": "memtui.cli.record",
    "report": "memtui.cli.report",
    "configure": "memtui.cli.configure",
}
"""Name of a command, and the module that has ``HELP``, ``configure(parser)`` and ``run(args)`` for it.

A module may have ``parse(parser, arguments)`` where the arguments are not argparse's business alone.
"""

_ABOUT = "Watch the memory of a running Python process in your terminal: see what grows, and find out why."
_EXAMPLES = """\
examples:
  memtui run --demo            a small program that leaks, under the dashboard
  memtui attach 4242           the dashboard on a running process
  memtui run app.py --port 80  a program of your own; what follows the script is its own
  memtui snapshot 4242         a heap picture in a file; two of them: memtui diff A B
  memtui COMMAND --help        all about one command
"""


class Parser(argparse.ArgumentParser):
    """Leaves the reporting of mistakes to :func:`run`, so that all errors read alike."""

    def error(self, message: str) -> NoReturn:
        """Raise :class:`UsageError` with argparse's sentence."""
        what = f"{message[:1].upper()}{message[1:]}."
        raise UsageError(what, next_step=f"See: {self.prog} --help")


def run(argv: list[str]) -> int:
    """Run ``memtui ARGV`` and return its exit code. Expected failures are one sentence on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a locale that lacks a character is no reason to fail
    try:
        try:
            code = _dispatch(argv)
        except SystemExit:  # argparse, after --help and --version
            code = EXIT_OK
        sys.stdout.flush()
        return code
    except MemtuiError as error:
        print(f"memtui: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_BROKEN


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0].startswith("-"):
        return _without_command(argv)
    name, arguments = argv[0], argv[1:]
    if name not in COMMANDS:
        raise UsageError(f"There is no command {name!r}.", next_step=_instead_of(name))
    command = importlib.import_module(COMMANDS[name])
    parser = Parser(prog=f"memtui {name}", allow_abbrev=False)
    command.configure(parser)
    args = command.parse(parser, arguments) if hasattr(command, "parse") else parser.parse_args(arguments)
    return int(command.run(args))


def _without_command(argv: list[str]) -> int:
    parser = Parser(
        prog="memtui",
        usage="memtui COMMAND ...",
        description=_ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"memtui {__version__}")
    if "-h" in argv or "--help" in argv or not argv:
        # Imported for their help texts only when these are shown.
        parser.epilog = (
            f"{_list_of({name: importlib.import_module(path) for name, path in COMMANDS.items()})}{_EXAMPLES}"
        )
    if not argv:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    parser.parse_args(argv)
    return parser.error(f"a command is missing: {', '.join(COMMANDS)}")


def _list_of(commands: dict[str, ModuleType]) -> str:
    lines = [f"  {name:<11} {module.HELP}" for name, module in commands.items()]
    return "\n".join(["commands:", *lines, "", ""])


def _instead_of(name: str) -> str:
    if name.isdigit():
        return f"To watch process {name}: memtui attach {name}"
    if os.path.exists(name):
        return f"To start {name}: memtui run {name}"
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    if close:
        return f"Did you mean: memtui {close[0]}"
    if shutil.which(name):
        return f"To start {name}: memtui run -- {name}"
    return f"The commands are: {', '.join(COMMANDS)}."
