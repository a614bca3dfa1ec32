"""What a made-up process is: its live bytes, its resident memory and its floor after collections, each second."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Series:
    """A process of two hours, one value a second, in bytes.

    ``live_bytes`` is what was alive after the last full collection, held until the next one. ``leaked_bytes`` and
    ``onset_seconds`` tell the truth about the leak; both are 0 without one.
    """

    kind: str
    rss_bytes: list[int]
    live_bytes: list[int]
    base_bytes: float
    leak_bytes_per_second: float
    leaked_bytes: float
    onset_seconds: float

    @property
    def material(self) -> bool:
        """A leak that a watch of two hours should find: at least 5 MiB and 1 % of the process."""
        return self.leaked_bytes >= max(5 * MIB, 0.01 * self.base_bytes)

    @property
    def leak_share_per_minute(self) -> float:
        """The speed of the leak as a share of the process."""
        return 60 * self.leak_bytes_per_second / self.base_bytes
