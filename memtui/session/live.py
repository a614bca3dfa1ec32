"""The session on a live process: one thread with one clock that looks, listens, and publishes States."""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from memtui.attach.inject import Attached
from memtui.errors import ChannelError, MemtuiError, TargetDiedError
from memtui.model import command as c
from memtui.model.sample import Cost
from memtui.model.state import EventKind, Output, State
from memtui.model.target import Ending, Rung
from memtui.model.units import format_seconds
from memtui.session import messages as m
from memtui.session.climber import Climber
from memtui.session.conversation import Conversation
from memtui.session.interface import Listener
from memtui.session.output import OutputLines
from memtui.session.reducer import reduce
from memtui.session.sources import SourceReader
from memtui.session.watcher import Watcher
from memtui.session.workload import Exit, Workload

_CLOSE_SECONDS = 12.0
_CLIMB_WAIT_SECONDS = 10.0


@dataclass(frozen=True)
class LiveOptions:
    """What to watch and how. Exactly one of ``pid`` (attach) and ``workload`` (run) is given."""

    pid: int | None = None
    workload: Workload | None = None
    interval_seconds: float = 1.0
    observe_only: bool = False
    agent_at_once: bool = False
    trace_frames: int | None = None


class LiveSession:
    """Implements :class:`memtui.session.interface.Session` on a live process."""

    def __init__(self, options: LiveOptions) -> None:
        self._options = options
        self._workload = options.workload
        self._output = OutputLines()
        self._inbox: deque[c.Command | Attached | MemtuiError] = deque()
        self._after_climb: list[c.Command] = []
        self._listeners: tuple[Listener, ...] = ()
        self._closing = threading.Event()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="memtui-session", daemon=True)
        self._climber = Climber(self._deliver)
        self._conversation: Conversation | None = None
        self._climb_when_ready = False
        self._watcher: Watcher
        self._sources: SourceReader
        self._state: State
        self._began = 0.0

    @property
    def state(self) -> State:
        """The newest picture."""
        return self._state

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each new State."""
        self._listeners = (*self._listeners, listener)

        def end() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return end

    def request(self, command: c.Command) -> None:
        """Hand a command to the session's thread."""
        self._deliver(command)

    def start(self) -> None:
        """Take the first look and begin ticking. Raises MemtuiError when the target cannot be watched."""
        pid = self._workload.pid if self._workload else self._options.pid
        assert pid is not None
        self._watcher = Watcher(pid, launched=self._workload is not None)
        self._sources = SourceReader(self._watcher.pid)
        self._began = time.monotonic()
        self._state = State(
            target=self._watcher.target(),
            started_at=time.time(),
            rung=self._watcher.rung,
            note=self._watcher.note,
            memory_limit_bytes=self._watcher.memory_limit_bytes(),
            output=Output() if self._workload else None,
            cost=Cost(tool_cpu_seconds=time.process_time()),
        )
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._woken)
        if self._workload is not None and self._workload.fd is not None:
            self._selector.register(self._workload.fd, selectors.EVENT_READ, self._read_output)
        if self._options.trace_frames is not None:
            self._deliver(c.StartTracing(self._options.trace_frames))
        elif self._options.agent_at_once or (self._workload is not None and not self._options.observe_only):
            self._deliver(c.ClimbToAgent())
        self._look()
        self._thread.start()

    def close(self) -> None:
        """Detach and stop."""
        self._closing.set()
        self._wake()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    def _deliver(self, item: c.Command | Attached | MemtuiError) -> None:
        self._inbox.append(item)
        self._wake()

    def _wake(self) -> None:
        try:
            os.write(self._wake_write, b"+")
        except (BlockingIOError, OSError):
            pass  # the pipe is full, so the thread wakes anyway; or it is closed, so there is nobody to wake

    def _clock(self) -> float:
        return time.monotonic() - self._began

    # -- the session's thread ------------------------------------------------------------------------------------

    def _run(self) -> None:
        interval = self._options.interval_seconds
        due = time.monotonic() + interval
        while not self._closing.is_set():
            for key, _ in self._selector.select(max(0.0, due - time.monotonic())):
                key.data()
            if time.monotonic() >= due:
                due = max(due + interval, time.monotonic())
                self._tick()
        self._leave()

    def _tick(self) -> None:
        if self._state.ending is None:
            self._look()
        self._flush_output()
        self._publish()

    def _look(self) -> None:
        try:
            self._fold_seen(self._watcher.look(self._clock()))
            if self._conversation is not None:
                self._with_agent(lambda agent: agent.tick(self._watcher.cpu_seconds()))
            elif self._climb_when_ready and self._state.rung is Rung.OBSERVE:
                self._climb()
        except TargetDiedError:
            self._target_gone()
        except MemtuiError as error:
            self._fold(m.Noted(EventKind.ERROR, str(error)))
        if self._workload is not None and (exited := self._workload.poll()) is not None:
            self._workload_ended(exited)

    def _woken(self) -> None:
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass
        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, Attached):
                self._agent_in(item)
            elif isinstance(item, MemtuiError):
                self._agent_refused(item)
            else:
                self._command(item)
        self._publish()

    def _command(self, command: c.Command) -> None:
        if isinstance(command, c.SendInput):
            if self._workload is not None:
                self._workload.send(command.text)
        elif isinstance(command, c.GroupAllocations):
            self._fold(m.Grouped(command.by))
            self._with_agent(lambda agent: agent.group(command.by))
        elif self._state.ending is not None:
            self._fold(m.Noted(EventKind.WARNING, "The process has ended."))
        elif self._conversation is None:
            self._after_climb.append(command)
            self._climb()
        else:
            self._with_agent(lambda agent: self._tell_agent(agent, command))

    def _tell_agent(self, agent: Conversation, command: c.Command) -> None:
        if isinstance(command, c.StartTracing):
            agent.start_tracing(command.frames)
        elif isinstance(command, c.StopTracing):
            agent.stop_tracing()
        elif isinstance(command, c.TakeSnapshot):
            agent.snapshot(self._rss_now() or 0)
        elif isinstance(command, c.CollectGarbage):
            agent.collect(self._rss_now)

    def _rss_now(self) -> int | None:
        try:
            self._fold_seen(self._watcher.look(self._clock()))
        except MemtuiError:
            return None
        last = self._state.series.last
        return last.rss_bytes if last else None

    def _climb(self) -> None:
        if self._options.observe_only:
            self._after_climb.clear()
            self._fold(m.Noted(EventKind.WARNING, "Observing only: --observe-only keeps the agent out."))
            return
        if self._state.rung is Rung.PROCESS and self._workload is not None:
            self._climb_when_ready = True  # the workload's Python is still starting
            return
        self._climb_when_ready = False
        self._fold(m.Busy(("attaching",)))
        self._climber.start(self._watcher.pid)

    def _agent_in(self, attached: Attached) -> None:
        if self._closing.is_set() or self._conversation is not None:
            attached.link.close()
            return
        self._fold(m.Paused(attached.stop_seconds))
        self._fold(m.Climbed(Rung.AGENT))
        self._fold(m.Busy(()))
        stopped = format_seconds(attached.stop_seconds)
        others = int(attached.hello.get("viewers", 1)) - 1
        joined = f"; {others} other viewer{'s' if others > 1 else ''} there already" if others > 0 else ""
        self._fold(m.Noted(EventKind.INFO, f"Agent in: one thread was stopped for {stopped}{joined}"))
        try:
            self._conversation = Conversation(attached, self._options.interval_seconds, self._emit, self._clock)
        except ChannelError as error:
            self._agent_lost(error)
            return
        self._selector.register(self._conversation.link, selectors.EVENT_READ, self._read_agent)
        waiting, self._after_climb = self._after_climb, []
        for command in waiting:
            self._command(command)

    def _agent_refused(self, error: MemtuiError) -> None:
        self._after_climb.clear()
        self._fold(m.Busy(()))
        if isinstance(error, TargetDiedError):
            return  # the next look says so
        self._fold(m.Climbed(self._watcher.rung, str(error)))
        self._fold(m.Noted(EventKind.ERROR, str(error)))

    def _read_agent(self) -> None:
        self._with_agent(lambda agent: agent.receive())

    def _with_agent(self, use: Callable[[Conversation], None]) -> None:
        if self._conversation is None:
            return
        try:
            use(self._conversation)
        except ChannelError as error:
            self._agent_lost(error)

    def _agent_lost(self, error: ChannelError) -> None:
        self._hang_up()
        self._fold(m.Climbed(self._watcher.rung, self._watcher.note))
        self._fold(m.Noted(EventKind.WARNING, f"{error} Observing from outside; the agent can be put in again."))

    def _hang_up(self) -> None:
        conversation, self._conversation = self._conversation, None
        if conversation is not None:
            self._selector.unregister(conversation.link)
            conversation.link.close()
        self._fold(m.Busy(()))

    def _emit(self, message: m.Message) -> None:
        if isinstance(message, m.AllocationsSeen):
            message = m.AllocationsSeen(self._sources.fill(message.allocations))
        self._fold(message)
        if not isinstance(message, m.AgentReported):
            self._publish()

    def _read_output(self) -> None:
        assert self._workload is not None
        fd = self._workload.fd
        self._output.feed(self._workload.read())
        if self._workload.fd is None and fd is not None:
            self._selector.unregister(fd)

    def _flush_output(self) -> None:
        arrived = self._output.take()
        if arrived is not None:
            self._fold(arrived)

    def _target_gone(self) -> None:
        if self._workload is not None:
            if self._watcher.pid != self._workload.pid:
                self._fold_seen(self._watcher.fall_back())
            return  # the workload's own exit is the end
        pid = self._watcher.pid
        text = f"Process {pid} ended (only its parent can see its exit code)"
        self._end(Ending(self._clock(), text))

    def _workload_ended(self, exited: Exit) -> None:
        assert self._workload is not None
        if self._workload.fd is not None:
            self._read_output()
        self._flush_output()
        text = f"The workload {exited.text}"
        self._end(Ending(self._clock(), text, exit_code=exited.code, signal=exited.signal))

    def _end(self, ending: Ending) -> None:
        if self._state.ending is None:
            self._hang_up()
            self._fold(m.Ended(ending))

    def _fold_seen(self, messages: tuple[m.Message, ...]) -> None:
        """Fold what the watcher saw; another program or process is one without the agent."""
        for message in messages:
            if isinstance(message, m.TargetChanged):
                self._hang_up()
                self._sources = SourceReader(message.target.pid)
            if not (isinstance(message, m.Climbed) and self._conversation is not None):
                self._fold(message)

    def _fold(self, message: m.Message) -> None:
        self._state = reduce(self._state, message, self._clock())

    def _publish(self) -> None:
        for listener in self._listeners:
            listener(self._state)

    def _leave(self) -> None:
        self._climber.wait(_CLIMB_WAIT_SECONDS)
        while self._inbox:
            item = self._inbox.popleft()
            if isinstance(item, Attached):
                item.link.close()
        if self._conversation is not None:
            self._conversation.leave()
        self._watcher.close()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
