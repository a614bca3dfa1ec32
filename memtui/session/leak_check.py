"""A check for leaks: a few heap pictures over some time, which are compared as they come."""

from __future__ import annotations

from memtui.session.watching import look_times


class LeakCheck:
    """When the pictures of one check are due; ``begin_seconds`` is the session's time at its start."""

    def __init__(self, begin_seconds: float, seconds: float) -> None:
        self._times = [begin_seconds + at for at in look_times(0.0, seconds)]
        self._taken = 0

    def due(self, now_seconds: float) -> bool:
        """Whether a picture is to be taken now; it counts as taken then."""
        if self.is_over or now_seconds < self._times[self._taken]:
            return False
        self._taken += 1
        return True

    @property
    def is_over(self) -> bool:
        """Whether all pictures were taken."""
        return self._taken == len(self._times)

    def told(self) -> str:
        """How far it is, in words."""
        return f"checking for leaks, picture {min(self._taken + 1, len(self._times))} of {len(self._times)}"
