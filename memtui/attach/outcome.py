"""How borrowing a thread, or a call made in it, may end other than well."""

from __future__ import annotations


class AttemptError(Exception):
    """An attempt that did not start the agent. ``outcome`` is the word for it in the helper's answer."""

    outcome = "busy"


class NotNowError(AttemptError):
    """The thread is at no harmless point; nothing was changed. Another moment may do."""


class EndedError(AttemptError):
    """The thread ended."""

    outcome = "ended"


class StoppedByUserError(AttemptError):
    """The process is stopped by job control (Ctrl-Z, SIGSTOP)."""

    outcome = "stopped"


class ReplacedError(AttemptError):
    """The process executed another program meanwhile; nothing was changed."""

    outcome = "replaced"


class NoExecutableMemoryError(AttemptError):
    """The process may not have memory that is executable; nothing was left in it."""

    outcome = "no-exec"


class UnfinishedCallError(AttemptError):
    """A call did not return in time. The thread was given back, or finishes the call and heals by itself."""


class FailedCallError(AttemptError):
    """A call made in the thread failed; the thread was given back."""

    outcome = "failed"
