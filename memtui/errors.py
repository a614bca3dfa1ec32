"""Errors that tell a person what happened, why, and what to do next.

They are caught once, at the edge of the command line (or shown in the dashboard's log); the exit codes are
those of the interface that other programs rely on.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_BROKEN = 1
EXIT_USAGE = 2
EXIT_TARGET = 3
EXIT_TARGET_DIED = 4
EXIT_INTERRUPTED = 130


class MemtuiError(Exception):
    """A failure with a sentence for the user.

    ``what`` happened, ``why`` it did (may be empty) and the ``next_step`` to take (may be empty).
    """

    exit_code = EXIT_TARGET

    def __init__(self, what: str, *, why: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next_step = next_step

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.next_step) if part)


class UsageError(MemtuiError):
    """The command line, the configuration or a file given by the user is wrong."""

    exit_code = EXIT_USAGE


class TargetError(MemtuiError):
    """The target cannot be observed, attached to or started."""


class RefusedError(TargetError):
    """An attach was refused before anything was changed in the target."""


class StopTooLongError(RefusedError):
    """A photograph would stop the process for longer than the budget; it may be accepted."""


class TargetDiedError(MemtuiError):
    """The target ended while it was being looked at."""

    exit_code = EXIT_TARGET_DIED


class ChannelError(MemtuiError):
    """The connection to the agent broke or carried something that is no frame."""


class NoAnswerError(ChannelError):
    """The agent did not answer in time; the connection is still there."""


class WriteError(MemtuiError):
    """A file could not be written; nothing half-written was left."""

    exit_code = EXIT_USAGE
