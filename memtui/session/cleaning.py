"""A clean-up of the target's memory: hooks, a collection, a trim, one request to the agent after the other.

RSS is read between the steps, from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memtui.model.cleanup import CleanupLevel, CleanupOutcome, CleanupStep, StepKind
from memtui.model.units import format_bytes, format_count, format_seconds
from memtui.protocol import Frame
from memtui.session import wire
from memtui.session.asking import Asking
from memtui.session.messages import CleanedUp

HOOK_SECONDS = 30.0
"""A hook that takes longer is not waited for."""
_BUSY = "cleaning up memory"
AGENT_LOST = "The agent was lost, or refused it."
_STILL_RUNS = "Not run: a cleanup hook of this program still runs."


class CleanupInTheMaking:
    """The steps of one clean-up. When one is refused, or the agent is lost, it ends with what was done so far."""

    def __init__(self, conversation: Asking, level: CleanupLevel, rss_bytes: Callable[[], int | None]) -> None:
        self._conversation, self._level, self._read_rss = conversation, level, rss_bytes
        self._began = conversation.clock()
        self._before = self._rss = rss_bytes()
        self._names: list[str] = []
        self._number = 0
        self._hook_began = 0.0
        self._steps: list[CleanupStep] = []

    def begin(self) -> None:
        """Send the first request."""
        self._ask("hooks_choose", self._have_hooks, level=self._level)

    def _ask(self, do: str, answered: Callable[[Frame], None], **arguments: Any) -> None:
        self._conversation.ask(_BUSY, do, answered, lambda: self._refused(do), **arguments)

    def _have_hooks(self, reply: Frame) -> None:
        self._names = [str(name) for name in reply["hooks"]]
        if reply.get("busy"):
            self._add("hook", "hooks", {"error": _STILL_RUNS})
        self._next_hook()

    def _next_hook(self) -> None:
        if self._number < len(self._names):
            self._number += 1
            self._hook_began = self._conversation.clock()
            self._ask("hook_start", self._hook_started, number=self._number)
        else:
            self._ask("hooks_release", lambda reply: None)
            self._ask("collect", self._collected)

    def _hook_started(self, reply: Frame) -> None:
        if reply["started"]:
            self._ask("hook_state", self._look_at_hook)
        else:
            self._give_up_hooks(_STILL_RUNS)

    def _look_at_hook(self, reply: Frame) -> None:
        waited = self._conversation.clock() - self._hook_began
        if not reply["running"]:
            self._add("hook", self._names[self._number - 1], reply)
            self._next_hook()
        elif waited < HOOK_SECONDS:
            self._ask("hook_state", self._look_at_hook)
        else:
            self._give_up_hooks(f"It has not ended within {format_seconds(HOOK_SECONDS)}, and goes on.", waited)

    def _give_up_hooks(self, why: str, seconds: float = 0.0) -> None:
        self._add("hook", self._names[self._number - 1], {"seconds": seconds, "error": why})
        for name in self._names[self._number :]:
            self._add("hook", name, {"error": _STILL_RUNS})
        self._number = len(self._names)
        self._next_hook()

    def _collected(self, reply: Frame) -> None:
        self._add("gc", "full collection", reply)
        if self._level == "critical":
            self._ask("trim", self._trimmed)
        else:
            self._finish()

    def _trimmed(self, reply: Frame) -> None:
        self._add("trim", "malloc_trim", reply)
        self._finish()

    def _add(self, kind: StepKind, name: str, reply: Frame) -> None:
        before, self._rss = self._rss, self._read_rss()
        freed = None if before is None or self._rss is None else before - self._rss
        self._steps.append(wire.cleanup_step(kind, name, reply, freed))

    def _refused(self, do: str) -> None:
        kind: StepKind = "gc" if do == "collect" else "trim" if do == "trim" else "hook"
        name = {"gc": "full collection", "trim": "malloc_trim"}.get(kind, "hooks")
        self._steps.append(wire.cleanup_step(kind, name, {"error": AGENT_LOST}, None))
        self._finish()

    def _finish(self) -> None:
        outcome = CleanupOutcome(self._level, self._began, self._before, self._rss, tuple(self._steps))
        self._conversation.emit(CleanedUp(outcome))


def cleanup_in_words(outcome: CleanupOutcome) -> str:
    """One line for the event log."""
    steps = ", ".join(step_in_words(one) for one in outcome.steps)
    freed = outcome.freed_rss_bytes
    return f"Clean-up ({outcome.level}): RSS {format_bytes(None if freed is None else -freed, sign=True)}; {steps}"


def step_in_words(step: CleanupStep) -> str:
    """What one step did, without its effect on the RSS."""
    name = f"hook {step.name}" if step.kind == "hook" else step.name
    if step.error:
        return f"{name}: {step.error}"
    objects = "" if step.objects is None else f", {format_count(step.objects)} objects"
    return f"{name} {format_seconds(step.seconds)}{objects}"
