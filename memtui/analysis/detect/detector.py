"""Is it a leak? The verdict on a series of looks at the memory of a process.

The floor of the memory (live bytes after a collection where they are known, else the least RSS of each minute) is
compared over several windows with bounded explanations (a warm-up, something that fills, a step, a rhythm) and with
growth that does not end. Growth must be the better explanation, by an amount that matters, and must stay it for a
part of the time it has existed; when the curve flattens, the verdict is taken back. The ideas are those of Precog
(Jindal et al. 2021: allowed segments of growth), Cork (Jump and McKinley 2007: growth from collection to collection)
and RESIN (Lou et al. 2022: persistence before an alarm); the models are those of ``models``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from memtui.analysis.detect.early import Early
from memtui.analysis.detect.evidence import Material
from memtui.analysis.detect.judgement import at_first, by_curve
from memtui.analysis.detect.limits import Limit, nearest
from memtui.analysis.detect.track import Track
from memtui.analysis.detect.verdict import GROWING, ORDER, Signal, Verdict

MIB = 1024 * 1024
RSS_MATERIAL = Material(3 * MIB, 0.006)
LIVE_MATERIAL = Material(2 * MIB, 0.005)
"""Live bytes are quieter than RSS: less of them matters."""
FIRST_SECONDS = 5.0
"""Imports of a program that has just begun are not judged at all."""
LIVE_IS_OLD_SECONDS = 900.0
"""After collections have been silent for so long, RSS is asked."""


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """The scale of a watch: the length of a block, and the age below which the target is warming up.

    ``age_seconds`` is the age of the target at time 0 of the watch. Verdicts by the curve begin after the warm-up and
    12 blocks.
    """

    block_seconds: float = 60.0
    warm_up_seconds: float = 300.0
    age_seconds: float = 0.0

    @classmethod
    def for_watch(cls, seconds: float, interval_seconds: float = 1.0, age_seconds: float = 0.0) -> DetectorOptions:
        """The scale for a watch that is planned to last ``seconds`` with a look each ``interval_seconds``.

        Half an hour and more is judged by the minute; a shorter one by a thirtieth of it, less surely: a warm-up
        that takes longer than the watch looks like a leak.
        """
        block = max(min(60.0, seconds / 30), 1.0, interval_seconds)
        return cls(block, min(300.0, seconds / 6), age_seconds)


class Detector:
    """Takes looks in the order of time and keeps what a verdict needs, in bounded memory.

    Equal looks give equal verdicts, live or from a recording.
    """

    def __init__(self, options: DetectorOptions | None = None) -> None:
        self.options = options or DetectorOptions()
        self._warm_seconds = max(0.0, self.options.warm_up_seconds - self.options.age_seconds)
        self._first_seconds = max(0.0, FIRST_SECONDS - self.options.age_seconds)
        self._early = Early()
        self._rss = Track(self.options.block_seconds, RSS_MATERIAL)
        self._live = Track(self.options.block_seconds, LIVE_MATERIAL)

    def add(self, at_seconds: float, rss_bytes: int, live_bytes: int | None = None) -> None:
        """Take one look, ``at_seconds`` after the start of the watch.

        ``live_bytes`` is what was alive after the last collection, None where it is not known. A look from before
        the last one is ignored, and so is a time that is no finite number.
        """
        if not math.isfinite(at_seconds) or at_seconds < self._first_seconds:
            return
        self._early.add(at_seconds, float(rss_bytes))
        if at_seconds < self._warm_seconds:
            return
        self._rss.add(at_seconds, float(rss_bytes))
        if live_bytes is not None:
            self._live.add(at_seconds, float(live_bytes))

    def verdict(self, now_seconds: float | None = None, limits: Sequence[Limit] = ()) -> Verdict:
        """The answer at ``now_seconds`` (by default the time of the last look); it changes nothing.

        ``limits`` are those of this moment. Without new looks the answer stays what it was.
        """
        first = self._early.look()
        signal, track = self._telling(now_seconds)
        found = at_first(first) if track.look is None else by_curve(signal, track, track.look, first.seconds)
        ahead = nearest(limits, found.growth_bytes_per_minute) if found.state in GROWING else None
        return replace(found, seconds_to_limit=ahead and ahead[1], pressure=self._early.pressure(limits))

    def _telling(self, now_seconds: float | None) -> tuple[Signal, Track]:
        """The series that the verdict rests on.

        Live bytes where they are known, unless RSS alone grows: then it is not Python's objects that do. RSS is not
        believed where live bytes that something bounded explains make up half of its rise.
        """
        rss, live = self._rss, self._live
        now = rss.last_seconds if now_seconds is None else max(now_seconds, rss.last_seconds)
        if live.look is None or rss.look is None or now - live.last_seconds > LIVE_IS_OLD_SECONDS:
            return "rss", rss
        if ORDER.index(live.state) >= ORDER.index(rss.state):
            return "live", live
        whole = live.look.whole
        if whole.is_explained() and whole.rise_bytes >= 0.5 * rss.look.whole.rise_bytes:
            return "live", live
        return "rss", rss
