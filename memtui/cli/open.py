"""``memtui open FILE``: the heap screen on pictures in files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from memtui.cli.diff import check_file
from memtui.errors import UsageError

HELP = "leaf through heap pictures in files; with two, their difference"

_ABOUT = """\
Opens heap pictures that were written before: types, their objects, who holds them, what they hold. With two or more,
it begins with the difference of the last two. No process is touched.
"""
_EXAMPLES = """\
examples:
  memtui open 4242-20261121-120000.memtui
  memtui open before.memtui after.memtui
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = _ABOUT
    parser.epilog = _EXAMPLES
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="a heap picture")
    parser.add_argument("--theme", metavar="NAME", help="colours: memtui-dark, memtui-light, ... or one of your own")


def run(args: argparse.Namespace) -> int:
    """Show them. Raises UsageError for what is no heap picture, and when there is no terminal."""
    from memtui.cli.signals import orderly_end
    from memtui.cli.terminal import check_terminal, take_terminal
    from memtui.heap.book import HeapBook
    from memtui.session.opened import FilesSession

    for file in args.files:
        check_file(file)
    check_terminal(f"memtui diff {' '.join(map(str, args.files))}" if len(args.files) > 1 else "memtui diff A B")
    pictures = []
    for file in args.files:
        with HeapBook(file) as book:
            pictures.append(book.facts())
    with orderly_end(lambda: None) as caught:
        from memtui.tui.app import run_dashboard
        from memtui.tui.settings import load_settings

        take_terminal()
        code = run_dashboard(FilesSession(pictures), load_settings(args.theme), _no_report, files=True)
    return caught.exit_code if caught.number is not None else code


def _no_report(_: object) -> NoReturn:
    raise UsageError("There is no report on files.")
