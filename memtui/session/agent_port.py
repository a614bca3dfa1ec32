"""The session's way to the agent: puts it in when needed, hands commands over, notices when it is lost."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from memtui.attach.inject import Attached
from memtui.attach.ways import Via, entry_cost
from memtui.errors import ChannelError, MemtuiError, TargetDiedError
from memtui.model import command as c
from memtui.model.allocation import Allocations
from memtui.model.state import EventKind
from memtui.model.target import Rung
from memtui.model.units import format_seconds
from memtui.session import messages as m
from memtui.session import wire
from memtui.session.climber import Climber
from memtui.session.conversation import Conversation, Emit
from memtui.session.questions import AgentQuestion
from memtui.session.slowdown import Slowdown
from memtui.session.snapshotting import Traced

_CLIMB_WAIT_SECONDS = 10.0
AgentCommand = (
    c.StartTracing
    | c.StopTracing
    | c.TakeSnapshot
    | c.CollectGarbage
    | c.CheckCycles
    | c.Cleanup
    | c.ClimbToAgent
    | c.StartNative
)


class AgentPort:
    """At most one agent, and the commands that wait for it. Belongs to the session's thread.

    ``climbed`` is called in another thread when an attach is over; its argument is to be given to :meth:`arrived`.
    ``rss_bytes`` reads the RSS now; ``outside`` tells rung and note without the agent. A snapshot that waited for the
    agent goes to ``snapshot`` when it is in, a native recording to ``native``. ``via`` and ``experimental`` say how
    to get in.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        *,
        emit: Emit,
        clock: Callable[[], float],
        climbed: Callable[[Attached | MemtuiError], None],
        rss_bytes: Callable[[], int | None],
        outside: Callable[[], tuple[Rung, str]],
        snapshot: Callable[[c.TakeSnapshot], None],
        native: Callable[[c.StartNative], None],
        interval_seconds: float,
        via: Via = "auto",
        experimental: bool = False,
    ) -> None:
        self._selector = selector
        self._emit, self._clock = emit, clock
        self._rss_bytes, self._outside, self._snapshot, self._native = rss_bytes, outside, snapshot, native
        self._interval_seconds = interval_seconds
        self._climber = Climber(climbed, via, experimental)
        self._via = via
        self._waiting: list[AgentCommand] = []
        self._conversation: Conversation | None = None
        self._slowdown = Slowdown()

    @property
    def connected(self) -> bool:
        """Whether the agent is in and answers."""
        return self._conversation is not None

    @property
    def wanted(self) -> bool:
        """Whether a command waits for an agent that is not on its way."""
        return bool(self._waiting) and self._conversation is None and not self._climber.climbing

    @property
    def coming(self) -> bool:
        """Whether the agent is on its way, or a command waits for it."""
        return bool(self._waiting) or self._climber.climbing

    def do(self, command: AgentCommand) -> None:
        """Carry out ``command``, or keep it until the agent is in (see ``wanted``)."""
        if self._conversation is None:
            self._waiting.append(command)
        else:
            self._use(lambda agent: self._tell(agent, command))

    def climb(self, pid: int) -> None:
        """Begin to put the agent into ``pid``; a way that costs more than usual says so first."""
        if cost := entry_cost(self._via):
            self._emit(m.Noted(EventKind.WARNING, cost))
        self._emit(m.Busy(("attaching",)))
        self._climber.start(pid)

    def refuse(self) -> None:
        """Forget the commands that wait."""
        self._waiting.clear()

    def arrived(self, outcome: Attached | MemtuiError) -> None:
        """An attach is over."""
        self._emit(m.Busy(()))
        if isinstance(outcome, MemtuiError):
            self._refused(outcome)
        elif self._conversation is not None:
            outcome.link.close()
        else:
            self._agent_in(outcome)

    def ask_traced(self, then: Traced) -> bool:
        """Ask for the traced groups by line and by traceback, if tracing is on; False: ``then`` is not called."""
        if self._conversation is None or not self._conversation.tracing.on:
            return False
        self._use(lambda agent: agent.traced(then))
        return True

    def put(self, question: AgentQuestion) -> None:
        """Ask for another thread, which waits for the reply."""
        self._use(lambda agent: agent.put(question))
        if self._conversation is None:
            question.fail()

    def compare_with(self, lines: Allocations | None) -> None:
        """Count the changes of the live table from a snapshot's lines on; None: they stay as they are."""
        if lines is not None:
            self._use(lambda agent: agent.snapshot_taken(lines))

    def count_types(self) -> None:
        """A snapshot of type counts, made by the agent."""
        self._use(lambda agent: agent.snapshot(self._rss_bytes() or 0))

    def tick(self, cpu_seconds: float) -> None:
        """Once a tick, with the target's CPU time so far."""
        conversation = self._conversation
        self._slowdown.look(cpu_seconds, conversation is not None and conversation.tracing.on)
        self._use(lambda agent: agent.tick())

    def group(self, command: c.GroupAllocations) -> None:
        """Group the live table otherwise."""
        self._use(lambda agent: agent.group(command.by))

    def hang_up(self) -> None:
        """The target is gone, or another program: the agent is no more."""
        conversation, self._conversation = self._conversation, None
        self._slowdown.tracing_stops()
        if conversation is not None:
            self._selector.unregister(conversation.link)
            conversation.link.close()
            conversation.give_up()
        self._emit(m.Busy(()))

    def leave(self) -> None:
        """Take the agent out again; an attach under way is waited for, because it must not be left half-way."""
        self._climber.wait(_CLIMB_WAIT_SECONDS)
        if self._conversation is not None:
            self._conversation.leave()

    def _agent_in(self, attached: Attached) -> None:
        self._emit(m.Paused(attached.stop_seconds))
        self._emit(m.Climbed(Rung.AGENT))
        try:
            others = wire.number(attached.hello, "viewers") - 1
            joined = f"; {others} other viewer{'s' if others > 1 else ''} there already" if others > 0 else ""
            stopped = format_seconds(attached.stop_seconds)
            who = "the process" if entry_cost(self._via) else "one thread"
            self._emit(m.Noted(EventKind.INFO, f"Agent in: {who} was stopped for {stopped}{joined}"))
            self._conversation = Conversation(
                attached, self._interval_seconds, self._emit, self._clock, self._slowdown
            )
        except ChannelError as error:
            attached.link.close()
            self._lost(error)
            return
        self._selector.register(attached.link, selectors.EVENT_READ, self._receive)
        waiting, self._waiting = self._waiting, []
        for command in waiting:
            self.do(command)

    def _refused(self, error: MemtuiError) -> None:
        self._waiting.clear()
        if not isinstance(error, TargetDiedError):  # the next look says so
            self._emit(m.Climbed(self._outside()[0], str(error)))
            self._emit(m.Noted(EventKind.ERROR, str(error)))

    def _tell(self, agent: Conversation, command: AgentCommand) -> None:
        if isinstance(command, c.StartTracing):
            agent.start_tracing(command.frames)
        elif isinstance(command, c.StopTracing):
            agent.stop_tracing()
        elif isinstance(command, c.TakeSnapshot):
            self._snapshot(command)
        elif isinstance(command, c.CollectGarbage):
            agent.collect(self._rss_bytes)
        elif isinstance(command, c.StartNative):
            self._native(command)
        elif isinstance(command, c.Cleanup):
            agent.clean_up(command.level, self._rss_bytes)
        elif isinstance(command, c.CheckCycles):
            agent.check_cycles()

    def _receive(self) -> None:
        self._use(lambda agent: agent.receive())

    def _use(self, use: Callable[[Conversation], None]) -> None:
        if self._conversation is not None:
            try:
                use(self._conversation)
            except ChannelError as error:
                self._lost(error)

    def _lost(self, error: ChannelError) -> None:
        self.hang_up()
        self._emit(m.Climbed(*self._outside()))
        self._emit(m.Noted(EventKind.WARNING, f"{error} Observing from outside; the agent can be put in again."))
