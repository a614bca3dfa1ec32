"""Whether there is a terminal for the dashboard, and putting the standard streams where Textual looks for it."""

from __future__ import annotations

import codecs
import errno
import io
import locale
import os
import sys
import termios

from memtui.errors import UsageError

_NO_TERMINALS = ("", "dumb", "unknown")


def check_terminal(headless: str, *, piped_stdin: bool = False) -> None:
    """Raise UsageError, naming the ``headless`` command to use instead, when no dashboard can be shown here.

    ``piped_stdin``: stdin belongs to the workload; the keys will come from ``/dev/tty``.
    """
    reason = _reason(piped_stdin)
    if reason:
        raise UsageError("The dashboard needs a terminal.", why=reason, next_step=f"Without one, use: {headless}")


def take_terminal() -> None:
    """Point stdin and stdout at the terminal where they are not: Textual reads keys from 0 and the size from 1.

    Where the locale is UTF-8, standard error (on which it draws) speaks it even when ``PYTHONIOENCODING`` differs.
    """
    if encoding_is_utf8() and isinstance(sys.__stderr__, io.TextIOWrapper):
        sys.__stderr__.reconfigure(encoding="utf-8")
    if not os.isatty(0):
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
        os.dup2(terminal, 0)
        os.close(terminal)
    if not os.isatty(1):
        sys.stdout.flush()
        os.dup2(2, 1)


def encoding_is_utf8() -> bool:
    """Whether the locale, and so presumably the terminal, is UTF-8."""
    return codecs.lookup(locale.getpreferredencoding(False)).name == "utf-8"


def let_go_of_lost_terminal() -> None:
    """When the terminal has gone, point the standard streams at nothing: writing to it would fail or block.

    Where stderr is no terminal, but a file or a pipe, nothing has gone.
    """
    try:
        termios.tcgetattr(2)
    except termios.error as error:
        if error.args[0] == errno.ENOTTY:
            return
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.close(nothing)


def _reason(piped_stdin: bool) -> str:
    if not os.isatty(2):
        return "It is drawn on standard error, which is not a terminal."
    if not piped_stdin and not os.isatty(0):
        return "It reads keys from standard input, which is not a terminal."
    if piped_stdin and not _has_controlling_terminal():
        return "Standard input is the workload's, and there is no other terminal to read keys from."
    term = os.environ.get("TERM", "")
    if term in _NO_TERMINALS:
        return f"TERM is {term!r}, which cannot move the cursor." if term else "TERM is not set."
    return ""


def _has_controlling_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
