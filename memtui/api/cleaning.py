"""Freeing memory in this process, with the same steps as ``memtui cleanup PID``."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from memtui.agent.cleanup import run_hook, trim
from memtui.agent.heap import collect
from memtui.agent.pauses import Held
from memtui.api.hooks import hooks_for
from memtui.api.process import rss_bytes
from memtui.model.cleanup import CleanupLevel, CleanupOutcome, CleanupStep, StepKind


def clean_up(level: CleanupLevel) -> CleanupOutcome:
    """Run the hooks for this level and a full collection; for "critical" have the C library trim itself, too.

    The hooks run in this thread. What they raise is in the steps, but for Ctrl-C, which is the program's.
    """
    before, began = rss_bytes(), time.time()
    steps = [_step("hook", name, partial(run_hook, hook, (KeyboardInterrupt,))) for name, hook in hooks_for(level)]
    steps.append(_step("gc", "full collection", partial(collect, Held())))
    if level == "critical":
        steps.append(_step("trim", "malloc_trim", trim))
    return CleanupOutcome(level, began, before, rss_bytes(), tuple(steps))


def _step(kind: StepKind, name: str, work: Callable[[], dict[str, Any]]) -> CleanupStep:
    before = rss_bytes()
    done = work()
    after = rss_bytes()
    return CleanupStep(
        kind=kind,
        name=name,
        seconds=done["seconds"],
        freed_rss_bytes=None if before is None or after is None else before - after,
        freed_blocks=done.get("blocks_freed"),
        objects=done.get("collected"),
        uncollectable=done.get("uncollectable"),
        error=done.get("error") or "",
    )
