"""When an agent has been silent for long, that is said, and why it may be."""

from __future__ import annotations

from memtui.model.units import format_seconds

SILENT_SECONDS = 8.0
"""As long as several turns of the GIL last in a program whose C code keeps it for a second at a time."""


SILENCE = "The agent has not answered for"
"""How the sentence begins: what was asked for is late, and has not failed."""


class Silence:
    """Notices that nothing came for long while something was asked for; says so once each time."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._said = False

    def heard(self) -> None:
        """Something came."""
        self._since, self._said = None, False

    def look(self, now_seconds: float, waiting: bool) -> str:
        """The sentence, when it is time for it; empty otherwise."""
        if not waiting:
            self.heard()
        elif self._since is None:
            self._since = now_seconds
        elif not self._said and now_seconds - self._since >= SILENT_SECONDS:
            self._said = True
            silent = format_seconds(now_seconds - self._since)
            return (
                f"{SILENCE} {silent}: code written in C keeps the GIL, or the process is "
                "stopped or has no processor. What is seen from outside goes on; the answer is shown when it comes."
            )
        return ""
